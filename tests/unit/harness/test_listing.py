"""The table of cassettes."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from harness.listing import table
from harness.terminal import width_of
from tests.cassettes import FOLDER
from tests.unit.harness.handmade import Json, request, response, write

RECORDED = sorted(FOLDER.rglob("*.yaml"))

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


def origin(days: float, **more: str) -> Json:
    recorded = NOW - datetime.timedelta(days=days)
    return {
        "scenario": "handmade",
        "backend": "cerebras",
        "model": "gpt-oss-120b",
        "upstream": "emulator",
        "client": "script in the shape of codex-0.163",
        "recorded_at": recorded.isoformat(),
        "recorder": "a test",
        "sha256": "0f" * 32,
        **more,
    }


def cassette(
    path: Path,
    *,
    days: float = 3,
    size: int = 100,
    ends: tuple[str, ...] = ("complete",),
    **more: str,
) -> Path:
    turns = [(request(), response(b"x" * size, end=end)) for end in ends]
    return write(path, *turns, provenance=origin(days, **more))


def listed(*paths: Path, **more: Any) -> str:
    return table(paths, **{"now": NOW, "color": False, **more})


@pytest.fixture
def several(tmp_path: Path) -> list[Path]:
    """Good ones, young and old, live and emulated, and two that cannot be opened."""
    broken = tmp_path / "cerebras" / "broken.yaml"
    paths = [
        cassette(tmp_path / "cerebras" / "hello.yaml", days=0.1),
        cassette(tmp_path / "cerebras" / "old.yaml", days=155, size=12_345, upstream="live"),
        cassette(tmp_path / "chatgpt" / "wide-中文.yaml", model="gpt-5.4", client="codex 0.163.0"),
        cassette(tmp_path / "chatgpt" / "cut.yaml", ends=("complete", "cut", "cut", "timeout")),
        tmp_path / "cerebras" / "missing.yaml",
        broken,
    ]
    broken.write_text("interactions: [")
    return paths


def test_a_line_tells_of_each_cassette(several: list[Path], snapshot: SnapshotAssertion) -> None:
    assert listed(*several) == snapshot


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (120, []),
        (100, ["recorded"]),
        (80, ["recorded", "client"]),
        (66, ["recorded", "client", "model"]),
        (56, ["recorded", "client", "model", "from"]),
    ],
)
def test_columns_give_way_in_a_narrow_terminal(
    several: list[Path], width: int, missing: list[str]
) -> None:
    lines = listed(*several, width=width).splitlines()

    assert [line for line in lines if width_of(line) > width] == []
    names = listed(*several).splitlines()[0].split()
    assert lines[0].split() == [name for name in names if name not in missing]


def test_columns_are_aligned(several: list[Path]) -> None:
    head, *lines = listed(*several).splitlines()

    for line in lines[:4]:
        for name in ("model", "from", "client", "recorded"):
            # By columns: a wide character takes two.
            start = next(at for at in range(len(line)) if width_of(line[:at]) == head.index(name))
            assert line[start] != " "
            assert line[start - 2 : start] == "  "


def test_every_recording_is_listed() -> None:
    text = listed(*RECORDED)

    assert len(text.splitlines()) == len(RECORDED) + 3
    assert text.splitlines()[-1].startswith(f"{len(RECORDED)} cassettes, ")
    assert "cannot be opened" not in text


def test_ends_are_told_only_where_there_is_one_to_tell(tmp_path: Path) -> None:
    good = cassette(tmp_path / "a" / "good.yaml")
    cut = cassette(tmp_path / "a" / "cut.yaml", ends=("cut",))

    assert "ends" not in listed(good)
    assert listed(good, cut).splitlines()[0].endswith("  ends")


def test_an_old_recording_is_yellow_and_counted(tmp_path: Path) -> None:
    young = cassette(tmp_path / "young.yaml", days=90)
    old = cassette(tmp_path / "old.yaml", days=91)

    text = listed(young, old, color=True)

    assert text.count("\x1b[33m") == 1
    assert "\x1b[33m2 mo\x1b[0m" in text
    assert "1 older than 90 d" in text


def test_colour_changes_nothing_but_the_colour(several: list[Path]) -> None:
    colored = listed(*several, color=True, width=80)

    assert re.sub(r"\x1b\[\d+m", "", colored) == listed(*several, width=80)


def test_what_is_not_told_is_a_question_mark(tmp_path: Path) -> None:
    bare = write(tmp_path / "a" / "bare.yaml", (request(), response(b"x")))
    undated = cassette(tmp_path / "a" / "undated.yaml", recorded_at="yesterday")

    lines = [line.split() for line in listed(bare, undated).splitlines()]

    assert lines[1] == ["a/bare", "?", "?", "?", "1", "1", "B", "?", "?"]
    assert lines[2][-2:] == ["?", "?"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("interactions: [", "no cassette: while parsing a flow node .* line 2, column 1$"),
        ("version: 1\ninteractions: []", r"no cassette: \$\.interactions: .* non-empty$"),
        ("[" * 5000, r"\S"),
    ],
    ids=["no YAML", "no cassette", "too deep"],
)
def test_a_file_that_cannot_be_opened_does_not_end_the_list(
    tmp_path: Path, content: str, reason: str
) -> None:
    broken = tmp_path / "a" / "broken.yaml"
    good = cassette(tmp_path / "a" / "good.yaml")
    broken.write_text(content)

    lines = listed(broken, tmp_path, good).splitlines()

    assert re.match(rf"a/broken +{reason}", lines[1])
    assert lines[2].endswith("  there is no such cassette")
    assert lines[3].startswith("a/good ")
    assert lines[-1] == "3 cassettes, 1 emulator, 1 turn, 100 B, 2 cannot be opened"


def test_a_body_that_is_a_number_does_not_end_the_list(tmp_path: Path) -> None:
    path = cassette(tmp_path / "a" / "odd.yaml", size=1)
    path.write_text(path.read_text().replace("string: x", "string: 5"))

    assert "1 cannot be opened" in listed(path)


def test_nothing_in_a_cassette_can_act_on_the_terminal(tmp_path: Path) -> None:
    attack = "\x1b]0;owned\x07\nx"
    path = cassette(tmp_path / "a" / "odd.yaml", model=attack, client=attack)
    named = cassette(tmp_path / "a" / "\x1b[2J.yaml")

    text = listed(path, named)

    assert "\x1b" not in text
    assert len(text.splitlines()) == 5
    assert text.count(r"\x1b]0;owned\x07\nx") == 2


def test_an_empty_list_has_a_total() -> None:
    assert listed().splitlines()[-1] == "0 cassettes, 0 turns, 0 B"
