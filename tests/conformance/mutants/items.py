"""Mutants that spoil the items of a response, their parts, and the deltas that fill them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.rules.stream import ADDED, DONE, TERMINAL
from tests.conformance.mutants.judge import Broken
from tests.conformance.mutants.servers import Data, Mutation
from tests.conformance.mutants.spoiling import (
    doubled,
    is_about,
    moved_behind,
    replaced,
    with_all,
    with_each,
    with_items,
    with_response,
    without,
)

__all__ = ["ITEMS", "done_message"]

_DELTA = "response.output_text.delta"
_CALL = "function_call"


def done_message(response: Data, text: str, id: str, index: int) -> list[Data]:
    """Return what ends a message of one part, and add it to the output of `response`."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": id, "status": "completed", "role": "assistant"}
    about = {"item_id": id, "output_index": index, "content_index": 0}
    response["output"].append({**item, "content": [part]})
    return [
        {"type": "response.output_text.done", **about, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **about, "part": part},
        {"type": DONE, "output_index": index, "item": {**item, "content": [part]}},
    ]


def _add_an_empty_message(event: Data, before: Sequence[Data]) -> list[Data]:
    if event["type"] not in TERMINAL:
        return [event]
    index = len(event["response"]["output"])
    *done, last = done_message(event["response"], "", "msg_empty", index)
    item = {**last["item"], "status": "in_progress", "content": []}
    added = {"type": ADDED, "output_index": index, "item": item}
    return [added, {**done[1], "type": "response.content_part.added"}, *done, last, event]


def _misplace(event: Data) -> None:
    event["output_index"] += 7


def _count_from_one(event: Data) -> None:
    if "output_index" in event:
        event["output_index"] += 1


def _swap_two(event: Data) -> None:
    """Give the second item and the third each other's place."""
    new = {1: 2, 2: 1}
    if (index := event.get("output_index")) in new:
        event["output_index"] = new[index]
    if event["type"] in TERMINAL and len(output := event["response"]["output"]) > 2:
        output[1], output[2] = output[2], output[1]


def _give_one_id_to_two_calls(event: Data, before: Sequence[Data]) -> list[Data]:
    ids = [one["item"]["id"] for one in (*before, event) if is_about(ADDED, _CALL)(one)]
    return [replaced(event, ids[1], ids[0]) if len(ids) > 1 else event]


def _call_it_incomplete(item: Data) -> None:
    if item["content"]:
        item["status"] = "incomplete"


def _call_it_the_second_part(event: Data) -> None:
    if "content_index" in event:
        event["content_index"] = 1


def _empty_the_part(event: Data) -> None:
    event["part"] = {**event["part"], "text": ""}


def _say_otherwise(event: Data, before: Sequence[Data]) -> list[Data]:
    """Tell another text in deltas and in their sum, but not in the item."""
    is_text = event["type"].startswith("response.output_text.")
    return [replaced(event, "Hello", "HELLO") if is_text else event]


def _say_nothing_first(event: Data, before: Sequence[Data]) -> list[Data]:
    return [{**event, "delta": ""}, event] if event["type"] == _DELTA else [event]


#: Each event of a chain but for its deltas.
_CHAIN = (
    "reasoning_summary_part.added",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
    "content_part.added",
    "output_text.done",
    "content_part.done",
    "function_call_arguments.done",
)

ITEMS = (
    Broken(
        "items/1",
        "does not add the message before it fills it",
        "hello",
        Mutation(without(ADDED, item="message")),
    ),
    Broken(
        "items/2",
        "does not say that a call is done",
        "whole-calls",
        Mutation(without(DONE, item=_CALL)),
        {"calls/1", "items/5"},
    ),
    Broken(
        "items/3",
        "puts deltas at another `output_index` than their item",
        "hello",
        Mutation(with_each(_DELTA, _misplace)),
    ),
    Broken("items/4", "counts items from 1", "hello", Mutation(with_all(_count_from_one))),
    Broken(
        "items/5",
        "has no `output` at the end",
        "hello",
        Mutation(with_response(output=[])),
    ),
    Broken(
        "items/6",
        "gives two calls the same id",
        "whole-calls",
        Mutation(_give_one_id_to_two_calls),
    ),
    Broken(
        "items/7",
        "calls a whole message incomplete",
        "hello",
        Mutation(with_items("message", _call_it_incomplete)),
    ),
    Broken("items/8", "adds an empty message", "hello", Mutation(_add_an_empty_message)),
    Broken(
        "items/9",
        "adds a call before the reasoning is done",
        "whole-calls",
        Mutation(moved_behind(is_about(DONE, "reasoning"), lambda event: event["type"] == ADDED)),
    ),
    Broken(
        "items/10",
        "numbers a text behind the call that follows it",
        "text-before-call",
        Mutation(with_all(_swap_two)),
        {"items/4", "items/11"},
    ),
    Broken(
        "items/11",
        "says that the second call is done before the first",
        "whole-calls",
        Mutation(moved_behind(is_about(DONE, _CALL), is_about(DONE, _CALL))),
    ),
    *(
        Broken(
            "chains/1",
            f"leaves out `{kind}`",
            "whole-calls",
            Mutation(without(f"response.{kind}")),
        )
        for kind in _CHAIN
    ),
    *(
        Broken(
            "chains/1",
            f"says `{kind}` twice",
            "whole-calls",
            Mutation(doubled(f"response.{kind}")),
            {"chains/2"} if kind.endswith("part.added") else frozenset(),
        )
        for kind in _CHAIN
    ),
    Broken(
        "chains/2",
        "numbers parts from 1",
        "hello",
        Mutation(with_all(_call_it_the_second_part)),
    ),
    Broken(
        "chains/3",
        "ends a part without its text",
        "hello",
        Mutation(with_each("response.content_part.done", _empty_the_part)),
    ),
    Broken(
        "chains/4",
        "says one text in events and another in the item",
        "hello",
        Mutation(_say_otherwise),
    ),
    Broken("deltas/1", "says a delta twice", "hello", Mutation(doubled(_DELTA))),
    Broken("deltas/2", "sends empty deltas", "hello", Mutation(_say_nothing_first)),
)
