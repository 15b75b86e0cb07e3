"""Recording: every scenario, whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness import __version__, scenarios
from harness.cassette import chunks_of, digest, load, open_cassette, provenance
from harness.client import Event
from harness.emulator import Emulator
from harness.provider import Provider
from harness.record import Live, RecordingFailed, record
from harness.replay import faults, replay
from harness.server import BreakConnection
from harness.subject import OwnProxy
from tests.unit.harness.handmade import scenario, turn
from tests.unit.harness.upstreams import Say, Upstream, saying

KEY = "csk-of-the-emulator"
MODEL = "gpt-oss-120b"

SHORT = scenario(turn("Hi"))

CHUNK = b'data: {"id":"c","choices":[{"delta":{"content":"Hi"},"index":0}]}\n\n'

OLD = b"the old recording"


@dataclass
class Recordings:
    """A recording of every scenario, made of the emulator."""

    folder: Path
    #: By name: the turn and the type of each event that reached the client.
    told: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    def record(self, name: str) -> None:
        def tell(number: int, event: Event) -> None:
            self.told[name].append((number, event.type))

        record(scenarios.load(name), self.path(name), model=MODEL, on_event=tell)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.yaml"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    recordings = Recordings(tmp_path_factory.mktemp("cassettes") / "cerebras")
    # All at once: most of the time each of them waits.
    with ThreadPoolExecutor() as pool:
        list(pool.map(recordings.record, scenarios.names("cerebras")))
    return recordings


def old_file(folder: Path) -> Path:
    """Return a file that stands where something is to be recorded."""
    path = folder / "c.yaml"
    path.write_bytes(OLD)
    return path


def assert_unchanged(old: Path) -> None:
    assert old.read_bytes() == OLD
    assert list(old.parent.iterdir()) == [old]


def assert_kept_aside(attempt: Attempt, chunks: list[list[bytes]], end: str) -> None:
    assert attempt.old.read_bytes() == OLD
    kept = load(attempt.aside)
    assert [[chunk for _, chunk in chunks_of(answer)] for answer in kept.responses] == chunks
    assert [answer["stream"]["end"] for answer in kept.responses] == [end]


# --- what is recorded ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", scenarios.names("cerebras"))
def test_a_recording_replays_without_a_fault(
    name: str, recordings: Recordings, provider: Provider, proxy: OwnProxy
) -> None:
    played = replay(recordings.path(name), proxy.url, provider)

    turns = scenarios.load(name).turns
    asked_again = sum((turn.refusal is not None and turn.refusal.times) or 0 for turn in turns)
    if name == "server-error-once":  # the proxy asks again by itself
        asked_again = 0
    assert len(played.exchanges) == len(turns) + asked_again
    assert [str(fault) for fault in faults(played)] == []


@pytest.mark.parametrize("name", scenarios.names("cerebras"))
def test_a_recording_says_where_it_is_from(name: str, recordings: Recordings) -> None:
    with open_cassette(recordings.path(name)) as cassette:
        origin = provenance(cassette)
        sha256 = digest(cassette, origin)

    age = datetime.now(UTC) - datetime.fromisoformat(origin.pop("recorded_at"))
    assert timedelta(0) <= age < timedelta(minutes=10)
    assert origin == {
        "scenario": name,
        "backend": "cerebras",
        "model": MODEL,
        "upstream": "emulator",
        "client": f"script in the shape of {scenarios.load(name).client}",
        "recorder": f"codex-proxy-conformance {__version__}",
        "sha256": sha256,
    }


def test_the_emulators_port_is_in_no_recording(recordings: Recordings) -> None:
    for path in recordings.folder.iterdir():
        with open_cassette(path) as cassette:
            assert {asked.uri for asked in cassette.requests} == {
                "http://emulator/v1/chat/completions"
            }
        assert "127.0.0.1" not in path.read_text(encoding="utf-8")


def test_chunks_are_recorded_as_they_passed_by(recordings: Recordings) -> None:
    with open_cassette(recordings.path("create-file")) as cassette:
        chunks = chunks_of(cassette.responses[0])

    times = [milliseconds for milliseconds, _ in chunks]
    timing = scenarios.load("create-file").turns[0].timing
    assert times[0] >= (timing.queue + timing.prompt) * 1000
    # The stream was not held back and then passed on at once.
    assert len(chunks) > 2
    assert times[-1] - times[0] > 20


def test_events_are_told_with_their_turn(recordings: Recordings) -> None:
    told = recordings.told["create-file"]

    assert told[0] == (1, "response.created")
    assert [pair for pair in told if pair[1] == "response.completed"] == [
        (1, "response.completed"),
        (2, "response.completed"),
    ]
    assert told == sorted(told, key=lambda pair: pair[0])


# --- a live provider -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_live(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a provider that takes its time to end a stream that is over."""
    never = threading.Event()

    async def linger(say: Say) -> None:
        await say(CHUNK)
        await say(b'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}]}\n\n')
        await say(b"data: [DONE]\n\n")
        # By now the client has all of its answer.
        await asyncio.to_thread(never.wait, 0.2)

    upstream.does(linger)
    path = tmp_path_factory.mktemp("live") / "c.yaml"
    record(SHORT, path, model=MODEL, live=Live(f"{upstream.url}/v1", KEY))
    return path


