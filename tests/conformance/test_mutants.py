"""Each rule catches the proxy that breaks it, and nothing catches the proxy that breaks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.client import CREDENTIAL
from harness.provider import Provider
from harness.replay import faults, replay
from harness.rules import RULES, timing
from harness.subject import OwnProxy
from harness.variants import AS_RECORDED, Variant
from tests.cassettes import cerebras
from tests.conformance.mutants import (
    Data,
    Mutant,
    Mutation,
    Spoil,
    UpstreamMutant,
    UpstreamMutation,
    doubled,
    items_in,
    moved_behind,
    with_each,
    with_items,
    with_last,
    with_response,
    with_text,
    without,
)

ADDED, DONE = "response.output_item.added", "response.output_item.done"


# --- the client's edge ---------------------------------------------------------------------------


def _end_incomplete(event: Data) -> None:
    event["type"] = "response.incomplete"
    details = {"reason": "max_output_tokens"}
    event["response"] |= {"status": "incomplete", "incomplete_details": details}


def _shift_output_index(events: list[Data]) -> list[Data]:
    return [
        {**event, "output_index": event["output_index"] + 1} if "output_index" in event else event
        for event in events
    ]


def _code(code: str) -> Spoil:
    return with_each("response.failed", lambda event: event["response"]["error"].update(code=code))


def _misplace(event: Data) -> None:
    event["output_index"] += 7


def _empty(event: Data) -> None:
    event["part"] = {**event["part"], "text": ""}


def _skip_a_number(events: list[Data]) -> list[Data]:
    for event in events[3:]:
        event["sequence_number"] += 1
    return events


def _error(change: Callable[[Data], object], status: int = 400) -> Mutation:
    """Spoil an HTTP error."""

    def spoil(given: int, body: Data) -> tuple[int, Data]:
        change(body["error"])
        return status, body

    return Mutation(error=spoil)


def _call_done(events: list[Data]) -> list[Data]:
    """Let the first call be done, before the response fails."""
    added = next(event for event in events if event["type"] == ADDED)
    item = {**added["item"], "status": "completed", "arguments": "{}"}
    done = {**added, "type": DONE, "item": item}
    return [*events[:-1], done, events[-1]]


def _sum_up_twice(events: list[Data]) -> list[Data]:
    """Repeat the compaction item, in order, as another one."""
    again = [
        {**event, "output_index": 1, "item": {**event["item"], "id": "cmp_again"}}
        for event in events
        if "item" in event and event["item"]["type"] == "compaction"
    ]
    if again:
        events[-1]["response"]["output"].append(again[-1]["item"])
    return [*events[:-1], *again, events[-1]]


def _is(kind: str, item: str) -> Callable[[Data], bool]:
    return lambda event: event["type"] == kind and event["item"]["type"] == item


def _same_id(events: list[Data]) -> list[Data]:
    """Give the second call the id of the first one."""
    ids = [event["item"]["id"] for event in events if _is(ADDED, "function_call")(event)]
    return with_text(ids[1], ids[0])(events) if len(ids) > 1 else events


def _same_call_id(events: list[Data]) -> list[Data]:
    ids = [event["item"]["call_id"] for event in events if _is(ADDED, "function_call")(event)]
    return with_text(ids[1], ids[0])(events) if len(ids) > 1 else events


def _message(events: list[Data], text: str, id: str, index: int) -> list[Data]:
    """Return what ends a message of one part, and add it to the output."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "id": id, "status": "completed", "role": "assistant"}
    about = {"item_id": id, "output_index": index, "content_index": 0}
    events[-1]["response"]["output"].append({**item, "content": [part]})
    return [
        {"type": "response.output_text.done", **about, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **about, "part": part},
        {"type": DONE, "output_index": index, "item": {**item, "content": [part]}},
    ]


