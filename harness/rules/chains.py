"""The chain of events of an item: every one of them, once, in order, about the same part."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from harness.client import Event
from harness.rules import Exchange, Violation, rule
from harness.rules.stream import Item
from harness.rules.text import differing

_P: Final = "response."

#: A letter for each event: [a]dded, [d]elta, its sum is [t]old, the part is fini[z]hed.
_LETTERS: Final = {
    f"{_P}content_part.added": "a",
    f"{_P}content_part.done": "z",
    f"{_P}output_text.delta": "d",
    f"{_P}output_text.annotation.added": "d",
    f"{_P}output_text.done": "t",
    f"{_P}refusal.delta": "d",
    f"{_P}refusal.done": "t",
    f"{_P}reasoning_summary_part.added": "a",
    f"{_P}reasoning_summary_part.done": "z",
    f"{_P}reasoning_summary_text.delta": "d",
    f"{_P}reasoning_summary_text.done": "t",
    f"{_P}reasoning_text.delta": "r",
    f"{_P}reasoning_text.done": "R",
    f"{_P}function_call_arguments.delta": "d",
    f"{_P}function_call_arguments.done": "t",
    f"{_P}custom_tool_call_input.delta": "d",
    f"{_P}custom_tool_call_input.done": "t",
}

_PART: Final = "content_part.added, output_text.delta ..., output_text.done, content_part.done"
_SUMMARY: Final = (
    "reasoning_summary_part.added, reasoning_summary_text.delta ..., "
    "reasoning_summary_text.done, reasoning_summary_part.done"
)

#: By type of item: what stands between added and done, and the same for a person.
_CHAINS: Final = {
    "message": (re.compile(r"(ad*tz)*"), f"for each part {_PART}"),
    # Raw reasoning has parts of its own in some streams.
    "reasoning": (re.compile(r"(ad*tz|a?r*Rz?)*"), f"for each part {_SUMMARY}"),
    "function_call": (
        re.compile(r"d*t"),
        "function_call_arguments.delta ..., function_call_arguments.done",
    ),
    "custom_tool_call": (
        re.compile(r"d*t"),
        "custom_tool_call_input.delta ..., custom_tool_call_input.done",
    ),
}

#: Which field of an event holds the whole of what the deltas told.
_WHOLE: Final = {
    f"{_P}output_text": "text",
    f"{_P}refusal": "refusal",
    f"{_P}reasoning_summary_text": "text",
    f"{_P}reasoning_text": "text",
    f"{_P}function_call_arguments": "arguments",
    f"{_P}custom_tool_call_input": "input",
}


@rule(
    "chains/1",
    "the events of an item that is done are all there, each once, in order",
    breaks="the OpenAI SDK's stream(), and whoever shows a stream as it comes",
    source="OpenAI SDK: a delta of a part that was not added is an IndexError; the rest it does "
    "not notice",
)
def are_whole(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        if item.done is None or item.type not in _CHAINS:
            continue
        pattern, expected = _CHAINS[item.type]
        between = item.events[1:-1]
        letters = "".join(_LETTERS.get(event.type, "?") for event in between)
        told = len(item.final.get("summary") or item.final.get("content") or ())
        if not pattern.fullmatch(letters) or letters.count("t") + letters.count("R") < told:
            yield Violation(expected, _short(between) or "nothing", item.done)


@rule(
    "chains/2",
    "the parts of an item are numbered from 0, begin empty, and are told one after the other",
    breaks="the OpenAI SDK's stream()",
    source="OpenAI SDK: content[content_index] is the part, and deltas are added to what is there",
)
def are_numbered(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        if item.type not in ("message", "reasoning"):
            continue
        added = -1
        for event in item.events:
            if (index := _part_index(event)) is None:
                continue
            if event.type.endswith("part.added"):
                added += 1
                part = event["part"] or {}
                if text := part.get("text") or part.get("refusal"):
                    yield Violation("an empty part", f"text {text!r}", event)
            if index != max(added, 0):
                yield Violation(f"part {max(added, 0)}", f"part {index}", event)
                break


@rule(
    "chains/3",
    "a part that is done is the one in the item",
    breaks="who keeps the parts as they come, and not the item",
    source="OpenAI's specification; the SDK does not notice",
)
def parts_are_the_items(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        parts = _parts(item)
        for event in item.events if parts else ():
            if event.type.endswith("part.done"):
                expected, actual = _at(parts, _part_index(event)), event["part"] or {}
                if expected:  # else chains/2 says that there is no such part
                    yield from differing(_says(expected), _says(actual), event)


@rule(
    "chains/4",
    "the text, the arguments or the input that an event tells whole are the item's",
    breaks="who acts on function_call_arguments.done: it runs another command than Codex",
    source="OpenAI's specification; the SDK does not notice",
)
def wholes_are_the_items(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        for event in item.events[1:-1] if item.done is not None else ():
            chain, _, step = event.type.rpartition(".")
            if step == "done" and chain in _WHOLE:
                holder = item.final
                if (index := _part_index(event)) is not None:
                    holder = _at(_parts(item), index)
                expected = holder.get(_WHOLE[chain])
                if expected is not None:
                    yield from differing(expected, event[_WHOLE[chain]], event)


@rule(
    "deltas/1",
    "the event that tells a text, a summary, arguments or an input whole has the sum of its deltas",
    breaks="whoever shows deltas and keeps the rest",
    source="OpenAI's specification; the SDK does not notice",
)
def add_up(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        sums: defaultdict[tuple[str, int | None], list[str]] = defaultdict(list)
        for event in item.events:
            chain, _, step = event.type.rpartition(".")
            if chain in _WHOLE:
                told = sums[chain, _part_index(event)]
                if step == "delta":
                    told.append(event["delta"])
                elif step == "done":
                    yield from differing("".join(told), event[_WHOLE[chain]], event)


@rule(
    "deltas/2",
    "no delta is empty",
    breaks="nobody; it is work for nothing",
    source="every stream that was recorded of OpenAI",
    level="SHOULD",
)
def say_something(exchange: Exchange) -> Iterator[Violation]:
    for kind, events in list(exchange.stream.by_type.items()):
        if kind.endswith(".delta"):
            for event in events:
                if event["delta"] == "":
                    yield Violation("some text, or no event", "an empty delta", event)


def _part_index(event: Event) -> int | None:
    content: int | None = event["content_index"]
    return event["summary_index"] if content is None else content


def _parts(item: Item) -> list[dict[str, Any]]:
    return item.final.get("summary") or item.final.get("content") or []


def _at(parts: list[dict[str, Any]], index: int | None) -> dict[str, Any]:
    return parts[index] if index is not None and index < len(parts) else {}


def _says(part: dict[str, Any]) -> str:
    return str(part.get("text", part.get("refusal", "")))


def _short(events: list[Event]) -> str:
    """Return the types of events, a run of deltas as one."""
    kinds: list[str] = []
    for event in events:
        kind = event.type.removeprefix(_P)
        if event.type.endswith(".delta"):
            kind += " ..."
        if not kinds or kind != kinds[-1] or not kind.endswith("..."):
            kinds.append(kind)
    return ", ".join(kinds)
