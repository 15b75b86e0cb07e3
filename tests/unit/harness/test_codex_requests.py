"""The scripted client sends what the real CLI of each version was seen to send.

Keys and their order are facts about Codex 0.45.0, 0.121.0 and 0.163.0, observed on the wire.
"""

from __future__ import annotations

import json
import re
from typing import Literal

import pytest

from harness import scenarios
from harness.codex_requests import Conversation, begin
from harness.scenarios import Call
from harness.schema import check
from tests.unit.harness.handmade import Json, done, scenario, turn

Client = Literal["codex-0.45", "codex-0.121", "codex-0.163"]

OLD: Client = "codex-0.45"
MIDDLE: Client = "codex-0.121"
NEW: Client = "codex-0.163"

ONE = Call(id="a1", name="f", arguments={"n": 1}, output="one\n")
TWO = Call(id="b2", name="g", arguments={"n": 2}, output="two\n", exit_code=3)
CALLS = turn(calls=[ONE, TWO])

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

#: Items as a proxy sends them.
REASONING: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm"}],
}
MESSAGE: Json = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
    "role": "assistant",
}


def called(call: Call, id: str) -> Json:
    return {
        "type": "function_call",
        "id": id,
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments_text,
    }


def conversation(client: Client) -> Conversation:
    return begin(scenario(CALLS, turn("Done."), client=client))


def after_two_calls(client: Client) -> list[Json]:
    """Return what the second request has more than the first."""
    talk = conversation(client)
    first = talk.request()["input"]
    talk.take(done(REASONING, MESSAGE, called(ONE, "fc_1"), called(TWO, "fc_2")))
    second: list[Json] = talk.request()["input"]
    assert second[: len(first)] == first
    return second[len(first) :]


# --- Codex 0.45 ----------------------------------------------------------------------------------


def test_0_45_sends_instructions_beside_the_input() -> None:
    request = conversation(OLD).request()

    assert list(request) == [
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "stream",
        "include",
        "prompt_cache_key",
    ]
    assert request["parallel_tool_calls"] is False
    assert request["reasoning"] is None
    assert request["store"] is False
    assert request["stream"] is True
    assert request["include"] == []
    assert re.fullmatch(UUID, request["prompt_cache_key"])


def test_0_45_begins_with_two_messages_of_the_user_without_ids() -> None:
    environment, prompt = conversation(OLD).request()["input"]

    assert list(environment) == list(prompt) == ["type", "role", "content"]
    assert environment["role"] == prompt["role"] == "user"
    assert environment["content"][0]["text"].startswith("<environment_context>\n  <cwd>")
    assert prompt["content"] == [{"type": "input_text", "text": "say hello"}]


def test_0_45_offers_three_functions() -> None:
    tools = conversation(OLD).request()["tools"]

    assert [tool["name"] for tool in tools] == ["shell", "apply_patch", "view_image"]
    for tool in tools:
        assert list(tool) == ["type", "name", "description", "strict", "parameters"]
        assert (tool["type"], tool["strict"]) == ("function", False)
        assert list(tool["parameters"]) == [
            "type",
            "properties",
            "required",
            "additionalProperties",
        ]
    assert list(tools[0]["parameters"]["properties"]) == [
        "command",
        "justification",
        "timeout_ms",
        "with_escalated_permissions",
        "workdir",
    ]
    assert tools[0]["parameters"]["properties"]["command"] == {
        "type": "array",
        "items": {"type": "string"},
    }


def test_0_45_answers_each_call_right_after_it_and_sends_no_ids() -> None:
    assert after_two_calls(OLD) == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm"}],
            "content": None,
            "encrypted_content": None,
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi"}],
        },
        {"type": "function_call", "name": "f", "arguments": '{"n":1}', "call_id": "a1"},
        {
            "type": "function_call_output",
            "call_id": "a1",
            "output": '{"output":"one\\n","metadata":{"exit_code":0,"duration_seconds":0.0}}',
        },
        {"type": "function_call", "name": "g", "arguments": '{"n":2}', "call_id": "b2"},
        {
            "type": "function_call_output",
            "call_id": "b2",
            "output": '{"output":"two\\n","metadata":{"exit_code":3,"duration_seconds":0.0}}',
        },
    ]


