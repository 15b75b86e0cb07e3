"""Rules on requests made by hand: what may stand upstream for what the client asked."""

from __future__ import annotations

import pytest

from harness.chat_stream import Said
from harness.client import Answer
from harness.rules import Exchange, UpstreamRequest, check
from tests.unit.harness.handmade import Json

PROMPT: Json = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Go"}],
}
CALL: Json = {"type": "function_call", "call_id": "a1", "name": "f", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "a1", "output": "done"}
REASONING: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}

ASKED: Json = {"role": "user", "content": "Go"}
CALLED: Json = {
    "role": "assistant",
    "reasoning": "Hm",
    "tool_calls": [
        {"id": "a1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ],
}
RESULT: Json = {"role": "tool", "tool_call_id": "a1", "content": "done"}


def caught(
    given: list[Json], messages: list[Json], upstream: Json | None = None, **client: object
) -> list[str]:
    """Return the rules that a request upstream breaks, in order."""
    body = {"model": "m", "messages": messages, **(upstream or {})}
    request = {"body": {"model": "m", "input": given, **client}}
    exchange = Exchange(Answer(200, ""), Said(), request=request, asked=[UpstreamRequest(body)])
    return [fault.rule for fault in check(exchange, "request")]


def test_a_conversation_that_is_told_whole_has_no_faults() -> None:
    assert caught([PROMPT, REASONING, CALL, OUTPUT], [ASKED, CALLED, RESULT]) == []


def test_a_request_that_the_provider_rejects_is_asked_all_that_it_can_be() -> None:
    parts = [{"type": "text", "text": "Go"}]
    assert caught([PROMPT], [{"role": "user", "content": parts}]) == ["request/1"]
    assert caught([PROMPT], [{"role": "user", "content": None}]) == ["conversation/3", "request/1"]
    assert set(caught([PROMPT], [], {"messages": ["Go"]})) == {"request/1"}


def test_reasoning_under_a_name_that_the_provider_rejects_is_lost() -> None:
    lost = {**CALLED, "reasoning_content": CALLED["reasoning"]}
    del lost["reasoning"]

    found = caught([PROMPT, REASONING, CALL, OUTPUT], [ASKED, lost, RESULT])

    assert found == ["conversation/8", "request/1"]


def test_instructions_are_told_beside_a_developer_message() -> None:
    developer = {**PROMPT, "role": "developer", "content": "Be brief."}
    unknown: Json = {"stream_options": {}}
    told = {"role": "system", "content": "Be brief."}

    found = caught([developer, PROMPT], [told, ASKED], unknown, instructions="Be kind.")

    assert found == ["conversation/2", "request/1"]


# --- the conversation ----------------------------------------------------------------------------


def test_a_result_may_come_before_its_call_in_the_input() -> None:
    # Codex 0.45 puts what was interrupted at the very front.
    assert caught([OUTPUT, PROMPT, CALL], [ASKED, CALLED, RESULT]) == []


def test_a_result_without_a_call_need_not_be_there() -> None:
    assert caught([OUTPUT, PROMPT], [ASKED]) == []


def test_a_call_without_its_result_is_a_fault() -> None:
    assert caught([PROMPT, CALL], [ASKED, CALLED]) == ["conversation/1"]


def test_a_result_behind_the_next_message_is_a_fault() -> None:
    again, second = {**ASKED, "content": "On"}, {**PROMPT, "content": "On"}
    found = caught([PROMPT, CALL, OUTPUT, second], [ASKED, CALLED, again, RESULT])

    assert found == ["conversation/1", "conversation/1"]


def test_texts_may_share_a_message() -> None:
    second = {**PROMPT, "content": "On"}

    assert caught([PROMPT, second], [{**ASKED, "content": "Go\n\nOn"}]) == []


def test_texts_in_another_order_are_a_fault() -> None:
    second = {**PROMPT, "content": "On"}

    assert caught([PROMPT, second], [{**ASKED, "content": "On"}, ASKED]) == ["conversation/3"]


def test_what_was_said_twice_may_be_told_twice() -> None:
    assert caught([PROMPT, PROMPT], [ASKED, ASKED]) == []
    assert caught([PROMPT], [ASKED, ASKED]) == ["conversation/5"]


def test_a_string_is_an_input() -> None:
    request = {"body": {"input": "Go"}}
    body = {"model": "m", "messages": [{**ASKED, "content": "Stay"}]}
    exchange = Exchange(Answer(200, ""), Said(), request=request, asked=[UpstreamRequest(body)])

    assert [fault.rule for fault in check(exchange, "request")] == [
        "conversation/3",
        "conversation/9",
    ]


def test_reasoning_that_led_to_nothing_need_not_be_there() -> None:
    assert caught([REASONING, PROMPT], [ASKED]) == []


def test_reasoning_on_another_message_is_a_fault() -> None:
    plain = {name: value for name, value in CALLED.items() if name != "reasoning"}
    other = {"role": "assistant", "content": "Done.", "reasoning": "Hm"}
    found = caught([PROMPT, REASONING, CALL, OUTPUT], [ASKED, plain, RESULT, other])

    assert found == ["conversation/8"]


def test_arguments_may_be_spaced_in_another_way() -> None:
    def called(arguments: str) -> Json:
        function = {"name": "f", "arguments": arguments}
        return {**CALLED, "tool_calls": [{**CALLED["tool_calls"][0], "function": function}]}

    call = {**CALL, "arguments": '{"n":1}'}
    given = [PROMPT, REASONING, call, OUTPUT]

    assert caught(given, [ASKED, called('{"n": 1}'), RESULT]) == []
    assert caught(given, [ASKED, called('{"n": 2}'), RESULT]) == ["conversation/6"]
    assert caught(given, [ASKED, called('{"n":'), RESULT]) == ["conversation/6"]


def test_the_output_of_a_tool_may_be_a_list() -> None:
    parts = {**OUTPUT, "output": [{"type": "input_text", "text": "done"}, {"type": "input_image"}]}
    noted = {**RESULT, "content": "done[an image]"}

    assert caught([PROMPT, CALL, parts], [ASKED, CALLED, noted]) == []
    assert caught([PROMPT, CALL, parts], [ASKED, CALLED, {**RESULT, "content": ""}]) == [
        "conversation/7"
    ]


SECOND: Json = {**PROMPT, "content": [{"type": "input_text", "text": "Go on"}]}


@pytest.mark.parametrize(
    ("given", "user", "follows"),
    [
        # The texts may share a message, however they are joined; one may be part of another.
        ([PROMPT, SECOND], "Go\n---\nGo on", []),
        ([PROMPT, PROMPT], "Go\n\nGo", []),
        ([{**PROMPT, "content": " Go\n"}], "Go", ["conversation/3"]),
        ([PROMPT], "Go. Be brief.", ["conversation/9"]),
        ([PROMPT], "Go\n\nGo", ["conversation/9"]),
        ([PROMPT, SECOND], "Go\n\nGo on\n\nGo", ["conversation/9"]),
        # Others than these are told in words of the proxy's own.
        (
            [PROMPT, {"type": "message", "role": "user", "content": [{"type": "input_image"}]}],
            "Go [image]",
            [],
        ),
        ([PROMPT, {"type": "agent_message", "content": "Hi"}], "Go\n\nThe agent says: Hi", []),
        ([OUTPUT, PROMPT], "Earlier result: done\nGo", []),
    ],
)
def test_the_user_says_no_more_than_the_client_has(
    given: list[Json], user: str, follows: list[str]
) -> None:
    assert caught(given, [{"role": "user", "content": user}]) == follows


def test_a_format_may_be_told_to_the_model() -> None:
    asked = {**ASKED, "content": "Go. Answer in JSON."}

    assert caught([PROMPT], [asked], text={"format": {"type": "json_object"}}) == []
    assert caught([PROMPT], [asked], text={"verbosity": "low"}) == ["conversation/9"]


@pytest.mark.parametrize(
    ("output", "result", "follows"),
    [
        ("done", "done\n", []),
        ("", "(no output)", []),
        ("done", "done. Now go on.", ["conversation/9"]),
        ("done", "done\ndone", ["conversation/9"]),
        ([{"type": "input_text", "text": "do"}, {"type": "input_text", "text": "ne"}], "done", []),
    ],
)
def test_a_tool_says_no_more_than_the_client_has(
    output: object, result: str, follows: list[str]
) -> None:
    given = [PROMPT, REASONING, CALL, {**OUTPUT, "output": output}]

    assert caught(given, [ASKED, CALLED, {**RESULT, "content": result}]) == follows


# --- tools ---------------------------------------------------------------------------------------

SCHEMA: Json = {"type": "object"}


def function(name: str, **more: object) -> Json:
    return {"type": "function", "function": {"name": name, **more}}


@pytest.mark.parametrize(
    ("tool", "offered", "follows"),
    [
        ({"type": "function", "name": "f", "parameters": SCHEMA}, "f", []),
        ({"type": "function", "name": "f"}, "f", ["request/3"]),
        ({"type": "custom", "name": "f"}, "f", []),
        # A namespace may be joined to the name in more than one way.
        (
            {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "f"}]},
            "n__f",
            [],
        ),
        (
            {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "f"}]},
            "n-f",
            [],
        ),
        (
            {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "f"}]},
            "f",
            [],
        ),
        # What is too long for the provider, or illegal there, becomes something else.
        ({"type": "custom", "name": "f" * 65}, "short", []),
        ({"type": "custom", "name": "f.g"}, "f_g", []),
    ],
)
def test_a_tool_is_offered_by_a_name_that_can_be_known(
    tool: Json, offered: str, follows: list[str]
) -> None:
    upstream = {"tools": [function(offered, parameters=SCHEMA)]}

    assert caught([PROMPT], [ASKED], upstream, tools=[tool]) == follows


