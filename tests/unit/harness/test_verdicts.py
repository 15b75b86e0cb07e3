from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.verdicts import Case, Line, Run, Turn, Verdict, read_lines, write_lines

LINES: list[Line] = [
    Run("2026-11-22T20:00:00+00:00", "0.1.0", "this proxy", strict=True),
    Case(
        "this proxy",
        "cerebras/hello",
        "recorded",
        [
            Turn(
                [(0.5, 14, "data: {\u20ac}\r\n"), (1.5, 0, "")],
                [(0.9, "response.created", {"type": "response.created"}), (2.0, "", None)],
            )
        ],
    ),
    Verdict("this proxy", "cerebras/hello", "recorded", "items/1", "MUST", "pass"),
    Verdict(
        "this proxy",
        "cerebras/hello",
        "recorded",
        "items/2",
        "SHOULD",
        "fault",
        where="hello.yaml, turn 1, event 3 (response.created)",
        expected="one\nof them",
        actual="half a pair: \ud83d, and a separator: \u2028",
        turn=1,
        event=3,
        requirement="SHOULD: it is there",
    ),
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verdicts.jsonl"
    write_lines(LINES, path)

    assert list(read_lines(path)) == LINES
    assert [one.name for one in path.parent.iterdir()] == ["verdicts.jsonl"]


def test_each_line_is_one_object_with_its_kind(tmp_path: Path) -> None:
    write_lines(LINES, tmp_path / "v.jsonl")
    lines = (tmp_path / "v.jsonl").read_text(encoding="ascii").splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]

    assert kinds == ["run", "case", "verdict", "verdict"]
    assert json.loads(lines[1])["turns"][0]["chunks"][0] == [0.5, 14, "data: {\u20ac}\r\n"]


def test_a_run_that_breaks_leaves_the_last_report(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    write_lines(LINES[:1], path)

    def broken() -> list[Line]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_lines((line for _ in range(1) for line in broken()), path)
    assert list(read_lines(path)) == LINES[:1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_field_of_a_newer_suite_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    write_lines(LINES[:1], path)
    path.write_text(path.read_text().replace('"suite"', '"colour":"blue","suite"'))

    assert list(read_lines(path)) == LINES[:1]


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "7", '{"kind":"cake"}', '{"kind":"run"}', '{"kind":"case","turns":[{}]}'],
)
def test_what_is_no_report_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    write_lines(LINES[:1], path)
    with path.open("a") as file:
        file.write(f"{line}\n")

    with pytest.raises(HarnessError, match=r"v\.jsonl, line 2: is no line of a report"):
        list(read_lines(path))


def test_an_unknown_verdict_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    write_lines(LINES[2:3], path)
    path.write_text(path.read_text().replace('"pass"', '"maybe"'))

    with pytest.raises(HarnessError, match="'maybe' is no verdict"):
        list(read_lines(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"none\.jsonl: cannot be read"):
        list(read_lines(tmp_path / "none.jsonl"))
