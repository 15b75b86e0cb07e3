"""Each rule catches the proxy that breaks it, and nothing catches the proxy that breaks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.provider import Provider
from harness.replay import faults, replay
from harness.rules import RULES
from harness.subject import OwnProxy
from tests.cassettes import cerebras
from tests.conformance.mutants import (
    Mutant,
    Mutation,
    Spoil,
    doubled,
    with_each,
    with_last,
    with_text,
    without,
)


def _end_incomplete(event: dict[str, Any]) -> None:
    event["type"] = "response.incomplete"
    details = {"reason": "max_output_tokens"}
    event["response"] |= {"status": "incomplete", "incomplete_details": details}


def _shift_output_index(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**event, "output_index": event["output_index"] + 1} if "output_index" in event else event
        for event in events
    ]


def _server_error(event: dict[str, Any]) -> None:
    event["response"]["error"]["code"] = "server_error"


def _misplace(event: dict[str, Any]) -> None:
    event["output_index"] += 7


def _empty(event: dict[str, Any]) -> None:
    event["part"] = {**event["part"], "text": ""}


def _skip_a_number(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for event in events[3:]:
        event["sequence_number"] += 1
    return events


def _error(change: Callable[[dict[str, Any]], None], status: int = 400) -> Mutation:
    """Spoil an HTTP error."""

    def spoil(given: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        change(body["error"])
        return status, body

    return Mutation(error=spoil)


def _call_done(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the first call be done, before the response fails."""
    added = next(event for event in events if event["type"] == "response.output_item.added")
    item = {**added["item"], "status": "completed", "arguments": "{}"}
    done = {**added, "type": "response.output_item.done", "item": item}
    return [*events[:-1], done, events[-1]]


def _sum_up_twice(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Repeat the compaction item, in order, as another one."""
    again = [
        {**event, "output_index": 1, "item": {**event["item"], "id": "cmp_again"}}
        for event in events
        if "item" in event and event["item"]["type"] == "compaction"
    ]
    if again:
        events[-1]["response"]["output"].append(again[-1]["item"])
    return [*events[:-1], *again, events[-1]]


#: A rule, the cassette on which it is broken, how, and which rules it takes along.
MUTANTS: dict[str, tuple[str, Mutation, set[str]]] = {
    "framing/1": ("hello", Mutation(content_type="application/json"), set()),
    "framing/2": (
        "hello",
        Mutation(body=lambda body: body.replace(b"event: response.c", b"event: c")),
        set(),
    ),
    "framing/3": ("hello", Mutation(body=lambda body: body[:-2]), {"lifecycle/2"}),
    "lifecycle/1": ("hello", Mutation(without("response.created")), set()),
    "lifecycle/2": ("hello", Mutation(doubled("response.completed")), set()),
    "lifecycle/3": (
        "hello",
        Mutation(with_last(lambda event: event["response"].update(id="resp_other"))),
        set(),
    ),
    "lifecycle/4": ("hello", Mutation(with_last(_end_incomplete)), set()),
    "chains/1": ("hello", Mutation(without("response.content_part.added")), set()),
    "chains/2": ("hello", Mutation(with_each("response.content_part.done", _empty)), set()),
    "sequence/1": ("hello", Mutation(numbered=_skip_a_number), set()),
    "items/1": ("hello", Mutation(without("response.output_item.added", item="message")), set()),
    "items/2": (
        "create-file",
        Mutation(without("response.output_item.done", item="function_call")),
        {"calls/1", "items/5"},
    ),
    "items/3": ("hello", Mutation(with_each("response.output_text.delta", _misplace)), set()),
    "items/4": ("hello", Mutation(_shift_output_index), set()),
    "items/5": (
        "hello",
        Mutation(with_last(lambda event: event["response"].update(output=[]))),
        set(),
    ),
    "deltas/1": ("hello", Mutation(without("response.output_text.delta")), set()),
    "text/1": ("hello", Mutation(with_text("Hello", "HELLO")), set()),
    "reasoning/1": ("parallel-calls", Mutation(with_text("depend", "DEPEND")), set()),
    "calls/1": ("parallel-calls", Mutation(with_text("a1b2c3d4e", "call_a1b2c3d4e")), set()),
    "compaction/1": ("compaction", Mutation(_sum_up_twice), set()),
    "failures/1": ("wrong-key", _error(lambda error: None, status=401), set()),
    "failures/2": ("wrong-key", _error(lambda error: error.pop("code")), set()),
    "failures/3": ("wrong-key", _error(lambda error: error.update(message="It failed.")), set()),
    "failures/4": ("cut-after-call", Mutation(_call_done), {"chains/1", "items/5"}),
    "failures/5": (
        "rate-limit",
        Mutation(with_each("response.failed", _server_error)),
        set(),
    ),
    "usage/1": (
        "hello",
        Mutation(with_last(lambda event: event["response"]["usage"].update(input_tokens=1))),
        set(),
    ),
}


@pytest.fixture(scope="module")
def mutant(proxy: OwnProxy) -> Iterator[Mutant]:
    with Mutant(proxy.url) as mutant:
        yield mutant


def test_every_rule_has_a_mutant() -> None:
    assert sorted(MUTANTS) == sorted(RULES)


@pytest.mark.parametrize("rule", sorted(MUTANTS))
def test_the_rule_catches_its_mutant(rule: str, provider: Provider, mutant: Mutant) -> None:
    cassette, mutant.mutation, follows = MUTANTS[rule]
    assert _caught(cassette, provider, mutant) == {rule} | follows


@pytest.mark.parametrize("cassette", ["hello", "create-file", "parallel-calls"])
def test_nothing_is_caught_where_nothing_is_broken(
    cassette: str, provider: Provider, mutant: Mutant
) -> None:
    mutant.mutation = Mutation()
    assert _caught(cassette, provider, mutant) == set()


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
    assert "chains/1" in _caught("parallel-calls", provider, mutant)


def test_a_field_that_is_missing_is_named(provider: Provider, mutant: Mutant) -> None:
    def nameless(event: dict[str, Any]) -> None:
        if event["item"]["type"] == "function_call":
            del event["item"]["arguments"]

    mutant.mutation = Mutation(with_each("response.output_item.done", nameless))
    path = cerebras("create-file")
    fault = faults(replay(path, mutant.url, provider))[0]

    assert fault.rule == "schema"
    assert fault.actual == "$.item: 'arguments' is a required property"
    assert "cassettes/cerebras/create-file.yaml, turn 1, event" in fault.where


def _caught(cassette: str, provider: Provider, mutant: Mutant) -> set[str]:
    path = cerebras(cassette)
    return {fault.rule for fault in faults(replay(path, mutant.url, provider))}
