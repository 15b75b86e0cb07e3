"""When the chunks of a recording come: the wire's times are recorded, and kept in a replay."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from harness.cassette import chunks_of, open_cassette
from harness.provider import Provider
from harness.transport import CassetteTransport, as_recorded
from tests.unit.harness.handmade import URL, request, response, write
from tests.unit.harness.upstreams import Seen, fetch

#: Milliseconds that a machine may be late; one that is busy has more than one try.
LATE = 25
TRIES = 5

#: A stream of 150 ms.
TIMES = [0.0, 50, 100, 150]
CHUNKS = [b"one", b"two", b"three", b"four"]


def in_time(at: Iterable[float]) -> bool:
    """Return whether no chunk came late; none may come early, however busy a machine is."""
    late = [came - expected for came, expected in zip(at, TIMES, strict=True)]
    assert min(late) >= -1
    return max(late) < LATE


def test_times_and_sizes_are_those_of_the_wire(tmp_path: Path, provider: Provider) -> None:
    paced = write(tmp_path / "paced.yaml", (request(), response(*CHUNKS, at=TIMES)))

    def recorded(name: str) -> list[float]:
        with (
            open_cassette(paced) as cassette,
            open_cassette(tmp_path / name, record=True) as anew,
        ):
            provider.play(CassetteTransport(cassette, pace=as_recorded))
            url = f"{provider.base_url}/chat/completions"
            fetch(anew, url, record=True, content=cassette.requests[0].body)
        with open_cassette(tmp_path / name) as cassette:
            times, chunks = zip(*chunks_of(cassette.responses[0]), strict=True)
        assert list(chunks) == CHUNKS
        return list(times)

    assert any(in_time(recorded(f"{number}.yaml")) for number in range(TRIES))


def test_at_once_waits_for_nothing(tmp_path: Path) -> None:
    hours = [3_600_000.0 * number for number in range(4)]
    path = write(tmp_path / "c.yaml", (request(), response(*CHUNKS, at=hours)))

    with open_cassette(path) as cassette:
        seen = fetch(cassette, URL, content=request().body)

    assert seen.chunks == CHUNKS
    assert seen.at[-1] < 1000


def test_as_recorded_keeps_the_times_of_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(*CHUNKS, at=TIMES)))

    def seen() -> Seen:
        with open_cassette(path) as cassette:
            return fetch(cassette, URL, content=request().body, pace=as_recorded)

    assert seen().chunks == CHUNKS
    assert any(in_time(seen().at) for _ in range(TRIES))


def test_as_recorded_can_be_made_faster(tmp_path: Path) -> None:
    seconds = [0.0, 5_000, 10_000, 15_000]
    path = write(tmp_path / "c.yaml", (request(), response(*CHUNKS, at=seconds)))

    def seen() -> Seen:
        pace = lambda: as_recorded(speed=100)  # noqa: E731
        with open_cassette(path) as cassette:
            return fetch(cassette, URL, content=request().body, pace=pace)

    assert any(in_time(seen().at) for _ in range(TRIES))


def test_each_stream_begins_its_own_time(tmp_path: Path) -> None:
    answer = response(b"one", b"two", at=[0, 50])
    path = write(tmp_path / "c.yaml", (request(), answer), (request(), answer))

    with open_cassette(path) as cassette:
        fetch(cassette, URL, content=request().body, pace=as_recorded)
        start = time.perf_counter()
        fetch(cassette, URL, content=request().body, pace=as_recorded)

    assert time.perf_counter() - start >= 0.049
