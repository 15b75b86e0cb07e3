"""One case: a cassette is the provider, its recorded requests are the client, the proxy is between.

What comes out is the replay itself, for the snapshot, and its faults, each with its place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from harness import rules, schema
from harness.cassette import (
    Cassette,
    InvalidCassette,
    backend_of,
    check_digest,
    load,
    open_cassette,
)
from harness.chat_stream import read_chat_stream
from harness.client import CREDENTIAL, PATIENCE, Event, read_events, send
from harness.provider import Provider
from harness.rules import Exchange, Fault, UpstreamRequest
from harness.rules.asked import tools_of
from harness.scenarios import Backend
from harness.transport import CassetteTransport
from harness.turns import TurnTransport
from harness.variants import AS_RECORDED, Variant
from harness.watch import Watch

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

#: What Codex sends too, and no recording keeps: it is not for the provider.
_PRIVATE: Final = {
    "chatgpt-account-id": "the-clients-own-account",
    "openai-beta": "responses=experimental",
    "originator": "codex_exec",
    "session_id": "the-clients-own-session",
    "x-codex-turn-metadata": "{}",
}


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
    # As it was recorded, the provider waits until the proxy has passed on what it said.
    watch = Watch(None if variant is AS_RECORDED else variant.pace)
    over = time.perf_counter() + timeout
    with open_cassette(path) as cassette:
        check_digest(cassette)
        variant.apply(cassette)
        played.backend = backend_of(cassette)
        turn = TurnTransport(pace=watch.pace)
        provider.play(turn if by_turn else CassetteTransport(cassette, pace=watch.pace))
        private = _PRIVATE if played.backend == "cerebras" else {}
        summaries: list[str] = []
        for number, (request, responses) in enumerate(_turns(cassette), 1):
            turn.begin(responses, tools_of(request["body"]))
            asked = len(provider.requests)
            where = f"{played.file}, turn {number}"
            try:
                answer = send(
                    url,
                    request["body"],
                    path=request["path"].removeprefix("/v1" if by_turn else ""),
                    headers=private | request["headers"],
                    timeout=max(round(over - time.perf_counter(), 1), 0.1),
                    on_events=watch.begin(request, responses),
                )
            except httpx.TransportError as error:
                played.unreached = f"{url}: {error or type(error).__name__}"
                break
            if by_turn:
                if not turn.played:
                    played.unplayed.append(f"{request['path']} (turn {number})")
                responses = turn.played or responses[:1]
            played.chunks.append(watch.chunks(answer.began))
            exchange = Exchange(
                answer,
                read_chat_stream(responses[-1]["body"]["string"]),
                where,
                request,
                responses,
                number,
                list(_asked(provider))[asked:],
                watch.sent(answer.began),
                tuple(summaries),
                by_turn and answer.gave_up and responses[-1]["stream"]["end"] == "timeout",
            )
            played.exchanges.append(exchange)
            summaries += [exchange.said.text] if exchange.compacts else []
        # Another proxy may go on reading after it has answered.
        provider.settle(1 if by_turn else PATIENCE)
        if not by_turn:
            played.unplayed = list(_unplayed(cassette))
    played.upstream_requests = [request for request in provider.requests if request != b""]
    played.credentials = provider.credentials
    played.misses = provider.misses
    return played


def _asked(provider: Provider) -> Iterator[UpstreamRequest]:
    yield from map(UpstreamRequest, provider.requests, provider.header_names)


def recorded_turns(path: Path) -> list[list[Event]]:
    """Return the events that were recorded of the ChatGPT backend, turn by turn.

    Raises `InvalidCassette`.
    """
    turns = _turns(load(path))
    return [read_events(responses[-1]["body"]["string"]) for _, responses in turns]


def faults(played: Replay) -> list[Fault]:
    """Return what is wrong with a replay: the edges, and for each turn requests, schemas, rules.

    Where the proxy asked for something that is not recorded, its streams only follow from it.
    """
    found = list(edge_faults(played))
    for exchange in played.exchanges:
        if played.backend == "chatgpt":
            found += () if played.misses else changes(exchange)
            continue
        found += rules.check(exchange, "request")
        if not played.misses:
            invalid = list(schema_faults(exchange))
            found += invalid
            found += rules.check(exchange, "stream", "provider", valid=not invalid)
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


def _turns(cassette: Cassette) -> Iterator[tuple[dict[str, Any], Sequence[dict[str, Any]]]]:
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