def test_a_provider_that_takes_its_time_is_waited_for(from_live: Path) -> None:
    with open_cassette(from_live) as cassette:
        (answer,) = cassette.responses

    assert answer["stream"]["end"] == "complete"
    assert answer["body"]["string"].endswith(b"data: [DONE]\n\n")


def test_a_live_provider_is_recorded_by_its_own_name(from_live: Path, upstream: Upstream) -> None:
    with open_cassette(from_live) as cassette:
        assert provenance(cassette)["upstream"] == "live"
        assert cassette.requests[0].uri == f"{upstream.url}/v1/chat/completions"


def test_the_key_is_in_no_recording(from_live: Path) -> None:
    assert KEY not in from_live.read_text(encoding="utf-8")


# --- what fails ----------------------------------------------------------------------------------


@dataclass
class Attempt:
    """A recording that failed."""

    said: str
    #: What stood where it was to be written.
    old: Path

    @property
    def aside(self) -> Path:
        """Where a stream that broke is kept."""
        return self.old.parent / "broken" / self.old.name


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Attempt]:
    """Recordings of providers with which something is wrong."""

    async def break_off(say: Say) -> None:
        await say(CHUNK)
        raise BreakConnection

    def attempt(provider: Live) -> Attempt:
        old = old_file(tmp_path_factory.mktemp("attempt"))
        with pytest.raises(RecordingFailed) as raised:
            record(SHORT, old, model=MODEL, live=provider)
        return Attempt(str(raised.value), old)

    with (
        Emulator(SHORT, api_key=KEY) as cerebras,
        Upstream() as breaking,
        Upstream() as stopping,
        ThreadPoolExecutor() as pool,
    ):
        breaking.does(break_off)
        stopping.does(saying(CHUNK))
        providers = {
            "a wrong key": Live(f"{cerebras.url}/v1", "csk-wrong"),
            "nobody there": Live("http://127.0.0.1:1/v1", KEY),
            "a stream that is cut": Live(f"{breaking.url}/v1", KEY),
            "a stream without a finish_reason": Live(f"{stopping.url}/v1", KEY),
        }
        return dict(zip(providers, pool.map(attempt, providers.values()), strict=True))


def test_a_wrong_key_is_told_in_the_providers_words(attempts: dict[str, Attempt]) -> None:
    attempt = attempts["a wrong key"]

    assert attempt.said.startswith("turn 1: the provider answered HTTP 401: {")
    assert '"message":"Wrong API Key"' in attempt.said
    assert_unchanged(attempt.old)


def test_a_provider_that_cannot_be_reached_is_told_as_such(attempts: dict[str, Attempt]) -> None:
    attempt = attempts["nobody there"]

    assert attempt.said == (
        "turn 1: http://127.0.0.1:1/v1/chat/completions cannot be reached: "
        "All connection attempts failed"
    )
    assert_unchanged(attempt.old)


def test_a_live_stream_that_breaks_is_kept_beside_the_old_recording(
    attempts: dict[str, Attempt],
) -> None:
    attempt = attempts["a stream that is cut"]

    assert attempt.said == (
        "turn 1: the provider's stream ended early: cut; the old recording stands, and this one "
        f"is in {attempt.aside}"
    )
    assert_kept_aside(attempt, [[CHUNK]], "cut")


def test_a_stream_that_the_proxy_cannot_complete_is_kept_beside_it_too(
    attempts: dict[str, Attempt],
) -> None:
    attempt = attempts["a stream without a finish_reason"]

    assert attempt.said.startswith("turn 1: the proxy's answer ended with response.failed: ")
    assert_kept_aside(attempt, [[CHUNK]], "complete")