def _empty_message(events: list[Data]) -> list[Data]:
    index = len(events[-1]["response"]["output"])
    *done, last = _message(events, "", "msg_empty", index)
    item = {**last["item"], "status": "in_progress", "content": []}
    opened = [
        {"type": ADDED, "output_index": index, "item": item},
        {**done[1], "type": "response.content_part.added"},
    ]
    return [*events[:-1], *opened, *done, last, events[-1]]


def _half_message(events: list[Data]) -> list[Data]:
    """Let the message that is open be done, before the response fails."""
    added = [event for event in events if _is(ADDED, "message")(event)][-1]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    done = _message(events, "".join(deltas), added["item"]["id"], added["output_index"])
    return [*events[:-1], *done, events[-1]]


def _swap_items(one: int, other: int) -> Spoil:
    """Tell of two items, one after the other, in the other order."""

    def spoil(events: list[Data]) -> list[Data]:
        new = {one: other, other: one}
        chains = [[e for e in events if e.get("output_index") == index] for index in (other, one)]
        if not all(chains):
            return events
        begin = events.index(chains[1][0])
        rest = [event for event in events if event.get("output_index") not in new]
        for event in (*chains[0], *chains[1]):
            event["output_index"] = new[event["output_index"]]
        output = events[-1]["response"]["output"]
        output[one], output[other] = output[other], output[one]
        return [*rest[:begin], *chains[0], *chains[1], *rest[begin:]]

    return spoil


def _longer(kind: str, name: str) -> Spoil:
    """Add a space to the arguments or the input of each call, consistently."""

    def spoil(events: list[Data]) -> list[Data]:
        spoilt: list[Data] = []
        for event in events:
            if event["type"] == f"response.{kind}.done":
                delta = {**event, "type": f"response.{kind}.delta", "delta": " "}
                del delta[name]
                spoilt.append(delta)
                event[name] += " "
            spoilt.append(event)
        for item in items_in(spoilt):
            if item.get(name):
                item[name] += " "
        return spoilt

    return spoil


def _as_function(events: list[Data]) -> list[Data]:
    """Let custom calls be calls of functions."""
    for event in events:
        if event["type"].startswith("response.custom_tool_call_input."):
            step = event["type"].rpartition(".")[2]
            event["type"] = f"response.function_call_arguments.{step}"
            if step == "done":
                event |= {"arguments": event.pop("input"), "name": "apply_patch"}
    for item in items_in(events, "custom_tool_call"):
        item |= {"type": "function_call", "arguments": item.pop("input")}
    return events


def _raw_reasoning(events: list[Data]) -> list[Data]:
    """Tell the reasoning as raw text, without a summary."""
    raw: list[Data] = []
    for event in events:
        if event["type"].startswith("response.reasoning_summary_text."):
            event["type"] = event["type"].replace("reasoning_summary_text", "reasoning_text")
            event["content_index"] = event.pop("summary_index")
        if not event["type"].startswith("response.reasoning_summary_part."):
            raw.append(event)
    for item in items_in(events, "reasoning"):
        if summary := item["summary"]:
            item |= {"summary": [], "content": [{**summary[0], "type": "reasoning_text"}]}
    return raw


def _more_tokens(usage: Data) -> None:
    usage["input_tokens"] += 1
    usage["total_tokens"] += 1


def _usage(change: Callable[[Data], object]) -> Mutation:
    return Mutation(with_last(lambda event: change(event["response"]["usage"])))


def _in_half_a_second(event: Data) -> None:
    error = event["response"]["error"]
    words, _, _ = error["message"].partition(" Please")
    error["message"] = f"{words} Please try again in 0.5s."


def _say_otherwise(events: list[Data]) -> list[Data]:
    """Tell another text in deltas and in their sum, but not in the item."""
    return [
        with_text("Hello", "HELLO")([event])[0]
        if event["type"].startswith("response.output_text.")
        else event
        for event in events
    ]


def _add_empty_delta(events: list[Data]) -> list[Data]:
    again = doubled("response.output_text.delta")(events)
    next(e for e in again if e["type"] == "response.output_text.delta")["delta"] = ""
    return again


