"""The conversation that is summed up."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule


@rule(
    "compaction/1",
    "a request to sum up the conversation is answered with one compaction item, and nothing else",
    breaks="Codex from 0.144: 'expected exactly one compaction output item'",
)
def is_one_item(exchange: Exchange) -> Iterator[Violation]:
    if exchange.compacts and exchange.due == "response.completed":
        done = [e["item"] for e in exchange.events if e.type == "response.output_item.done"]
        kinds = [item["type"] for item in done]
        if kinds != ["compaction"] or not done[0].get("encrypted_content"):
            yield Violation("['compaction'], with encrypted_content", f"{kinds}")