@pytest.mark.parametrize(
    ("words", "follows"),
    [
        ("Runs a thing.", []),
        ("Runs a thing.\n\nThe input must match this grammar: x", []),
        ("Runs", ["request/3"]),
        (None, ["request/3"]),
    ],
)
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_a_description_is_told_and_more_may_stand_behind_it(
    kind: str, words: str | None, follows: list[str]
) -> None:
    tool = {"type": kind, "name": "f", "description": "Runs a thing.", "parameters": SCHEMA}
    upstream = {"tools": [function("f", parameters=SCHEMA, description=words)]}

    assert caught([PROMPT], [ASKED], upstream, tools=[tool]) == [
        *([] if words else ["request/1"]),
        *follows,
    ]


def test_hosted_tools_need_not_be_there() -> None:
    assert caught([PROMPT], [ASKED], tools=[{"type": "web_search"}]) == []


def test_tools_in_an_item_of_the_input_are_tools() -> None:
    more = {"type": "additional_tools", "tools": [{"type": "custom", "name": "f"}]}

    assert caught([more, PROMPT], [ASKED]) == ["request/2"]


def test_a_choice_of_some_tools_may_leave_the_others_out() -> None:
    tools = [{"type": "custom", "name": "f"}, {"type": "custom", "name": "g"}]
    choice = {"type": "custom", "name": "f"}
    upstream = {"tools": [function("f")]}

    assert caught([PROMPT], [ASKED], upstream, tools=tools, tool_choice=choice) == []
    assert caught([PROMPT], [ASKED], upstream, tools=tools) == ["request/2"]


