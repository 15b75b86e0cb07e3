"""One case: a cassette is the provider, its recorded requests are the client, the proxy is between.

What comes out is the replay itself, for the snapshot, and its faults, each with its place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from harness import rules, schema
from harness.cassette import (
    Cassette,
    InvalidCassette,
    backend_of,
    check_digest,
    chunks_of,
    load,
    open_cassette,
)
from harness.chat_stream import read_chat_stream
from harness.client import CREDENTIAL, PATIENCE, Event, read_events, send
from harness.provider import Provider
from harness.rules import Exchange, Fault
from harness.scenarios import Backend
from harness.transport import CassetteTransport, Pace
from harness.turns import TurnTransport
from harness.variants import AS_RECORDED, Variant

__all__ = [
    "Replay",
    "case_name",
    "changes",
    "edge_faults",
    "faults",
    "recorded_turns",
    "replay",
    "schema_faults",
]


@dataclass(slots=True)
class Replay:
    """What happened when a cassette was replayed through a proxy."""

    name: str
    exchanges: list[Exchange] = field(default_factory=list)
    #: What the proxy sent to the provider, in order.
    upstream_requests: list[Any] = field(default_factory=list)
    #: The credentials it showed there.
    credentials: list[str] = field(default_factory=list)
    #: Why a request upstream was in no recording.
    misses: list[str] = field(default_factory=list)
    #: Paths of the recorded requests that never came.
    unplayed: list[str] = field(default_factory=list)
    #: Why the proxy was not reached, if it was not.
    unreached: str | None = None
    #: The file, as a person would name it.
    file: str = ""
    backend: Backend = "cerebras"
    #: What the provider sent in each turn: milliseconds since the client's request, and bytes.
    chunks: list[list[tuple[float, bytes]]] = field(default_factory=list)


def case_name(path: Path) -> str:
    """Return the name of a cassette: its folder, which is the backend, and its stem."""
    return f"{path.parent.name}/{path.stem}"


def replay(
    path: Path,
    url: str,
    provider: Provider,
    *,
    variant: Variant = AS_RECORDED,
    by_turn: bool = False,
    timeout: float = PATIENCE,
) -> Replay:
    """Play the cassette at `path` through the proxy at `url`, whose provider is `provider`.

    `url` is the proxy's root; or, where the proxy is another, its base URL, and the provider
    answers `by_turn`, whatever the wording of the request. The whole case has `timeout` seconds.
    Raises `InvalidCassette`.
    """
    played = Replay(case_name(path), file=_shown(path))
    clock = _Clock(variant.pace)
    over = time.perf_counter() + timeout
    with open_cassette(path) as cassette:
        check_digest(cassette)
        variant.apply(cassette)
        played.backend = backend_of(cassette)
        turn = TurnTransport(pace=clock.pace)
        provider.play(turn if by_turn else CassetteTransport(cassette, pace=clock.pace))
        for number, (request, responses) in enumerate(_turns(cassette), 1):
            turn.begin(responses)
            clock.start()
            where = f"{played.file}, turn {number}"
            try:
                answer = send(
                    url,
                    request["body"],
                    path=request["path"].removeprefix("/v1" if by_turn else ""),
                    headers=request["headers"],
                    timeout=max(over - time.perf_counter(), 0.1),
                )
            except httpx.TransportError as error:
                played.unreached = f"{url}: {error or type(error).__name__}"
                break
            if by_turn:
                if not turn.played:
                    played.unplayed.append(f"{request['path']} (turn {number})")
                responses = turn.played or responses[:1]
            played.chunks.append(clock.chunks(responses))
            said = read_chat_stream(responses[-1]["body"]["string"])
            played.exchanges.append(Exchange(answer, said, where, request, responses, number))
        # Another proxy may go on reading after it has answered.
        provider.settle(1 if by_turn else PATIENCE)
        if not by_turn:
            played.unplayed = list(_unplayed(cassette))
    played.upstream_requests = [request for request in provider.requests if request != b""]
    played.credentials = provider.credentials
    played.misses = provider.misses
    return played


class _Clock:
    """Takes down when each chunk of a turn is sent."""

    def __init__(self, pace: Callable[[], Pace]) -> None:
        self._pace = pace
        self.start()

    def start(self) -> None:
        """Begin a turn."""
        self._started = time.perf_counter()
        self._streams: list[list[float]] = []

    def pace(self) -> Pace:
        """Return the pace of one stream."""
        pace, started = self._pace(), self._started
        times: list[float] = []
        self._streams.append(times)

        async def timed(number: int, milliseconds: float) -> None:
            await pace(number, milliseconds)
            times.append((time.perf_counter() - started) * 1000)

        return timed

    def chunks(self, responses: Sequence[Mapping[str, Any]]) -> list[tuple[float, bytes]]:
        """Return what was sent of `responses` in this turn, the last perhaps more than once."""
        return [
            (at, data)
            for number, times in enumerate(self._streams)
            for at, (_, data) in zip(
                times, chunks_of(responses[min(number, len(responses) - 1)]), strict=False
            )
        ]


def recorded_turns(path: Path) -> list[list[Event]]:
    """Return the events that were recorded of the ChatGPT backend, turn by turn.

    Raises `InvalidCassette`.
    """
    turns = _turns(load(path))
    return [read_events(responses[-1]["body"]["string"]) for _, responses in turns]


def faults(played: Replay) -> list[Fault]:
    """Return what is wrong with a replay: first the edges, then schemas, then rules.

    Where the proxy asked for something that is not recorded, the rest only follows from it.
    """
    found = list(edge_faults(played))
    if played.misses:
        return found
    for exchange in played.exchanges:
        if played.backend == "chatgpt":
            found += changes(exchange)
            continue
        invalid = list(schema_faults(exchange))
        # A rule may take for granted what the schemas say.
        found += invalid or rules.check(exchange)
    return found


def changes(exchange: Exchange) -> Iterator[Fault]:
    """Yield where a backend that is passed through did not pass as it was."""
    recorded, answer = exchange.responses[-1], exchange.answer
    expected = (recorded["status"]["code"], recorded["body"]["string"])
    if (answer.status, answer.body) != expected:
        requirement = "the ChatGPT backend's answer passes byte for byte"
        pairs = zip(expected[1], answer.body, strict=False)
        same = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
        shown = slice(max(0, (same or 0) - 20), (same or 0) + 60)
        was, came = [
            f"HTTP {status}, {len(body)} bytes, from byte {shown.start}: {body[shown]!r}"
            for status, body in (expected, (answer.status, answer.body))
        ]
        yield Fault("edge/5", requirement, was, came, exchange.where, turn=exchange.turn)
    if (broken := recorded["stream"]["end"] != "complete") != (answer.broken is not None):
        requirement = "a stream of the ChatGPT backend that breaks, breaks"
        expected_end = "a broken connection" if broken else "a stream that ends"
        came = answer.broken or "it ended"
        yield Fault("edge/6", requirement, expected_end, came, exchange.where, turn=exchange.turn)


def edge_faults(played: Replay) -> Iterator[Fault]:
    where = played.file
    if played.unreached is not None:
        yield Fault("edge/1", "the proxy is reached", "an answer", played.unreached, where)
    for miss in played.misses:
        requirement = "the request upstream is the recorded one"
        yield Fault("edge/2", requirement, "a recorded request", miss, where)
    passes = played.backend == "chatgpt"  # what the client shows is what the backend gets
    if not passes and any(CREDENTIAL in credential for credential in played.credentials):
        requirement = "the provider gets the configured key, and nothing of the client's"
        yield Fault("edge/4", requirement, "the configured key", "the client's credential", where)
    for request in () if played.misses else played.unplayed:
        requirement = "every recorded interaction is played"
        yield Fault("edge/3", requirement, request, "the proxy never sent it", where)
    requests = played.upstream_requests if played.backend == "cerebras" else ()
    for number, request in enumerate(requests):
        for schema_fault in schema.check(request, "chat/request.json"):
            requirement = "nothing is sent that the provider would reject"
            expected = "valid against schemas/chat/request.json"
            place = f"{where}, request {number + 1}"
            yield Fault("request/1", requirement, expected, str(schema_fault), place)


def schema_faults(exchange: Exchange) -> Iterator[Fault]:
    for event in exchange.events:
        if event.data is None:
            continue  # framing/3 says it
        for schema_fault in schema.check_event(event.data):
            yield Fault(
                "schema",
                "every event is valid",
                f"valid against schemas/responses/events/{event.type}.json",
                str(schema_fault),
                f"{exchange.where}, event {event.number} ({event.type})",
                event=event.number,
                turn=exchange.turn,
            )


def _shown(path: Path) -> str:
    """Return the path from here, where it is below here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _turns(cassette: Cassette) -> Iterator[tuple[dict[str, Any], Sequence[Mapping[str, Any]]]]:
    """Yield each request of the client, with all answers that it took to answer it."""
    if "client_request" not in cassette.responses[0]:
        raise InvalidCassette(f"{cassette.path}: has no client_request to send")
    turns: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for response in cassette.responses:
        if (recorded := response.get("client_request")) is not None:
            try:
                turns.append(({**recorded, "body": json.loads(recorded["body"])}, []))
            except ValueError as error:
                raise InvalidCassette(
                    f"{cassette.path}: a client_request is no JSON: {error}"
                ) from None
        turns[-1][1].append(response)
    yield from turns


def _unplayed(cassette: Cassette) -> Iterator[str]:
    for index, request in enumerate(cassette.requests):
        if not cassette.play_counts[index]:
            yield f"{request.method} {request.path} (interaction {index + 1})"
