"""What makes a cassette on disk one that cannot be relied on, or shown."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vcr.request import Request

from harness.cassette import digest, open_cassette
from harness.data import cassettes_folder
from harness.verify import OLDEST, Finding, verify
from tests.unit.harness.handmade import Json, request, response, write
from tests.unit.harness.made_up import MIXED

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
AGAIN = "record it again: conformance record hello"

CLIENT: Json = {"method": "POST", "path": "/v1/responses", "headers": {}, "body": "{}"}
ORIGIN: Json = {
    "scenario": "hello",
    "backend": "cerebras",
    "model": "gpt-oss-120b",
    "upstream": "emulator",
    "client": "script in the shape of codex-0.45",
    "recorded_at": "2026-11-21T12:00:00+00:00",
    "recorder": "codex-proxy-conformance 0.1.0",
}


def answer(*chunks: bytes, status: int = 200, asked: bool = True, **more: Any) -> Json:
    answered = response(*chunks, client_request=CLIENT if asked else None, **more)
    answered["status"]["code"] = status
    return answered


def recorded(folder: Path, *interactions: tuple[Request, Json], **origin: str | None) -> Path:
    """Write a cassette with this origin; a field that is None is left out of it."""
    path = folder / "cerebras" / "hello.yaml"
    data = interactions or ((request(), answer(b"one", b"two")),)
    write(path, *data)
    with open_cassette(path) as cassette:
        sha256 = digest(cassette, {**ORIGIN, **origin})
    return write(path, *data, provenance={**ORIGIN, "sha256": sha256, **origin})


def found(path: Path, *, now: datetime.datetime = NOW) -> list[Finding]:
    return verify(path, now=now)


def errors(path: Path) -> list[str]:
    """Return what is wrong; all of it must be an error that another recording mends."""
    findings = found(path)
    assert {(finding.level, finding.mend) for finding in findings} <= {("error", AGAIN)}
    return [finding.what for finding in findings]


def change(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(change(text), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text


def test_what_was_recorded_is_as_it_should_be(tmp_path: Path) -> None:
    assert found(recorded(tmp_path)) == []


@pytest.mark.parametrize("path", sorted(cassettes_folder().glob("*/*.yaml")), ids=lambda p: p.stem)
def test_what_is_published_is_as_it_should_be(path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)

    assert [finding for finding in verify(path, now=now) if finding.level == "error"] == []


# --- the file ------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "hello.yaml"

    assert errors(path) == [f"{path}: there is no such cassette"]


@pytest.mark.parametrize("content", [b"", b"version: 1", b"{", b"\xff\xfe", b"interactions: []"])
def test_a_file_that_is_no_cassette(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hello.yaml"
    path.write_bytes(content)

    (what,) = errors(path)

    assert what.startswith(f"{path}: ")


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="there is no /proc here")
def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "hello.yaml"
    path.symlink_to("/proc/self/mem")  # nobody can, not even root

    assert found(path) == [
        Finding("error", f"{path}: cannot be read: Input/output error", "let it be read")
    ]


def test_a_file_that_was_changed_by_hand(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    change(path, lambda text: text.replace("onetwo", "onetwx"))

    assert errors(path) == [f"{path}: was changed by hand; record it again"]


def test_a_chunk_before_the_one_ahead_of_it(tmp_path: Path) -> None:
    slow = answer(b"one", b"two", b"three", at=[0, 10.5, 10.5])
    back = answer(b"one", b"two", b"three", b"four", at=[5, 20.5, 20, 1])

    assert errors(recorded(tmp_path, (request(), slow), (request(b"{}"), back))) == [
        "interaction 2: chunk 3 came at 20 ms, after 20.5 ms"
    ]


# --- where it is from ----------------------------------------------------------------------------


def test_a_file_that_does_not_say_where_it_is_from(tmp_path: Path) -> None:
    path = write(tmp_path / "cerebras" / "hello.yaml", (request(), answer(b"one")))

    assert errors(path) == [f"{path}: has no metadata.provenance"]


@pytest.mark.parametrize(
    ("origin", "what"),
    [
        (
            {"scenario": "hallo"},
            "it says that its scenario is 'hallo', and lies where 'hello' does",
        ),
        (
            {"backend": "chatgpt"},
            "it says that its backend is 'chatgpt', and lies where 'cerebras' does",
        ),
        (
            {"recorded_at": "yesterday"},
            "it says that it was recorded at 'yesterday', which is no time",
        ),
        ({"sha256": "0" * 64}, "{path}: was changed by hand; record it again"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_origin_that_is_another(tmp_path: Path, origin: dict[str, str], what: str) -> None:
    path = recorded(tmp_path, **origin)

    assert errors(path) == [what.format(path=path)]


def test_a_folder_may_be_named_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recorded(tmp_path)
    monkeypatch.chdir(path.parent)

    assert found(Path("hello.yaml")) == []


@pytest.mark.parametrize("zone", ["+00:00", "Z", ""])
def test_an_old_recording_is_a_warning(tmp_path: Path, zone: str) -> None:
    path = recorded(tmp_path, recorded_at=f"2026-11-21T12:00:00{zone}")
    recorded_at = NOW - datetime.timedelta(days=1)

    assert found(path, now=recorded_at + OLDEST) == []
    assert found(path, now=recorded_at + OLDEST + datetime.timedelta(seconds=1)) == [
        Finding("warning", "it is 90 days old, and may show what is no more", AGAIN)
    ]
    assert verify(path, now=NOW, oldest=datetime.timedelta(hours=1)) != []


# --- who asked -----------------------------------------------------------------------------------

OTHER = request(b'{"model":"other"}')


@pytest.mark.parametrize(
    "failed",
    [
        answer(b"busy", status=503),
        answer(b"wait", status=429),
        answer(b"data: ", end="cut"),
        answer(end="timeout"),
    ],
    ids=lambda failed: f"{failed['status']['code']} {failed['stream']['end']}",
)
def test_what_failed_a_proxy_may_ask_again(tmp_path: Path, failed: Json) -> None:
    again = {key: value for key, value in failed.items() if key != "client_request"}
    laid_out = request(b'{ "messages": [], "model": "m" }')

    path = recorded(
        tmp_path,
        (request(), failed),
        (laid_out, again),
        (request(), answer(b"one", asked=False)),
        (OTHER, answer(b"two")),
    )

    assert found(path) == []


def test_what_nobody_asked_for(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        (request(), answer(b"busy", status=503, asked=False)),
        (OTHER, answer(b"another one", asked=False)),
        (OTHER, answer(b"an answer is not asked for again", asked=False)),
    )

    assert errors(path) == [
        f"interaction {number}: no client asked for it, and nothing that failed before it"
        for number in (1, 2, 3)
    ]


# --- secrets -------------------------------------------------------------------------------------


def test_a_secret_in_the_recording(tmp_path: Path) -> None:
    path = recorded(tmp_path, (request(), answer(f"data: csk-{MIXED}\n\n".encode())))

    assert found(path) == [
        Finding(
            "error",
            "interaction 1, response body, byte 6: Cerebras key (csk-a1...)",
            "record it again without that; a key that was published has to be revoked",
        )
    ]


def test_a_secret_that_is_in_the_file_alone(tmp_path: Path) -> None:
    path = recorded(tmp_path, model="jane@acme.com")
    change(path, lambda text: f"# csk-{MIXED}\n{text}")

    assert [finding.what for finding in found(path)] == [
        "line 1: Cerebras key (csk-a1...)",
        "line 7: e-mail address (jane...)",
    ]


# --- all of it -----------------------------------------------------------------------------------


def test_all_that_is_wrong_is_told_at_once_errors_first(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        (request(), answer(f"csk-{MIXED}".encode(), b"x", at=[2, 1], asked=False)),
        scenario="hallo",
        recorded_at="2020-01-01T00:00:00+00:00",
        sha256="0" * 64,
    )

    findings = found(path)

    assert [finding.level for finding in findings] == ["error"] * 5 + ["warning"]


def test_how_a_finding_is_told() -> None:
    told = str(Finding("warning", "it is 91 days old", "record it again"))

    assert told == "warning: it is 91 days old; record it again"