def test_a_model_of_openais_becomes_another() -> None:
    assert caught([PROMPT], [ASKED], model="gpt-5-codex") == []
    assert caught([PROMPT], [ASKED], model="qwen-3") == ["request/7"]


@pytest.mark.parametrize(
    "told",
    [
        {"messages": [ASKED, {"role": "system", "content": 'Answer: {"type": "object"}'}]},
        {"messages": [ASKED, {"role": "system", "content": 'Answer: {"type":"object"}'}]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA},
            }
        },
    ],
)
def test_a_format_is_demanded_or_told(told: Json) -> None:
    text = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}

    assert caught([PROMPT], [ASKED], told, text=text) == []
    assert caught([PROMPT], [ASKED], text=text) == ["request/8"]


@pytest.mark.parametrize(
    ("name", "follows"),
    [
        ("chatgpt-account-id", ["request/9"]),
        ("x-codex-turn-metadata", ["request/9"]),
        ("session_id", ["request/9"]),
        ("user-agent", []),
        ("x-request-id", []),
    ],
)
def test_a_header_of_codexs_own_is_a_fault(name: str, follows: list[str]) -> None:
    asked = UpstreamRequest({"model": "m", "messages": [ASKED]}, frozenset({name}))
    found = check(Exchange(Answer(200, ""), Said(), asked=[asked]), "request")

    assert [fault.rule for fault in found] == follows
