"""How the events stand on the wire."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule


@rule("framing/1", "an answer that streams is 200 text/event-stream", breaks="the OpenAI SDK")
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
)
def names_its_type(exchange: Exchange) -> Iterator[Violation]:
    for event in exchange.events:
        if event.data is not None and event.name != event.type:
            yield Violation(f"event: {event.type}", f"event: {event.name}", event)


@rule(
    "framing/3",
    "the data of each event is one JSON object, and the body ends after a whole event",
    breaks="Codex, all versions, and the OpenAI SDK",
)
def is_whole(exchange: Exchange) -> Iterator[Violation]:
    if exchange.answer.status != 200:
        return
    for event in exchange.events:
        if event.data is None:
            yield Violation("data: {...}", event.raw.decode(errors="replace"), event)
    if exchange.answer.rest:
        yield Violation("a blank line after the last event", repr(exchange.answer.rest))
    if exchange.answer.broken:
        yield Violation("a body that ends as HTTP says", exchange.answer.broken)
