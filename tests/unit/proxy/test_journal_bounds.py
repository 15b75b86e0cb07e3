"""Logs: how long they get, when they are written, and that no stream waits for them."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy import journal as journal_module
from proxy.journal import Journal, Tape
from proxy.record import Record
from tests.unit.proxy.logs import PIECES, ask, lines, logging_to
from tests.unit.proxy.provider import KEY, PATIENCE, Provider, stream
from tests.unit.proxy.streams import final, read, says

# --- how long ------------------------------------------------------------------------------------


def test_a_log_has_a_bound(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_LONGEST_LOG", 1000)
    journal = Journal(place, backend="cerebras", port=1)

    for number in range(100):
        journal.write(Record(method="POST", path=f"/{number}"))
    journal.close()

    assert sorted(path.name for path in place.glob("*.log*")) == ["proxy_1.log", "proxy_1.log.1"]
    for path in place.glob("*.log*"):
        assert path.stat().st_size < 1500
    assert b'"path":"/99"' in (place / "proxy_1.log").read_bytes()


def test_streams_are_bounded_in_number_and_length(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_MOST_TAPES", 3)
    monkeypatch.setattr(journal_module, "_LONGEST_TAPE", 200_000)
    journal = Journal(place, backend="cerebras", port=1)

    for _ in range(5):
        tape = Tape(journal)
        for _ in range(400):
            tape.receive(b"x" * 1000)
        tape.close()
    journal.close()

    kept = sorted((place / "cerebras_responses").glob("response_*"))
    assert [path.name for path in kept] == [f"response_00000{n}.txt" for n in (3, 4, 5)]
    assert all(130_000 < path.stat().st_size <= 200_000 for path in kept)


@pytest.mark.parametrize("secret", ["", KEY])
@pytest.mark.parametrize("pieces", [1, 16, 17, 3000])
def test_a_stream_may_come_in_any_number_of_pieces(place: Path, pieces: int, secret: str) -> None:
    """More of them than the system writes at once, too."""
    journal = Journal(place, backend="cerebras", port=1, secret=secret)
    data = bytes(range(256)) * 300

    tape = Tape(journal)
    for _ in range(2):
        size = len(data) // pieces + 1
        for at in range(0, len(data), size):
            tape.receive(data[at : at + size])
    tape.close()
    journal.close()

    assert (place / "cerebras_responses" / "latest_response.txt").read_bytes() == data * 2


def test_more_streams_at_once_than_are_kept_are_no_fault_of_the_disk(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal_module, "_MOST_TAPES", 3)
    journal = Journal(place, backend="cerebras", port=1)
    tapes = [Tape(journal) for _ in range(5)]

    for number, tape in enumerate(tapes):
        tape.receive(b"%d" % number * 64 * 1024)
    for tape in reversed(tapes):
        tape.close()
    journal.close()

    assert capsys.readouterr().err == ""
    kept = place / "cerebras_responses"
    assert sorted(path.name for path in kept.iterdir()) == [
        "latest_response.txt",
        *(f"response_00000{number}.txt" for number in (3, 4, 5)),
    ]
    assert (kept / "latest_response.txt").read_bytes() == b"2" * 64 * 1024


def test_two_proxies_do_not_write_into_one_stream(place: Path) -> None:
    journals = [Journal(place, backend="cerebras", port=port) for port in (1, 2)]
    tapes = [Tape(journal) for journal in journals]

    for _ in range(50):
        for number, tape in enumerate(tapes):
            tape.receive(b"%d" % number * 1000)
    for tape, journal in zip(tapes, journals, strict=True):
        tape.close()
        journal.close()

    kept = sorted((place / "cerebras_responses").glob("response_*"))
    assert sorted(path.read_bytes() for path in kept) == [b"0" * 50_000, b"1" * 50_000]


def test_what_one_proxy_numbers_another_goes_on_from(place: Path) -> None:
    journals = [Journal(place, backend="cerebras", port=port) for port in (1, 2)]

    for journal in (*journals, *journals):
        tape = Tape(journal)
        tape.receive(b"x")
        tape.close()
        written = threading.Event()
        journal.put(0, written.set)
        assert written.wait(PATIENCE)
    for journal in journals:
        journal.close()

    kept = sorted((place / "cerebras_responses").glob("response_*"))
    assert [path.name for path in kept] == [f"response_00000{n}.txt" for n in (1, 2, 3, 4)]


def waits(place: Path, write: Callable[[Journal, Callable[[], None]], object]) -> list[float]:
    """Return the seconds until what is handed over to an idle journal was written, five times."""
    journal = Journal(place, backend="cerebras", port=1)
    seconds = []
    for _ in range(5):
        written = threading.Event()
        began = time.monotonic()
        write(journal, written.set)
        assert written.wait(PATIENCE)
        seconds.append(time.monotonic() - began)
    journal.close()
    return seconds


def test_clients_get_their_answers_before_anything_is_written(place: Path) -> None:
    def write_some(journal: Journal, done: Callable[[], None]) -> None:
        for _ in range(100):
            journal.put(10_000, lambda: None)
        journal.put(0, done)

    assert min(waits(place, write_some)) > 0.04


def test_what_has_no_room_to_wait_is_written_at_once(place: Path) -> None:
    assert min(waits(place, lambda journal, done: journal.put(9_000_000, done))) < 0.04


def test_a_long_stream_is_written_at_once_when_it_is_over(place: Path) -> None:
    def write_a_stream(journal: Journal, done: Callable[[], None]) -> None:
        journal.put(0, done)
        tape = Tape(journal)
        tape.receive(b"x" * 2_000_000)
        tape.close()

    assert min(waits(place, write_a_stream)) < 0.04


def test_a_proxy_that_ends_does_not_wait_for_more(place: Path) -> None:
    began = time.monotonic()
    for _ in range(5):
        journal = Journal(place, backend="cerebras", port=1)
        journal.write(Record(method="POST", path="/responses"))
        journal.close()

    assert time.monotonic() - began < 5 * 0.04
    assert (place / "proxy_1.log").read_text().count("\n") == 5


# --- a disk that fails ---------------------------------------------------------------------------


def test_a_full_disk_is_said_once_and_breaks_nothing(
    place: Path, upstream: Provider, provider_url: str
) -> None:
    upstream.answer = stream(says("x" * 20_000), *PIECES)

    with ExitStack() as stack:
        _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # for the process that starts now
        try:
            proxy = stack.enter_context(logging_to(place, provider_url))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        for _ in range(3):
            assert final(read(ask(proxy.url).content))["status"] == "completed"

    _, said = proxy.said.splitlines()
    assert said == (
        f"codex-proxy: cannot write the logs in {place}: File too large; "
        "requests are answered all the same"
    )


def test_a_disk_that_has_place_for_a_part_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = [b"%d" % number * 50_000 for number in range(4)]
    journal = Journal(place, backend="cerebras", port=1)
    tape = Tape(journal)

    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    try:
        for piece in pieces:
            tape.receive(piece)
        tape.close()
        journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert "File too large" in capsys.readouterr().err
    latest = place / "cerebras_responses" / "latest_response.txt"
    assert latest.read_bytes() == b"".join(pieces)[:120_000]


def test_a_full_device_is_survived(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(place, backend="cerebras", port=1)
    full = os.open("/dev/full", os.O_WRONLY)

    journal.put(1, lambda: print(os.write(full, b"x")))  # noqa: T201
    journal.write(Record(method="GET", path="/after"))
    journal.close()
    os.close(full)

    assert "No space left on device" in capsys.readouterr().err
    assert [line["path"] for line in lines(place)] == ["/after"]


def test_a_directory_that_is_gone_is_survived(
    place: Path, upstream: Provider, provider_url: str
) -> None:
    upstream.answer = stream(*PIECES)

    with logging_to(place, provider_url) as proxy:
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        place.rmdir()
        assert final(read(ask(proxy.url).content))["status"] == "completed"

    assert "No such file or directory" in proxy.said


def test_a_disk_that_hangs_delays_nothing_and_takes_no_memory(place: Path) -> None:
    journal = Journal(place, backend="cerebras", port=1)
    reading, writing = os.pipe()
    journal.put(1, lambda: print(os.read(reading, 1)))  # noqa: T201 - waits, as a disk may
    tape = Tape(journal)

    began = time.monotonic()
    for _ in range(1000):
        tape.receive(b"x" * 100_000)
    assert time.monotonic() - began < PATIENCE
    assert tape.cut
    assert [journal.put(1_000_000, lambda: None) for _ in range(20)][-1] is False

    os.write(writing, b"x")
    journal.close()
    os.close(reading)
    os.close(writing)
