"""The chain of events of an item: every one of them, once, in order, about the same part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from harness.client import Event
from harness.rules import Exchange, Violation, rule

_P: Final = "response."
_ADDED, _DONE = f"{_P}output_item.added", f"{_P}output_item.done"

#: By type of item: what comes between added and done, around any number of deltas.
_CHAINS: Final[dict[str, tuple[list[str], str, list[str]]]] = {
    "message": (
        [f"{_P}content_part.added"],
        f"{_P}output_text.delta",
        [f"{_P}output_text.done", f"{_P}content_part.done"],
    ),
    "reasoning": (
        [f"{_P}reasoning_summary_part.added"],
        f"{_P}reasoning_summary_text.delta",
        [f"{_P}reasoning_summary_text.done", f"{_P}reasoning_summary_part.done"],
    ),
    "function_call": (
        [],
        f"{_P}function_call_arguments.delta",
        [f"{_P}function_call_arguments.done"],
    ),
    "custom_tool_call": (
        [],
        f"{_P}custom_tool_call_input.delta",
        [f"{_P}custom_tool_call_input.done"],
    ),
}


@rule(
    "chains/1",
    "the events of an item that is done are all there, each once, in order",
    breaks="the OpenAI SDK's stream(), and whoever shows a stream as it comes",
)
def are_whole(exchange: Exchange) -> Iterator[Violation]:
    for item, events in _items(exchange):
        if item["type"] in _CHAINS and events[-1].type == _DONE:
            before, delta, after = _CHAINS[item["type"]]
            expected = [_ADDED, *before, delta, *after, _DONE]
            actual = [
                event.type
                for number, event in enumerate(events)
                if event.type != delta or events[number - 1].type != delta
            ]
            # An item without text has no delta.
            if actual not in (expected, [kind for kind in expected if kind != delta]):
                yield Violation(f"{_short(expected)}", f"{_short(actual)}", events[-1])


@rule(
    "chains/2",
    "the one part of an item has index 0, begins empty, and ends with the item's text",
    breaks="the OpenAI SDK's stream()",
)
def are_about_one_part(exchange: Exchange) -> Iterator[Violation]:
    for item, events in _items(exchange):
        for event in events:
            for index in ("content_index", "summary_index"):
                if event[index]:
                    yield Violation(f"{index} 0", f"{index} {event[index]}", event)
            part = event["part"]
            if isinstance(part, dict):
                done = event.type.endswith(".done")
                whole = _text(events[-1]["item"] or {}) if events[-1].type == _DONE else None
                expected = whole if done else ""
                if expected is not None and part.get("text") != expected:
                    yield Violation(f"text {expected!r}", f"text {part.get('text')!r}", event)
            if event.type.endswith("arguments.done") and event["name"] not in (None, item["name"]):
                yield Violation(f"name {item['name']!r}", f"name {event['name']!r}", event)


def _items(exchange: Exchange) -> Iterator[tuple[dict[str, Any], list[Event]]]:
    """Yield each item as it was added, with all events about it."""
    items: dict[str, dict[str, Any]] = {}
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in exchange.events:
        id = event["item"]["id"] if isinstance(event["item"], dict) else event["item_id"]
        if event.type == _ADDED:
            items.setdefault(id, event["item"])
        if id in items:
            events[id].append(event)
    for id, item in items.items():
        yield item, events[id]


def _text(item: dict[str, Any]) -> str:
    return "".join(part["text"] for part in item.get("content") or item.get("summary") or ())


def _short(types: list[str]) -> str:
    return ", ".join(type.removeprefix(_P) for type in types)