def _second_part(event: Data) -> None:
    if "content_index" in event:
        event["content_index"] = 1


def _every(change: Callable[[Data], object]) -> Spoil:
    def spoil(events: list[Data]) -> list[Data]:
        for event in events:
            change(event)
        return events

    return spoil


# --- the provider's edge -------------------------------------------------------------------------


def _messages(change: Callable[[list[Data]], object]) -> UpstreamMutation:
    return UpstreamMutation(lambda body: change(body["messages"]))


def _tools(change: Callable[[list[Data]], object]) -> UpstreamMutation:
    return UpstreamMutation(lambda body: change(body["tools"]))


def _each_message(of: str, **changes: object) -> UpstreamMutation:
    def spoil(messages: list[Data]) -> None:
        for message in messages:
            if message["role"] == of:
                message.update(changes)

    return _messages(spoil)


def _in_parts(messages: list[Data]) -> None:
    for message in messages:
        message["content"] = [{"type": "text", "text": message["content"]}]


def _without_arguments(messages: list[Data]) -> None:
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = "{}"


def _without_reasoning(messages: list[Data]) -> None:
    for message in messages:
        message.pop("reasoning", None)


def _without_summary(messages: list[Data]) -> None:
    if [message["role"] for message in messages[2:]] == ["user", "user", "user"]:
        del messages[3]


def _without_format(body: Data) -> None:
    body.pop("response_format", None)
    schema = '"schema"', "JSON Schema"
    body["messages"] = [
        message
        for message in body["messages"]
        if not any(word in str(message["content"]) for word in schema)
    ]


class _ToolsForAll:
    """Offers what was offered before, where nothing is."""

    def __init__(self) -> None:
        self._tools: list[Data] = []

    def __call__(self, body: Data) -> None:
        self._tools = body.setdefault("tools", self._tools)


def _of_function(tool: Data, **changes: object) -> Data:
    return {**tool, "function": {**tool["function"], **changes}}


_ORPHAN = {"role": "tool", "tool_call_id": "nobodys", "content": "done"}

#: What the provider would reject, each by a clause of its own in the schema.
REJECTED: dict[str, tuple[str, UpstreamMutation, set[str]]] = {
    "unknown property": ("hello", UpstreamMutation(lambda body: body.update(store=False)), set()),
    "both limits": ("hello", UpstreamMutation(lambda body: body.update(max_tokens=4096)), set()),
    "long name": (
        "hello",
        _tools(lambda tools: tools.__setitem__(0, _of_function(tools[0], name="n" * 65))),
        {"request/2", "request/4"},
    ),
    "some tools strict": (
        "hello",
        _tools(lambda tools: tools.__setitem__(0, _of_function(tools[0], strict=True))),
        set(),
    ),
    "developer": ("hello", _each_message("system", role="developer"), set()),
    "reasoning_content": (
        "parallel-calls",
        _each_message("assistant", reasoning_content="Hm"),
        set(),
    ),
    "refusal": ("parallel-calls", _each_message("assistant", refusal=None), set()),
    "content in parts": ("hello", _messages(_in_parts), set()),
}

_FUNCTION_CALL = "function_call"

