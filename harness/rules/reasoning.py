"""What the model thinks before it answers."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule
from harness.rules.stream import text_of
from harness.rules.text import differing, parting


@rule(
    "reasoning/1",
    "the reasoning that is done is the provider's, to the byte",
    breaks="Codex, all versions, and the model, which gets it back",
    source="Codex gives summary and content of a reasoning back with the next request",
    needs="provider",
)
def reasoning_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.failed" and not exchange.compacts:
        done = (item for item in exchange.stream.done if item["type"] == "reasoning")
        expected, actual = exchange.said.reasoning, "".join(text_of(item) for item in done)
        for found in differing(expected, actual):
            chunk = exchange.said.chunk_of("reasoning", parting(expected, actual))
            yield Violation(found.expected, found.actual, chunk=chunk)


@rule(
    "reasoning/2",
    "reasoning with text has it in its `summary`",
    breaks="Codex, all versions: `codex exec` shows no raw reasoning",
    source="Codex 0.45 and 0.163: reasoning_text is shown with show_raw_agent_reasoning alone",
    level="SHOULD",
)
def reasoning_is_shown(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        if item.type == "reasoning" and item.final.get("content") and not item.final["summary"]:
            yield Violation("a summary", "content alone", item.done)
