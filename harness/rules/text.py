"""What the model says to the person."""

from __future__ import annotations

from collections.abc import Iterator

from harness.client import Event
from harness.rules import Exchange, Violation, rule
from harness.rules.stream import text_of


@rule(
    "text/1",
    "the text of the messages that are done is the provider's, to the byte",
    breaks="Codex, all versions",
    source="Codex shows and records the text as it is",
    needs="provider",
)
def text_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.failed" and not exchange.compacts:
        actual = "".join(text_of(it) for it in exchange.stream.done if it["type"] == "message")
        for found in differing(exchange.said.text, actual):
            chunk = exchange.said.chunk_of("text", parting(exchange.said.text, actual))
            yield Violation(found.expected, found.actual, chunk=chunk)


def parting(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((at for at, (mine, yours) in pairs if mine != yours), shorter)


def differing(expected: str, actual: str, event: Event | None = None) -> Iterator[Violation]:
    """Yield a violation that shows two texts where they part, however long they are."""
    if expected != actual:
        at = parting(expected, actual)
        shown = slice(max(0, at - 20), at + 60)
        where = f"from character {shown.start}"
        yield Violation(f"{expected[shown]!r} {where}", f"{actual[shown]!r} {where}", event)