#: A rule, the cassette on which it is broken, how, and which rules it takes along.
MUTANTS: dict[str, tuple[str, Mutation | UpstreamMutation, set[str]]] = {
    "framing/1": ("hello", Mutation(content_type="application/json"), set()),
    "framing/2": (
        "hello",
        Mutation(body=lambda body: body.replace(b"event: response.c", b"event: c")),
        set(),
    ),
    "framing/3": ("hello", Mutation(body=lambda body: body[:-2]), {"lifecycle/2"}),
    "framing/4": ("hello", Mutation(body=lambda body: b": ping\n\n" + body), set()),
    "lifecycle/1": ("hello", Mutation(without("response.created")), set()),
    "lifecycle/2": ("hello", Mutation(doubled("response.completed")), set()),
    "lifecycle/3": ("hello", Mutation(with_response(id="resp_other")), set()),
    "lifecycle/4": ("hello", Mutation(with_last(_end_incomplete)), set()),
    "lifecycle/5": ("hello", Mutation(without("response.in_progress")), set()),
    "lifecycle/6": ("hello", Mutation(with_response(created_at=1)), set()),
    "sequence/1": ("hello", Mutation(numbered=_skip_a_number), set()),
    "items/1": ("hello", Mutation(without(ADDED, item="message")), set()),
    "items/2": (
        "whole-calls",
        Mutation(without(DONE, item=_FUNCTION_CALL)),
        {"calls/1", "items/5"},
    ),
    "items/3": ("hello", Mutation(with_each("response.output_text.delta", _misplace)), set()),
    "items/4": ("hello", Mutation(_shift_output_index), set()),
    "items/5": ("hello", Mutation(with_response(output=[])), set()),
    "items/6": ("parallel-calls", Mutation(_same_id), set()),
    "items/7": (
        "hello",
        Mutation(
            with_items("message", lambda item: item["content"] and item.update(status="incomplete"))
        ),
        set(),
    ),
    "items/8": ("hello", Mutation(_empty_message), set()),
    "items/9": (
        "parallel-calls",
        Mutation(moved_behind(_is(DONE, "reasoning"), _is(ADDED, _FUNCTION_CALL))),
        set(),
    ),
    "items/10": ("text-before-call", Mutation(_swap_items(1, 2)), set()),
    "items/11": (
        "parallel-calls",
        Mutation(moved_behind(_is(DONE, _FUNCTION_CALL), _is(DONE, _FUNCTION_CALL))),
        set(),
    ),
    "chains/1": ("hello", Mutation(without("response.content_part.added")), set()),
    "chains/2": ("hello", Mutation(_every(_second_part)), set()),
    "chains/3": ("hello", Mutation(with_each("response.content_part.done", _empty)), set()),
    "chains/4": ("hello", Mutation(_say_otherwise), set()),
    "deltas/1": ("hello", Mutation(without("response.output_text.delta")), set()),
    "deltas/2": ("hello", Mutation(_add_empty_delta), set()),
    "text/1": ("hello", Mutation(with_text("Hello", "HELLO")), set()),
    "reasoning/1": ("parallel-calls", Mutation(with_text("depend", "DEPEND")), set()),
    "reasoning/2": ("parallel-calls", Mutation(_raw_reasoning), set()),
    "calls/1": ("parallel-calls", Mutation(with_text("a1b2c3d4e", "call_a1b2c3d4e")), set()),
    "calls/2": (
        "parallel-calls",
        Mutation(with_text('"name": "exec_command"', '"name": "shell"')),
        set(),
    ),
    "calls/3": (
        "parallel-calls",
        Mutation(_longer("function_call_arguments", "arguments")),
        set(),
    ),
    "calls/4": (
        "whole-calls",
        Mutation(with_each(ADDED, lambda event: event["item"].update(call_id=event["item"]["id"]))),
        set(),
    ),
    "calls/5": ("parallel-calls", Mutation(_same_call_id), {"calls/1"}),
    "calls/6": (
        "whole-calls",
        Mutation(
            with_each(
                "response.function_call_arguments.done", lambda event: event.update(name="other")
            )
        ),
        set(),
    ),
    "custom/1": ("apply-patch-custom", Mutation(_as_function), set()),
    "custom/2": ("apply-patch-custom", Mutation(_longer("custom_tool_call_input", "input")), set()),
    "namespaces/1": (
        "namespace-tool",
        Mutation(with_items(_FUNCTION_CALL, lambda item: item.pop("namespace"))),
        set(),
    ),
    "namespaces/2": (
        "whole-calls",
        Mutation(with_items(_FUNCTION_CALL, lambda item: item.update(namespace="functions"))),
        set(),
    ),
    "usage/1": ("hello", _usage(_more_tokens), set()),
    "usage/2": (
        "hello",
        _usage(lambda usage: usage["input_tokens_details"].update(cached_tokens=1)),
        set(),
    ),
    "usage/3": ("hello", Mutation(with_response(usage=None)), set()),
    "usage/4": ("hello", _usage(lambda usage: usage.update(total_tokens=1)), {"usage/1"}),
    "failures/1": ("wrong-key", _error(lambda error: None, status=401), set()),
    "failures/2": ("wrong-key", _error(lambda error: error.pop("code")), set()),
    "failures/3": ("wrong-key", _error(lambda error: error.update(message="It failed.")), set()),
    "failures/4": ("cut-after-call", Mutation(_call_done), {"chains/1", "items/5"}),
    "failures/5": ("rate-limit", Mutation(_code("server_error")), set()),
    "failures/6": ("cut-text", Mutation(_half_message), set()),
    "failures/7": ("rate-limit", Mutation(with_each("response.failed", _in_half_a_second)), set()),
    "failures/8": ("cut-text", Mutation(_code("invalid_prompt")), set()),
    "failures/9": (
        "wrong-key",
        _error(lambda error: error.update(message=f"{error['message']} ({CREDENTIAL})")),
        set(),
    ),
    "truncation/1": (
        "length-text",
        Mutation(with_response(incomplete_details={"reason": "content_filter"})),
        set(),
    ),
    "compaction/1": ("compaction", Mutation(_sum_up_twice), set()),
    "compaction/2": ("compaction", UpstreamMutation(_ToolsForAll()), set()),
    "compaction/3": ("compaction", _messages(_without_summary), set()),
    "conversation/1": ("hello", _messages(lambda messages: messages.append(_ORPHAN)), set()),
    "conversation/2": (
        "hello",
        _messages(lambda messages: messages.append(messages.pop(0))),
        set(),
    ),
    "conversation/3": ("hello", _messages(lambda messages: messages.pop()), set()),
    "conversation/4": (
        "hello",
        _messages(lambda messages: messages[-1].update(role="system")),
        set(),
    ),
    "conversation/5": ("hello", _messages(lambda messages: messages.append(messages[-1])), set()),
    "conversation/6": ("parallel-calls", _messages(_without_arguments), set()),
    "conversation/7": ("parallel-calls", _each_message("tool", content="done"), set()),
    "conversation/8": ("parallel-calls", _messages(_without_reasoning), set()),
    "request/1": ("hello", REJECTED["unknown property"][1], set()),
    "request/2": ("hello", _tools(lambda tools: tools.pop()), set()),
    "request/3": (
        "hello",
        _tools(lambda tools: tools[0]["function"].update(parameters={"type": "object"})),
        set(),
    ),
    "request/4": (
        "hello",
        _tools(lambda tools: tools.append(_of_function(tools[0], name="invented"))),
        set(),
    ),
    "request/5": ("hello", UpstreamMutation(lambda body: body.update(tool_choice="none")), set()),
    "request/6": ("hello", UpstreamMutation(lambda body: body.pop("stream")), set()),
    "request/7": ("hello", UpstreamMutation(lambda body: body.update(model="other")), set()),
    "request/8": ("structured-output", UpstreamMutation(_without_format), set()),
    "request/9": ("hello", UpstreamMutation(headers={"x-codex-turn-metadata": "{}"}), set()),
    "timing/1": ("hello", Mutation(), set()),
    "timing/2": ("hello", Mutation(late=1), set()),
    "timing/3": ("hello", Mutation(pause=0.3), set()),
}

