"""Output items: each is added, filled and done, and stays the same item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.rules import Exchange, Violation, rule

ADDED = "response.output_item.added"
DONE = "response.output_item.done"


@rule(
    "items/1",
    "`output_item.added` comes before every other event of an item, once",
    breaks="Codex from 0.16x (drops the deltas) and the OpenAI SDK",
)
def are_added_first(exchange: Exchange) -> Iterator[Violation]:
    added: set[str] = set()
    for event in exchange.events:
        if event.type == ADDED:
            id = event["item"]["id"]
            if id in added:
                yield Violation(f"one {ADDED} for {id}", "a second one", event)
            added.add(id)
        elif (id := _item_id(event.data or {})) is not None and id not in added:
            yield Violation(f"{ADDED} for {id} before it", "none", event)
            added.add(id)


@rule(
    "items/2",
    "every item that was added is done before the response is completed",
    breaks="Codex, all versions: what is not done is neither recorded nor executed",
)
def are_done(exchange: Exchange) -> Iterator[Violation]:
    if not any(event.type == "response.completed" for event in exchange.events):
        return  # an item that is open when a response fails, or is cut, must not be done
    done = [event["item"]["id"] for event in exchange.events if event.type == DONE]
    for event in exchange.events:
        if event.type == ADDED and done.count(event["item"]["id"]) != 1:
            item = event["item"]
            expected = f"one {DONE} for item {item['id']} ({_title(item)})"
            yield Violation(expected, f"{done.count(item['id'])} of them", event)


@rule(
    "items/3",
    "an item keeps its id, type and `output_index`, and its events carry them",
    breaks="the OpenAI SDK's stream()",
)
def stay_the_same(exchange: Exchange) -> Iterator[Violation]:
    identity: dict[str, tuple[str, int]] = {}
    for event in exchange.events:
        if event.type == ADDED:
            identity[event["item"]["id"]] = (event["item"]["type"], event["output_index"])
        elif (id := _item_id(event.data or {})) in identity:
            kind, index = identity[id or ""]
            actual = ((event["item"] or {"type": kind})["type"], event["output_index"])
            if actual != (kind, index):
                yield Violation(
                    f"{kind} at output_index {index}", f"{actual[0]} at {actual[1]}", event
                )


@rule(
    "items/4",
    "`output_index` counts up from 0 in the order in which items are added",
    breaks="the OpenAI SDK's stream()",
)
def count_up(exchange: Exchange) -> Iterator[Violation]:
    added = [event for event in exchange.events if event.type == ADDED]
    for expected, event in enumerate(added):
        if event["output_index"] != expected:
            yield Violation(f"output_index {expected}", str(event["output_index"]), event)
            return


@rule(
    "items/5",
    "the terminal response's `output` is the list of the items that are done",
    breaks="users of the OpenAI SDK (the ChatGPT backend leaves it empty: accepted of it alone)",
)
def are_in_the_output(exchange: Exchange) -> Iterator[Violation]:
    done = {event["output_index"]: event["item"] for event in exchange.events if event.type == DONE}
    expected = [done[index] for index in sorted(done)]
    for event in exchange.events:
        if event.type in ("response.completed", "response.incomplete", "response.failed"):
            output = event["response"].get("output")
            if output != expected:
                yield Violation(
                    f"{[_title(item) for item in expected]}",
                    f"{[_title(item) for item in output or []]} (or the same with other content)",
                    event,
                )


def _item_id(data: dict[str, Any]) -> str | None:
    if isinstance(data.get("item"), dict):
        return str(data["item"].get("id"))
    return data.get("item_id")


def _title(item: dict[str, Any]) -> str:
    return f"{item.get('type')} {item['name']}" if "name" in item else str(item.get("type"))
