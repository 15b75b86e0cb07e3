"""The response as a whole: how it begins and ends, and that it stays one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from harness.client import Event
from harness.rules import Exchange, Unjudged, Violation, rule
from harness.rules.stream import TERMINAL


@rule(
    "lifecycle/1",
    "`response.created` comes first, and once",
    breaks="the OpenAI SDK's stream()",
    source="OpenAI SDK: stream() raises where another event comes first",
)
def is_created_first(exchange: Exchange) -> Iterator[Violation]:
    for number, event in enumerate(exchange.events):
        if (number == 0) != (event.type == "response.created"):
            expected = "response.created" if number == 0 else "no second response.created"
            yield Violation(expected, event.type, event)


@rule(
    "lifecycle/2",
    "there is exactly one terminal event, and nothing after it",
    breaks="Codex, all versions (six requests; 0.45 waits 300 s), and the OpenAI SDK",
    source="Codex 0.45 and 0.169: 'stream closed before response.completed', and five more tries",
)
def ends_once(exchange: Exchange) -> Iterator[Violation]:
    if exchange.answer.status != 200:
        return  # failures/1 says whether that is right
    terminal = exchange.stream.terminal
    if not terminal and exchange.outwaited:
        raise Unjudged(Unjudged.OUTWAITED)
    if not terminal:
        last = exchange.events[-1] if exchange.events else None
        yield Violation(f"one of {', '.join(TERMINAL)}", "none", last)
    for event in exchange.events:
        if terminal and event.number > terminal[0].number:
            yield Violation(f"nothing after {terminal[0].type}", event.type, event)


@rule(
    "lifecycle/3",
    "the response has one id, in every event that carries it",
    breaks="the OpenAI SDK's stream()",
    source="OpenAI SDK: stream() raises where it changes; Codex: response.completed needs one",
)
def keeps_its_id(exchange: Exchange) -> Iterator[Violation]:
    yield from _changing(exchange, "id")  # the schema says that there is one


@rule(
    "lifecycle/4",
    "what the provider has finished is completed (or incomplete, where its limit cut it), "
    "and nothing else is",
    breaks="Codex, all versions: a failure looks like success, or the other way round",
    source="Codex 0.45 ignores response.incomplete, 0.163 and later tell it; a provider that stops "
    "without a finish_reason has not finished",
    needs="provider",
)
def ends_as_the_provider_did(exchange: Exchange) -> Iterator[Violation]:
    expected = exchange.due
    for event in exchange.stream.terminal:
        if event.type != expected:
            error = (event["response"] or {}).get("error")
            yield Violation(expected, f"{event.type} {error or ''}".strip(), event)


@rule(
    "lifecycle/5",
    "`response.in_progress` follows `response.created`",
    breaks="who shows that work has begun",
    source="OpenAI's specification; every stream that was recorded",
    level="SHOULD",
)
def is_in_progress_next(exchange: Exchange) -> Iterator[Violation]:
    for before, event in pairwise(exchange.events[:2]):
        if before.type == "response.created" and event.type != "response.in_progress":
            yield Violation("response.in_progress", event.type, event)


@rule(
    "lifecycle/6",
    "the response keeps its `created_at` and its `model`",
    breaks="who keeps a log of responses: it is another one each time",
    source="OpenAI's specification: both are of the response and not of the event",
)
def keeps_its_time_and_model(exchange: Exchange) -> Iterator[Violation]:
    yield from _changing(exchange, "created_at")
    yield from _changing(exchange, "model")


def _changing(exchange: Exchange, name: str) -> Iterator[Violation]:
    """Yield each event whose response has another `name` than the first one's."""
    for event, first in _responses(exchange):
        own = event["response"].get(name)
        if own != first["response"].get(name):
            yield Violation(f"{name} {first['response'].get(name)!r}", f"{name} {own!r}", event)


def _responses(exchange: Exchange) -> Iterator[tuple[Event, Event]]:
    """Yield each event that carries the response, and the first that does."""
    kinds = ("response.created", "response.in_progress", *TERMINAL)
    carriers = [event for kind in kinds for event in exchange.stream.by_type[kind]]
    for event in sorted(carriers, key=lambda event: event.number):
        yield event, carriers[0]
