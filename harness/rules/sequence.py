"""The numbers of the events."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule


@rule(
    "sequence/1",
    "every event has a `sequence_number`, counting up by one from 0",
    breaks="clients that resume a stream",
    source="OpenAI's specification; the SDK's state machine does not notice",
)
def counts(exchange: Exchange) -> Iterator[Violation]:
    for expected, event in enumerate(exchange.events):
        if event["sequence_number"] != expected:
            actual = f"sequence_number {event['sequence_number']}"
            yield Violation(f"sequence_number {expected}", actual, event)
            return
