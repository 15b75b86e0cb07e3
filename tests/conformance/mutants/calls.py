"""Mutants that spoil what the provider said: its text, its reasoning, its calls, its usage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.rules.stream import ADDED
from tests.conformance.mutants.judge import Broken
from tests.conformance.mutants.servers import Data, Mutation, Spoil
from tests.conformance.mutants.spoiling import (
    is_about,
    items_in,
    replaced,
    with_each,
    with_items,
    with_last,
    with_response,
    with_text,
)

__all__ = ["CALLS"]

_CALL = "function_call"


def _longer(kind: str, name: str) -> Spoil:
    """Add a space to the arguments or the input of each call, consistently."""

    def spoil(event: Data, before: Sequence[Data]) -> list[Data]:
        for item in items_in(event):
            if item.get(name):
                item[name] += " "
        if event["type"] != f"response.{kind}.done":
            return [event]
        delta = {**event, "type": f"response.{kind}.delta", "delta": " "}
        del delta[name]
        return [delta, {**event, name: event[name] + " "}]

    return spoil


def _tell_raw(event: Data, before: Sequence[Data]) -> list[Data]:
    """Tell the reasoning as raw text, without a summary."""
    for item in items_in(event, "reasoning"):
        if summary := item["summary"]:
            item |= {"summary": [], "content": [{**summary[0], "type": "reasoning_text"}]}
    if event["type"].startswith("response.reasoning_summary_part."):
        return []
    if event["type"].startswith("response.reasoning_summary_text."):
        event["type"] = event["type"].replace("reasoning_summary_text", "reasoning_text")
        event["content_index"] = event.pop("summary_index")
    return [event]


def _give_one_call_id_to_two(event: Data, before: Sequence[Data]) -> list[Data]:
    ids = [one["item"]["call_id"] for one in (*before, event) if is_about(ADDED, _CALL)(one)]
    return [replaced(event, ids[1], ids[0]) if len(ids) > 1 else event]


def _add_with_its_id(event: Data) -> None:
    event["item"].update(call_id=event["item"]["id"])


def _name_it_otherwise(event: Data) -> None:
    event["name"] = "other"


def _as_function(event: Data, before: Sequence[Data]) -> list[Data]:
    """Let custom calls be calls of functions."""
    for item in items_in(event, "custom_tool_call"):
        item |= {"type": _CALL, "arguments": item.pop("input")}
    if event["type"].startswith("response.custom_tool_call_input."):
        step = event["type"].rpartition(".")[2]
        event["type"] = f"response.function_call_arguments.{step}"
        if step == "done":
            event |= {"arguments": event.pop("input"), "name": "apply_patch"}
    return [event]


def _usage(change: Callable[[Data], object]) -> Mutation:
    return Mutation(with_last(lambda event: change(event["response"]["usage"])))


def _count_one_more(usage: Data) -> None:
    usage["input_tokens"] += 1
    usage["total_tokens"] += 1


def _count_one_cached(usage: Data) -> None:
    usage["input_tokens_details"]["cached_tokens"] = 1


CALLS = (
    Broken("text/1", "changes the text", "hello", Mutation(with_text("Hello", "HELLO"))),
    Broken(
        "reasoning/1",
        "changes the reasoning",
        "parallel-calls",
        Mutation(with_text("depend", "DEPEND")),
    ),
    Broken(
        "reasoning/2",
        "tells the reasoning as raw text",
        "whole-calls",
        Mutation(_tell_raw),
    ),
    Broken(
        "calls/1",
        "makes up a `call_id`",
        "parallel-calls",
        Mutation(with_text("a1b2c3d4e", "call_a1b2c3d4e")),
    ),
    Broken(
        "calls/2",
        "calls a tool by another name",
        "parallel-calls",
        Mutation(with_text('"name": "exec_command"', '"name": "shell"')),
    ),
    Broken(
        "calls/3",
        "adds a space to the arguments",
        "whole-calls",
        Mutation(_longer("function_call_arguments", "arguments")),
    ),
    Broken(
        "calls/4",
        "adds a call with another `call_id` than it is done with",
        "whole-calls",
        Mutation(with_each(ADDED, _add_with_its_id)),
    ),
    Broken(
        "calls/5",
        "gives two calls the same `call_id`",
        "whole-calls",
        Mutation(_give_one_call_id_to_two),
        {"calls/1"},
    ),
    Broken(
        "calls/6",
        "says another name with the arguments than with the call",
        "whole-calls",
        Mutation(with_each("response.function_call_arguments.done", _name_it_otherwise)),
    ),
    Broken(
        "custom/1",
        "makes a custom call a call of a function",
        "apply-patch-custom",
        Mutation(_as_function),
    ),
    Broken(
        "custom/2",
        "adds a space to the input",
        "apply-patch-custom",
        Mutation(_longer("custom_tool_call_input", "input")),
    ),
    Broken(
        "namespaces/1",
        "leaves out the namespace of a call",
        "namespace-tool",
        Mutation(with_items(_CALL, lambda item: item.pop("namespace"))),
    ),
    Broken(
        "namespaces/2",
        "gives a namespace to a call that has none",
        "whole-calls",
        Mutation(with_items(_CALL, lambda item: item.update(namespace="functions"))),
    ),
    Broken("usage/1", "counts a token more", "hello", _usage(_count_one_more)),
    Broken("usage/2", "counts a cached token more", "hello", _usage(_count_one_cached)),
    Broken("usage/3", "leaves out the usage", "hello", Mutation(with_response(usage=None))),
    Broken(
        "usage/4",
        "has a total that is not the sum",
        "hello",
        _usage(lambda usage: usage.update(total_tokens=1)),
        {"usage/1"},
    ),
    Broken(
        "truncation/1",
        "says that a filter cut what the limit cut",
        "length-text",
        Mutation(with_response(incomplete_details={"reason": "content_filter"})),
    ),
)
