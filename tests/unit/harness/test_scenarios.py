"""What is played."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest

from harness import scenarios
from harness.codex_requests import begin
from harness.scenarios import Call, Scenario
from tests.unit.harness.handmade import turn

LEAST = b"""
title: Least
client: codex-0.45
prompt: say hello
turns:
  - usage: {prompt_tokens: 1, completion_tokens: 2}
    timing: {queue: 0, prompt: 0.1, completion: 0.2, total: 0.3}
"""


def test_names_are_sorted_and_without_endings() -> None:
    assert scenarios.names() == sorted(scenarios.names())
    assert {"hello", "create-file", "parallel-calls"} <= set(scenarios.names())


def test_a_scenario_knows_its_name() -> None:
    assert scenarios.load("hello").name == "hello"


def test_a_scenario_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(KeyError) as raised:
        scenarios.load("helo")

    known = ", ".join(scenarios.names())
    assert raised.value.args == (f"there is no scenario 'helo'; there are: {known}",)


def test_a_name_does_not_leave_the_folder() -> None:
    with pytest.raises(KeyError):
        scenarios.load("../scenarios/hello")


def test_what_is_not_said_has_a_default() -> None:
    scenario = msgspec.yaml.decode(LEAST, type=Scenario)

    assert scenario.dialect == "2026-05"
    (only,) = scenario.turns
    assert (only.reasoning, only.text, only.calls) == ("", "", [])
    assert only.usage is not None
    assert (only.usage.cached_tokens, only.usage.reasoning_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"prompt: say", b"promt: say"),
        (b"codex-0.45", b"codex-0.46"),
        (b"completion_tokens", b"completed_tokens"),
        (b"queue: 0", b"queue: soon"),
    ],
)
def test_a_mistake_in_a_scenario_is_not_passed_over(old: bytes, new: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.yaml.decode(LEAST.replace(old, new), type=Scenario)


def test_arguments_that_are_an_object_become_compact_json() -> None:
    call = Call(id="a1", name="f", arguments={"cmd": "écho", "list": [1, 2]})

    assert call.arguments_text == '{"cmd":"écho","list":[1,2]}'


def test_arguments_that_are_text_stay_as_they_are() -> None:
    assert Call(id="a1", name="f", arguments='{"cmd": ').arguments_text == '{"cmd": '


def test_a_turn_with_calls_ends_for_them() -> None:
    assert turn("Hi").finish_reason == "stop"
    assert turn("Hi", calls=[Call("a1", "f", {})]).finish_reason == "tool_calls"


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_goes_on_until_its_last_turn(name: str) -> None:
    *most, last = scenarios.load(name).turns

    assert not last.calls or last.fails or last.stopped_by
    for each, following in itertools.pairwise([*most, last]):
        assert each.calls or each.then or following.compacts
        assert not each.fails


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_says_what_it_exercises(name: str) -> None:
    assert scenarios.load(name).exercises


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_calls_only_what_its_client_offers(name: str) -> None:
    scenario = scenarios.load(name)
    tools = begin(scenario).request()["tools"]
    offered = {(None, tool.get("name")): tool for tool in tools} | {
        (space["name"], tool["name"]): tool for space in tools for tool in space.get("tools", ())
    }

    for each in scenario.turns:
        for call in each.calls:
            tool = offered[call.namespace, call.name]
            assert tool["type"] == call.kind
            if call.kind == "function" and each.stopped_by is None:
                given = json.loads(call.arguments_text)
                assert given.keys() <= tool["parameters"]["properties"].keys()
                assert given.keys() >= set(tool["parameters"]["required"])


@pytest.mark.parametrize("name", scenarios.names())
def test_the_ids_of_calls_are_unique_and_look_like_cerebras(name: str) -> None:
    ids = [call.id for each in scenarios.load(name).turns for call in each.calls]

    assert len(ids) == len(set(ids))
    assert all(len(id) == 9 and int(id, 16) for id in ids)
