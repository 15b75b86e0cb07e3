"""Calls: what Codex runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from harness.chat_stream import SaidCall
from harness.client import Event
from harness.rules import Exchange, Violation, rule
from harness.rules.asked import Tool, calls_in, meant, tools_of
from harness.rules.stream import CALLS
from harness.rules.text import differing, parting


@rule(
    "calls/1",
    "the calls that are done are the provider's: as many, in its order, with its ids",
    breaks="Codex, all versions: a call is not run, or its result goes to another one",
    source="Codex gives a result back by `call_id`",
    needs="provider",
)
def calls_are_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if exchange.due != "response.completed" or exchange.compacts:
        return
    said = exchange.said.calls
    counts = Counter(call.id for call in said)
    done = [item for item in exchange.stream.done if item["type"] in CALLS]
    ids = [item.get("call_id") for item in done]
    # An id that the provider leaves out, or uses twice, has to become another one.
    pairs = zip(said, ids, strict=False)
    if len(said) != len(done) or any(
        call.id != id for call, id in pairs if call.id and counts[call.id] == 1
    ):
        yield Violation(f"{[f'{call.name} {call.id}' for call in said]}", f"{ids}")


@rule(
    "calls/2",
    "a call names the tool as the client knows it",
    breaks="Codex, all versions: 'unsupported call'",
    source="Codex 0.45 and 0.169 look up the name among their own tools",
    needs="provider",
)
def name_the_tool(exchange: Exchange) -> Iterator[Violation]:
    for call, item, event, tool in pairs_of(exchange):
        expected = call.name if tool is None else tool.name
        if "name" in item and item["name"] != expected:
            yield Violation(f"name {expected!r}", f"name {item['name']!r}", event)


@rule(
    "calls/3",
    "the arguments of a function call are the provider's, to the byte, be they JSON or not",
    breaks="Codex, all versions: another command is run",
    source="Codex parses the arguments itself, and tells the model where they are wrong",
    needs="provider",
)
def arguments_are_the_providers(exchange: Exchange) -> Iterator[Violation]:
    for number, (call, item, event, tool) in enumerate(pairs_of(exchange)):
        if item["type"] == "function_call" and (tool is None or tool.kind == "function"):
            for found in differing(call.arguments, item["arguments"]):
                at = parting(call.arguments, item["arguments"])
                chunk = exchange.said.chunk_of("call", at, call=number)
                yield Violation(found.expected, found.actual, event, chunk)


@rule(
    "calls/4",
    "a call is added with the name, the namespace and the `call_id` that it is done with",
    breaks="who shows or approves a call while its arguments come",
    source="OpenAI's specification: nothing tells of another name later",
)
def are_final_when_added(exchange: Exchange) -> Iterator[Violation]:
    for item in exchange.stream.items:
        for name in ("name", "namespace", "call_id") if item.done is not None else ():
            added, done = item.added["item"].get(name), item.final.get(name)
            if added != done:
                yield Violation(f"{name} {done!r}", f"{name} {added!r}", item.added)


@rule(
    "calls/5",
    "a `call_id` is new in the conversation",
    breaks="Codex, all versions: the result of one call answers another one too",
    source="Codex does not notice; Chat Completions pairs calls and results by id",
)
def ids_are_new(exchange: Exchange) -> Iterator[Violation]:
    seen = {call.get("call_id") for call in calls_in(exchange.body)}
    for item in exchange.stream.items:
        if item.type in CALLS:
            id = item.added["item"].get("call_id")
            if id in seen:
                yield Violation("a call_id that is new", f"{id}, once more", item.added)
            seen.add(id)


@rule(
    "calls/6",
    "function_call_arguments.done has the name of its call, where it has one",
    breaks="who acts on that event: it runs another tool",
    source="OpenAI SDK: ResponseFunctionCallArgumentsDoneEvent.name, required in newer versions",
)
def arguments_name_their_call(exchange: Exchange) -> Iterator[Violation]:
    for event in exchange.stream.by_type["response.function_call_arguments.done"]:
        item = exchange.stream.owners.get(event.number)
        if item is None or event["name"] is None:
            continue
        expected = (item.final or item.added["item"]).get("name")
        if event["name"] != expected:
            yield Violation(f"name {expected!r}", f"name {event['name']!r}", event)


def pairs_of(
    exchange: Exchange,
) -> Iterator[tuple[SaidCall, dict[str, Any], Event | None, Tool | None]]:
    """Yield each call of the provider, its item, the event of that, and the tool that is meant.

    Nothing where there are more or less of them than there should be: calls/1 says that.
    """
    if exchange.due != "response.completed" or exchange.compacts:
        return
    tools = tools_of(exchange.body)
    items = [item for item in exchange.stream.items if item.done is not None]
    done = sorted((it for it in items if it.type in CALLS), key=lambda item: item.index)
    if len(done) == len(exchange.said.calls):
        for call, item in zip(exchange.said.calls, done, strict=True):
            yield call, item.final, item.done, meant(call.name, tools)
