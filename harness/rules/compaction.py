"""The conversation that is summed up."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule
from harness.rules.asked import input_of, told


@rule(
    "compaction/1",
    "a request to sum up the conversation is answered with one compaction item, and nothing else",
    breaks="Codex from 0.144: 'expected exactly one compaction output item'",
    source="Codex 0.169: compaction_trigger as the last item of the input",
    needs="provider",
)
def is_one_item(exchange: Exchange) -> Iterator[Violation]:
    if exchange.compacts and exchange.due == "response.completed":
        kinds = [item["type"] for item in exchange.stream.done]
        if kinds != ["compaction"]:
            yield Violation("['compaction']", f"{kinds}")


@rule(
    "compaction/2",
    "a request to sum up the conversation offers the provider no tools",
    breaks="Codex from 0.144: the model calls one instead of summing up",
    source="Codex' own requests to sum up have an empty list of tools",
    needs="request",
)
def offers_no_tools(exchange: Exchange) -> Iterator[Violation]:
    if exchange.compacts and exchange.upstream and exchange.upstream.get("tools"):
        yield Violation("no tools", f"{len(exchange.upstream['tools'])} of them")


@rule(
    "compaction/3",
    "what the conversation was summed up to reaches the provider",
    breaks="Codex from 0.144: the model has forgotten all that was before",
    source="Codex 0.169 sends the compaction item back, and nothing else of what it stands for",
    needs="request",
)
def comes_back(exchange: Exchange) -> Iterator[Violation]:
    items = [item for item in input_of(exchange.body) if item["type"] == "compaction"]
    if not (items and exchange.upstream and exchange.summaries):
        return
    texts = "\n".join(map(told, exchange.upstream["messages"]))
    for summary in exchange.summaries[-1:]:
        if summary not in texts:
            yield Violation(f"a message with {summary[:80]!r}", "none")