def test_0_45_keeps_the_order_of_keys() -> None:
    assert [list(item) for item in after_two_calls(OLD)[:4]] == [
        ["type", "summary", "content", "encrypted_content"],
        ["type", "role", "content"],
        ["type", "name", "arguments", "call_id"],
        ["type", "call_id", "output"],
    ]


# --- Codex 0.121 ---------------------------------------------------------------------------------


def test_0_121_sends_instructions_and_a_developer_message_of_two_parts() -> None:
    request = conversation(MIDDLE).request()

    assert list(request) == list(conversation(OLD).request())
    assert request["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert request["include"] == ["reasoning.encrypted_content"]
    developer, environment, prompt = request["input"]
    assert list(developer) == list(environment) == list(prompt) == ["type", "role", "content"]
    assert (developer["role"], len(developer["content"])) == ("developer", 2)
    assert request["instructions"] not in json.dumps(request["input"])
    assert environment["content"][0]["text"].startswith("<environment_context>\n  <cwd>")
    assert prompt["content"] == [{"type": "input_text", "text": "say hello"}]


def test_0_121_offers_a_custom_tool_and_no_namespaces() -> None:
    tools = conversation(MIDDLE).request()["tools"]

    assert [(tool["type"], tool["name"]) for tool in tools] == [
        ("function", "exec_command"),
        ("function", "write_stdin"),
        ("function", "update_plan"),
        ("custom", "apply_patch"),
        ("function", "view_image"),
    ]


def test_0_121_answers_after_all_calls_and_sends_no_ids() -> None:
    *said, output_one, output_two = after_two_calls(MIDDLE)

    assert said == [item for item in after_two_calls(OLD) if "output" not in item]
    assert (output_one["call_id"], output_two["call_id"]) == ("a1", "b2")
    assert list(output_one) == ["type", "call_id", "output"]
    assert output_one["output"].startswith("Chunk ID: ")


# --- Codex 0.163 ---------------------------------------------------------------------------------


def test_0_163_sends_no_instructions_and_asks_for_summaries() -> None:
    request = conversation(NEW).request()

    assert list(request) == [
        "model",
        "stream",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "include",
        "prompt_cache_key",
        "client_metadata",
    ]
    assert request["parallel_tool_calls"] is True
    assert request["reasoning"] == {"summary": "auto"}
    assert request["store"] is False
    assert request["include"] == ["reasoning.encrypted_content"]
    assert re.fullmatch(UUID, request["prompt_cache_key"])


def test_0_163_begins_with_developer_messages_and_gives_ids_to_all() -> None:
    items = conversation(NEW).request()["input"]

    assert [item["role"] for item in items] == ["developer", "developer", "user", "user"]
    for item in items:
        assert list(item) == ["type", "id", "role", "content"]
        assert re.fullmatch(f"msg_{UUID}", item["id"])
    assert len({item["id"] for item in items}) == 4
    assert items[2]["content"][0]["text"].startswith("<environment_context>\n  <cwd>")
    assert items[3]["content"] == [{"type": "input_text", "text": "say hello"}]


def test_0_163_offers_functions_a_namespace_and_a_search_without_a_name() -> None:
    tools = conversation(NEW).request()["tools"]

    assert [tool["name"] for tool in tools if tool["type"] == "function"] == [
        "exec_command",
        "write_stdin",
        "view_image",
    ]
    *_, namespace, search = tools
    assert list(namespace) == ["type", "name", "description", "tools"]
    assert (namespace["type"], namespace["name"]) == ("namespace", "multi_agent_v1")
    assert search == {"type": "web_search", "external_web_access": True}
    assert tools[0]["parameters"]["required"] == ["cmd"]


def test_0_163_answers_after_all_calls_in_their_order_and_sends_ids() -> None:
    reasoning, message, one, two, output_one, output_two = after_two_calls(NEW)

    assert reasoning == {**REASONING, "content": None, "encrypted_content": None}
    assert message == MESSAGE
    assert one == called(ONE, "fc_1")
    assert two == called(TWO, "fc_2")
    assert (output_one["call_id"], output_two["call_id"]) == ("a1", "b2")
    assert re.fullmatch(f"fco_{UUID}", output_one["id"])
    assert re.fullmatch(f"fco_{UUID}", output_two["id"])
    assert output_one["id"] != output_two["id"]


def test_0_163_keeps_the_order_of_keys() -> None:
    reasoning, *_, output = after_two_calls(NEW)

    assert list(reasoning) == ["type", "id", "summary", "content", "encrypted_content"]
    assert list(output) == ["type", "id", "call_id", "output"]


def test_0_163_tells_what_a_command_printed_in_lines() -> None:
    *_, one, two = after_two_calls(NEW)

    first, second, code, *_, header, text, end = one["output"].split("\n")
    assert re.fullmatch(r"Chunk ID: [0-9a-f]{6}", first)
    assert re.fullmatch(r"Wall time: \d\.\d{4} seconds", second)
    assert code == "Process exited with code 0"
    assert (header, text, end) == ("Output:", "one", "")
    assert "Process exited with code 3\n" in two["output"]


# --- all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_reasoning_that_was_encrypted_or_given_as_text_goes_back(client: Client) -> None:
    content = [{"type": "reasoning_text", "text": "Hm"}]
    item = {**REASONING, "content": content, "encrypted_content": "ENC"}
    talk = conversation(client)

    talk.take(done(item))

    last = talk.request()["input"][-1]
    assert (last["content"], last["encrypted_content"]) == (content, "ENC")


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_a_call_is_answered_by_its_place_whatever_its_id(client: Client) -> None:
    # A live model makes up its own ids.
    live = called(Call(id="live9", name="f", arguments={}), "fc_1")
    talk = conversation(client)

    talk.take(done(live))

    *_, output = talk.request()["input"]
    assert output["call_id"] == "live9"
    assert "one" in output["output"]


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_a_call_that_no_script_foresaw_is_answered_with_nothing(client: Client) -> None:
    more = [called(Call(id=str(n), name="f", arguments={}), f"fc_{n}") for n in range(3)]
    talk = conversation(client)

    talk.take(done(*more))

    outputs = [i for i in talk.request()["input"] if i["type"] == "function_call_output"]
    assert [output["call_id"] for output in outputs] == ["0", "1", "2"]
    assert "one" not in outputs[2]["output"]
    assert "two" not in outputs[2]["output"]


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_there_is_another_turn_where_something_was_called(client: Client) -> None:
    assert conversation(client).take(done(REASONING, called(ONE, "fc_1")))
    assert not conversation(client).take(done(REASONING, MESSAGE))


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_only_what_is_done_is_entered(client: Client) -> None:
    talk = conversation(client)
    before = talk.request()

    talk.take([])

    assert talk.request() == before


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_a_request_is_not_changed_by_what_comes_after_it(client: Client) -> None:
    talk = conversation(client)
    request = talk.request()
    before = json.dumps(request)

    talk.take(done(MESSAGE))

    assert json.dumps(request) == before


@pytest.mark.parametrize("name", scenarios.names())
def test_a_request_is_the_same_in_every_recording(name: str) -> None:
    assert begin(scenarios.load(name)).request() == begin(scenarios.load(name)).request()


@pytest.mark.parametrize("client", [OLD, MIDDLE, NEW])
def test_requests_of_both_turns_are_valid(client: Client) -> None:
    talk = conversation(client)

    assert check(talk.request(), "responses/request.json") == []
    talk.take(done(REASONING, MESSAGE, called(ONE, "fc_1"), called(TWO, "fc_2")))
    assert check(talk.request(), "responses/request.json") == []


def test_the_model_is_the_one_that_was_asked_for() -> None:
    assert begin(scenario(CALLS), model="qwen-3.8-27b").request()["model"] == "qwen-3.8-27b"
