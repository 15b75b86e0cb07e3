"""What the items say: their parts agree with each other, and with the provider."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from harness.chat_stream import SaidCall
from harness.client import Event
from harness.rules import Exchange, Violation, rule

#: The event that ends a chain of deltas, and the field that holds their sum.
_SUMS = {
    "response.output_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


@rule(
    "deltas/1",
    "the `.done` event of a text, a summary or arguments holds the sum of its deltas",
    breaks="whoever shows deltas and keeps the rest",
)
def add_up(exchange: Exchange) -> Iterator[Violation]:
    sums: dict[tuple[str, str], str] = defaultdict(str)
    for event in exchange.events:
        chain, _, step = event.type.rpartition(".")
        if chain in _SUMS:
            key = (chain, event["item_id"])
            if step == "delta":
                sums[key] += str(event["delta"])
            else:
                yield from _differing(sums[key], event[_SUMS[chain]], event)


@rule(
    "text/1",
    "the text of the messages that are done is the provider's, to the byte",
    breaks="Codex, all versions",
)
def text_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.failed" and not exchange.compacts:
        parts = (part for item in _done(exchange, "message") for part in item["content"])
        yield from _differing(exchange.said.text, "".join(part["text"] for part in parts))


@rule(
    "reasoning/1",
    "the reasoning that is done is the provider's, to the byte",
    breaks="Codex, all versions, and the model, which gets it back",
)
def reasoning_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.failed" and not exchange.compacts:
        parts = (part for item in _done(exchange, "reasoning") for part in item["summary"])
        yield from _differing(exchange.said.reasoning, "".join(part["text"] for part in parts))


@rule(
    "calls/1",
    "the calls that are done are the provider's: id, name and arguments, in its order",
    breaks="Codex, all versions: a call is not executed, or another one is",
)
def calls_are_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.completed":
        return
    said = exchange.said.calls
    done = _done(exchange, "function_call", "custom_tool_call")
    expected = [(call.id, call.name, call.arguments) for call in said]
    actual = [
        (item.get("call_id"), item.get("name"), item.get("arguments", item.get("input")))
        for item in done
    ]
    pairs = zip(said, done, strict=False)
    if len(said) != len(done) or not all(_is(call, item) for call, item in pairs):
        yield Violation(f"{expected}", f"{actual}")


@rule(
    "usage/1",
    "`usage` has the provider's numbers, where it gave any",
    breaks="Codex, all versions: its context meter, and with it compaction",
)
def usage_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    said = exchange.said.usage
    for event in exchange.events:
        if event.type not in ("response.completed", "response.incomplete") or said is None:
            continue
        usage: dict[str, Any] = event["response"].get("usage") or {}
        cached = (said.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        reasoning = (said.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
        expected = (
            said["prompt_tokens"],
            cached,
            said["completion_tokens"],
            reasoning,
            said["total_tokens"],
        )
        actual = (
            usage.get("input_tokens"),
            (usage.get("input_tokens_details") or {}).get("cached_tokens"),
            usage.get("output_tokens"),
            (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
            usage.get("total_tokens"),
        )
        if actual != expected:
            fields = "(input, cached, output, reasoning, total)"
            yield Violation(f"{expected} {fields}", f"{actual}", event)


def _differing(expected: str, actual: str, event: Event | None = None) -> Iterator[Violation]:
    """Yield a violation that shows two texts where they part, however long they are."""
    if expected != actual:
        pairs = enumerate(zip(expected, actual, strict=False))
        parting = next((at for at, (one, other) in pairs if one != other), -1)
        if parting < 0:  # one is the beginning of the other
            parting = min(len(expected), len(actual))
        shown = slice(max(0, parting - 20), parting + 60)
        where = f"from character {shown.start}"
        yield Violation(f"{expected[shown]!r} {where}", f"{actual[shown]!r} {where}", event)


def _done(exchange: Exchange, *kinds: str) -> list[dict[str, Any]]:
    items = (e["item"] for e in exchange.events if e.type == "response.output_item.done")
    return [item for item in items if item["type"] in kinds]


def _is(call: SaidCall, item: dict[str, Any]) -> bool:
    """Return whether an item is the provider's call, in the kind and namespace of its tool."""
    name = call.name.removeprefix(f"{item.get('namespace')}__")
    if (call.id, name) != (item.get("call_id"), item.get("name")):
        return False
    if item["type"] == "custom_tool_call":  # told to the provider as a function with one string
        try:
            return bool(json.loads(call.arguments) == {"input": item.get("input")})
        except ValueError:
            return False
    return call.arguments == item.get("arguments")
