"""How the events stand on the wire."""

from __future__ import annotations

from collections.abc import Iterator

from harness.client import Event
from harness.rules import Exchange, Unjudged, Violation, rule


@rule(
    "framing/1",
    "an answer that streams is 200 text/event-stream",
    breaks="the OpenAI SDK",
    source="the specification of server-sent events; Codex does not look at the type",
    needs="provider",
)
def is_event_stream(exchange: Exchange) -> Iterator[Violation]:
    answer = exchange.answer
    if exchange.status != 200 and answer.status != 200:
        return  # failures/1 says whether that is right
    if answer.status != 200 or not answer.content_type.startswith("text/event-stream"):
        actual = f"HTTP {answer.status} {answer.content_type}: {answer.text}"
        yield Violation("HTTP 200 text/event-stream", actual)


@rule(
    "framing/2",
    "the `event:` line of an event equals the `type` in its data",
    breaks="clients that dispatch on the name, as the specification has it",
    source="every stream that was recorded of OpenAI and of ChatGPT's backend",
)
def names_its_type(exchange: Exchange) -> Iterator[Violation]:
    for event in exchange.events:
        if event.name != event.type:
            yield Violation(f"event: {event.type}", f"event: {event.name}", event)


@rule(
    "framing/3",
    "the data of each event is one JSON object, and the body ends after a whole event",
    breaks="Codex, all versions, and the OpenAI SDK",
    source="Codex 0.45 and 0.169: what is no JSON is skipped, and what it said is lost",
)
def is_whole(exchange: Exchange) -> Iterator[Violation]:
    if exchange.answer.status != 200:
        return
    odd = [block for block in _others(exchange) if not _is_no_event(block.raw)]
    for block in odd:
        yield Violation("data: {...}", block.raw.decode(errors="replace"), block)
    if exchange.outwaited:
        if not odd:
            raise Unjudged(Unjudged.OUTWAITED)
        return
    if exchange.answer.rest:
        yield Violation("a blank line after the last event", repr(exchange.answer.rest))
    if exchange.answer.broken:
        yield Violation("a body that ends as HTTP says", exchange.answer.broken)


@rule(
    "framing/4",
    "there is nothing but events: no comment to keep the stream alive, no `[DONE]`",
    breaks="Codex, all versions: its idle timer runs on over a comment",
    source="Codex 0.45 and 0.169: 300 s between two events, comments not counted",
    level="SHOULD",
)
def is_nothing_else(exchange: Exchange) -> Iterator[Violation]:
    for block in _others(exchange):
        if exchange.answer.status == 200 and _is_no_event(block.raw):
            yield Violation("an event", block.raw.decode(errors="replace"), block)


def _others(exchange: Exchange) -> list[Event]:
    """Return what stands between the events."""
    return [block for block in exchange.answer.events if block.data is None]


def _is_no_event(block: bytes) -> bool:
    """Tell whether a block is meant to be none: comments alone, or the end of Chat Completions."""
    done = (b"data: [DONE]", b"data:[DONE]")
    return all(line.startswith(b":") or line.rstrip(b"\r") in done for line in block.split(b"\n"))
