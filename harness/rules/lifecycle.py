"""The response as a whole: how it begins, counts and ends."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@rule("lifecycle/1", "`response.created` comes first, and once", breaks="the OpenAI SDK's stream()")
def is_created_first(exchange: Exchange) -> Iterator[Violation]:
    for event in exchange.events:
        if (event.number == 0) != (event.type == "response.created"):
            expected = "response.created" if event.number == 0 else "no second response.created"
            yield Violation(expected, event.type, event)


@rule(
    "lifecycle/2",
    "there is exactly one terminal event, and nothing after it",
    breaks="Codex, all versions (six requests; 0.45 waits 300 s), and the OpenAI SDK",
)
def ends_once(exchange: Exchange) -> Iterator[Violation]:
    if exchange.answer.status != 200:
        return  # failures/1 says whether that is right
    terminal = [event for event in exchange.events if event.type in TERMINAL]
    if not terminal:
        yield Violation(
            f"one of {', '.join(TERMINAL)}",
            "none",
            exchange.events[-1] if exchange.events else None,
        )
    for event in exchange.events:
        if terminal and event.number > terminal[0].number:
            yield Violation(f"nothing after {terminal[0].type}", event.type, event)


@rule("lifecycle/3", "the response has one id, in every event that carries it", breaks="the SDK")
def keeps_its_id(exchange: Exchange) -> Iterator[Violation]:
    carriers = [event for event in exchange.events if isinstance(event["response"], dict)]
    for event in carriers:
        first, own = carriers[0]["response"].get("id"), event["response"].get("id")
        if not own or own != first:
            yield Violation(f"id {first!r}", f"id {own!r}", event)


@rule(
    "lifecycle/4",
    "what the provider has finished is completed (or incomplete, where its limit cut it), "
    "and nothing else is",
    breaks="Codex, all versions: a failure looks like success, or the other way round",
)
def ends_as_the_provider_did(exchange: Exchange) -> Iterator[Violation]:
    expected = exchange.due
    for event in exchange.events:
        if event.type in TERMINAL and event.type != expected:
            error = (event["response"] or {}).get("error")
            yield Violation(expected, f"{event.type} {error or ''}".strip(), event)


@rule(
    "sequence/1",
    "every event has a `sequence_number`, counting up by one from 0",
    breaks="clients that resume a stream",
)
def counts(exchange: Exchange) -> Iterator[Violation]:
    for event in exchange.events:
        if event["sequence_number"] != event.number:
            expected = f"sequence_number {event.number}"
            yield Violation(expected, f"sequence_number {event['sequence_number']}", event)
            return
