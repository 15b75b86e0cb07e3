"""Output items: each is added, filled and done, and stays the same item."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from harness.chat_stream import Piece
from harness.rules import Exchange, Violation, rule
from harness.rules.stream import ADDED, CALLS, DONE, text_of


@rule(
    "items/1",
    "`output_item.added` comes before every other event of an item",
    breaks="Codex from 0.16x (drops the deltas) and the OpenAI SDK",
    source="OpenAI SDK: stream() raises; Codex 0.169 shows deltas of the item that was added last",
)
def are_added_first(exchange: Exchange) -> Iterator[Violation]:
    seen: set[str] = set()
    for event in exchange.stream.orphans:
        id = str((event["item"] or {}).get("id") or event["item_id"])
        if id not in seen:
            yield Violation(f"{ADDED} for {id} before it", "none", event)
        seen.add(id)


@rule(
    "items/2",
    "every item that was added is done before the response is completed",
    breaks="Codex, all versions: what is not done is neither recorded nor executed",
    source="Codex 0.45 and 0.169 record and act on output_item.done alone; the SDK does not notice",
)
def are_done(exchange: Exchange) -> Iterator[Violation]:
    if not exchange.stream.by_type["response.completed"]:
        return  # an item that is open when a response fails, or is cut, must not be done
    for item in exchange.stream.items:
        count = sum(event.type == DONE for event in item.events)
        if count != 1:
            expected = f"one {DONE} for item {item.id} ({item.title})"
            yield Violation(expected, f"{count} of them", item.added)


@rule(
    "items/3",
    "an item keeps its id, type and `output_index`, and its events carry them",
    breaks="the OpenAI SDK's stream()",
    source="OpenAI SDK: raises where the identity changes, but not for the id in a delta",
)
def stay_the_same(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        for event in item.events[1:]:
            own = event["item"]
            kind, id = (own["type"], own["id"]) if own else (item.type, event["item_id"])
            actual = (kind, id, event["output_index"])
            if actual != (item.type, item.id, item.index):
                expected = f"{item.type} {item.id} at output_index {item.index}"
                yield Violation(expected, f"{kind} {id} at {event['output_index']}", event)


@rule(
    "items/4",
    "`output_index` counts up from 0 in the order in which items are added",
    breaks="the OpenAI SDK's stream()",
    source="OpenAI SDK: output[output_index] is the item; every stream that was recorded",
)
def count_up(exchange: Exchange) -> Iterator[Violation]:
    for expected, item in enumerate(exchange.stream.items):
        if item.index != expected:
            yield Violation(f"output_index {expected}", str(item.index), item.added)
            return


@rule(
    "items/5",
    "the terminal response's `output` is the list of the items that are done",
    breaks="users of the OpenAI SDK (the ChatGPT backend leaves it empty: accepted of it alone)",
    source="OpenAI's specification; the SDK's final response",
)
def are_in_the_output(exchange: Exchange) -> Iterator[Violation]:
    expected = exchange.stream.done
    for event in exchange.stream.terminal:
        output = event["response"].get("output")
        if [*map(_readable, output or ())] != [*map(_readable, expected)]:
            yield Violation(
                f"{[_title(item) for item in expected]}",
                f"{[_title(item) for item in output or []]} (or the same with other content)",
                event,
            )


@rule(
    "items/6",
    "no two items of a response have the same id",
    breaks="who puts deltas together by `item_id`: two texts become one",
    source="OpenAI's specification: `item_id` is what tells the items apart",
)
def have_their_own_ids(exchange: Exchange) -> Iterator[Violation]:
    seen: set[str] = set()
    for item in exchange.stream.items:
        if item.id in seen:
            yield Violation("another id than the items before", item.id, item.added)
        seen.add(item.id)


@rule(
    "items/7",
    "an item that is done is `completed`; only what the provider's limit cut is `incomplete`",
    breaks="who resumes a conversation: a half answer looks whole, or the other way round",
    source="OpenAI's specification; streams that were recorded of OpenAI and cut",
    needs="provider",
)
def have_their_status(exchange: Exchange) -> Iterator[Violation]:
    cut = exchange.said.finish_reason in ("length", "content_filter")
    last = exchange.said.pieces[-1].kind if exchange.said.pieces else None
    done = [item for item in exchange.stream.items if item.done is not None]
    for item in done:
        was_cut = cut and item is done[-1] and item.type == "message" and last == "text"
        expected = "incomplete" if was_cut else "completed"
        if item.final.get("status", expected) != expected:
            actual = f"status {item.final['status']}"
            yield Violation(f"status {expected} of {item.title}", actual, item.done)


@rule(
    "items/8",
    "no message and no reasoning is done that is empty",
    breaks="Codex, all versions: an empty message is shown, and enters the history",
    source="Codex records every item that is done; providers send empty deltas",
    needs="provider",
)
def are_not_empty(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        if item.done is None or item.type not in ("message", "reasoning"):
            continue
        if not text_of(item.final):
            yield Violation("no item, or one with text", f"an empty {item.type}", item.done)


@rule(
    "items/9",
    "a message or a reasoning is done before the next item is added",
    breaks="Codex from 0.16x: it shows the deltas under the item that was added last",
    source="every stream that was recorded of OpenAI and of ChatGPT's backend",
    level="SHOULD",
)
def come_one_by_one(exchange: Exchange) -> Iterator[Violation]:
    open_items = [item for item in exchange.stream.items if item.type in ("message", "reasoning")]
    for item in open_items:
        end = item.done.number if item.done is not None else item.events[-1].number
        for other in exchange.stream.items:
            if item.added.number < other.added.number < end:
                expected = f"{DONE} for {item.id} ({item.title}) before it"
                yield Violation(expected, f"{other.title} is added", other.added)


@rule(
    "items/10",
    "the items have the provider's order: reasoning before what it led to, text before the call",
    breaks="Codex, all versions, and the model, which gets its own words back in another order",
    source="Codex' history is the order of output_item.done",
    needs="provider",
)
def are_in_the_providers_order(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.completed" or exchange.compacts:
        return
    expected = _order(exchange.said.pieces)
    kinds = {"message": "text", "reasoning": "reasoning", **dict.fromkeys(CALLS, "call")}
    actual = [
        kinds[item["type"]]
        for item in exchange.stream.done
        if item["type"] in kinds and (item["type"] in CALLS or text_of(item))
    ]
    # How many there are is told by other rules.
    if sorted(actual) == sorted(expected) and actual != expected:
        yield Violation(f"{expected}", f"{actual}")


@rule(
    "items/11",
    "items are done in the order of their `output_index`",
    breaks="Codex, all versions: it runs and records calls in the order in which they are done",
    source="Codex 0.45 and 0.169; every stream that was recorded",
)
def are_done_in_order(exchange: Exchange) -> Iterator[Violation]:
    for before, event in pairwise(exchange.stream.by_type[DONE]):
        if event["output_index"] < before["output_index"]:
            expected = f"done before output_index {before['output_index']}"
            yield Violation(expected, f"output_index {event['output_index']} is after it", event)


def _order(pieces: list[Piece]) -> list[str]:
    """Return the kinds of what was said, each call and each run of deltas once."""
    order: list[str] = []
    calls: set[int | None] = set()
    before: str | None = None
    for piece in pieces:
        if piece.kind == "call":
            if piece.call not in calls:
                order.append("call")
            calls.add(piece.call)
        elif piece.kind != before:
            order.append(piece.kind)
        before = piece.kind
    return order


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item without what OpenAI encrypts anew each time that it tells it."""
    if item.get("type") != "reasoning":
        return item
    return {name: value for name, value in item.items() if name != "encrypted_content"}


def _title(item: dict[str, Any]) -> str:
    return f"{item.get('type')} {item['name']}" if "name" in item else str(item.get("type"))