#: What is caught only where the provider waits until the proxy has passed on what it said.
PACED = ("timing/1", "timing/2")

#: The recording, without a pause.
AT_ONCE = Variant("at_once", lambda stream: None)


@pytest.fixture(scope="module")
def mutant(proxy: OwnProxy) -> Iterator[Mutant]:
    with Mutant(proxy.url) as mutant:
        yield mutant


@pytest.fixture(scope="module")
def upstream_mutant(provider: Provider) -> Iterator[UpstreamMutant]:
    with UpstreamMutant(provider.url) as mutant:
        yield mutant


@pytest.fixture(scope="module")
def spoilt_upstream(upstream_mutant: UpstreamMutant) -> Iterator[OwnProxy]:
    """The proxy whose requests are spoilt."""
    with OwnProxy(f"{upstream_mutant.url}/v1", environment={"CEREBRAS_TIMEOUT": "2"}) as proxy:
        yield proxy


def test_every_rule_has_a_mutant() -> None:
    assert sorted(MUTANTS) == sorted(RULES)


@pytest.mark.parametrize("rule", sorted(MUTANTS))
def test_the_rule_catches_its_mutant(
    rule: str,
    provider: Provider,
    mutant: Mutant,
    upstream_mutant: UpstreamMutant,
    spoilt_upstream: OwnProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cassette, mutation, follows = MUTANTS[rule]
    if rule == "timing/3":
        monkeypatch.setattr(timing, "LONGEST_SILENCE", 250.0)  # a minute would be long
    if isinstance(mutation, UpstreamMutation):
        upstream_mutant.mutation = mutation
        caught = _caught(cassette, provider, spoilt_upstream.url)
    else:
        mutant.mutation = mutation
        caught = _caught(cassette, provider, mutant.url, paced=rule in PACED)
    assert caught == {rule} | follows


@pytest.mark.parametrize("kind", REJECTED)
def test_what_the_provider_would_reject_is_caught(
    kind: str, provider: Provider, upstream_mutant: UpstreamMutant, spoilt_upstream: OwnProxy
) -> None:
    cassette, upstream_mutant.mutation, follows = REJECTED[kind]
    assert _caught(cassette, provider, spoilt_upstream.url) == {"request/1", *follows}


@pytest.mark.parametrize("cassette", ["hello", "whole-calls", "parallel-calls"])
def test_nothing_is_caught_where_nothing_is_broken(
    cassette: str,
    provider: Provider,
    mutant: Mutant,
    upstream_mutant: UpstreamMutant,
    spoilt_upstream: OwnProxy,
) -> None:
    mutant.mutation = Mutation()
    assert _caught(cassette, provider, mutant.url) == set()
    mutant.mutation = Mutation(late=0)
    assert _caught(cassette, provider, mutant.url, paced=True) == set()
    upstream_mutant.mutation = UpstreamMutation()
    assert _caught(cassette, provider, spoilt_upstream.url) == set()


@pytest.mark.parametrize(
    "kind",
    [
        "reasoning_summary_part.added",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "function_call_arguments.done",
    ],
)
@pytest.mark.parametrize("spoil", [without, doubled], ids=["missing", "doubled"])
def test_each_event_of_a_chain_is_missed(
    kind: str, spoil: Callable[[str], Spoil], provider: Provider, mutant: Mutant
) -> None:
    mutant.mutation = Mutation(spoil(f"response.{kind}"))
    assert "chains/1" in _caught("parallel-calls", provider, mutant.url)


def test_a_field_that_is_missing_is_named(provider: Provider, mutant: Mutant) -> None:
    def nameless(event: dict[str, Any]) -> None:
        if event["item"]["type"] == "function_call":
            del event["item"]["arguments"]

    mutant.mutation = Mutation(with_each("response.output_item.done", nameless))
    path = cerebras("create-file")
    fault = faults(replay(path, mutant.url, provider, variant=AT_ONCE))[0]

    assert fault.rule == "schema"
    assert fault.actual == "$.item: 'arguments' is a required property"
    assert "cassettes/cerebras/create-file.yaml, turn 1, event" in fault.where


def _caught(cassette: str, provider: Provider, url: str, *, paced: bool = False) -> set[str]:
    # Whatever is asked, the provider answers as it did.
    variant = AS_RECORDED if paced else AT_ONCE
    played = replay(cerebras(cassette), f"{url}/v1", provider, variant=variant, by_turn=True)
    return {fault.rule for fault in faults(played)}
