"""Calls of tools that are no functions to the client: what was flattened comes back as it was."""

from __future__ import annotations

import json

import pytest

from tests.unit.proxy.conversations import sent
from tests.unit.proxy.streams import (
    Json,
    answer,
    answer_of,
    calls,
    final,
    finishes,
    fragment,
    items,
    outline,
    says,
    stream_of,
)

PATCH = '*** Begin Patch\n*** Add File: naïve.py\n+print("\\d 😀")\n*** End Patch\n'
TOOLS: Json = {
    "tools": [
        {"type": "custom", "name": "apply_patch"},
        {"type": "local_shell"},
        {
            "type": "namespace",
            "name": "agents",
            "tools": [{"type": "function", "name": "wait"}, {"type": "custom", "name": "exec"}],
        },
        {"type": "function", "name": "do.it"},
        {"type": "function", "name": "read_file"},
    ]
}


def call(name: str, *pieces: str, request: Json = TOOLS) -> list[Json]:
    """Return the events for a call whose arguments arrive in these pieces."""
    opener = calls(fragment(0, id="a", name=name))
    more = [calls(fragment(0, arguments=piece)) for piece in pieces]
    return answer_of(stream_of(request), opener, *more, finishes("tool_calls"))


# --- custom tools --------------------------------------------------------------------------------


def test_the_chain_of_a_call_of_a_custom_tool() -> None:
    events = call("apply_patch", '{"in', 'put":"one\\', "ntwo", " \\u00", 'e9"}')

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "custom_tool_call_input.delta 0 one",
        "custom_tool_call_input.delta 0 \ntwo",
        "custom_tool_call_input.delta 0  ",
        "custom_tool_call_input.delta 0 é",
        "custom_tool_call_input.done 0 one\ntwo é",
        "output_item.done 0",
        "completed",
    ]


def test_a_call_of_a_custom_tool_is_added_empty_and_done_whole() -> None:
    _, _, added, delta, done, item_done, _ = call("apply_patch", '{"input":"x"}')

    custom = {
        "type": "custom_tool_call",
        "id": "ctc_abc_0",
        "call_id": "a",
        "name": "apply_patch",
    }
    assert added["item"] == {**custom, "status": "in_progress", "input": ""}
    assert (delta["item_id"], delta["delta"]) == ("ctc_abc_0", "x")
    assert (done["item_id"], done["input"]) == ("ctc_abc_0", "x")
    assert item_done["item"] == {**custom, "status": "completed", "input": "x"}


def test_the_deltas_of_an_input_are_the_input() -> None:
    arguments = json.dumps({"input": PATCH})

    events = call("apply_patch", *arguments)

    deltas = [event["delta"] for event in events if event["type"].endswith(".delta")]
    assert "".join(deltas) == PATCH
    assert items(events)[0]["input"] == PATCH
    assert final(events)["output"] == items(events)


def test_an_escape_is_held_back_until_it_is_whole() -> None:
    stream = stream_of(TOOLS)
    opener = fragment(0, id="a", name="apply_patch", arguments='{"input":"x\\ud83d\\u')
    first = stream.start() + stream.receive_data(calls(opener))

    assert b'"delta":"x"' in first
    assert stream.receive_data(calls(fragment(0, arguments="de0"))) == b""
    assert '"delta":"😀"'.encode() in stream.receive_data(calls(fragment(0, arguments="0")))


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ("", ""),
        ("{}", "{}"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input":"cut in the mid', "cut in the mid"),
        ('{"patch":"x"}', "x"),
        ('{"why":"y","input":"x"}', "x"),
        ('{"input":["x"]}', '{"input":["x"]}'),
        ('{"input":"\\ud800"}', "\ufffd"),
        ('{"input":"x"}{"input":"y"}', "x"),
    ],
    ids=["nothing", "{}", "bare", "cut", "other name", "second", "list", "surrogate", "twice"],
)
def test_arguments_of_another_form_give_the_input_that_they_hold(
    arguments: str, input: str
) -> None:
    assert items(call("apply_patch", arguments))[0]["input"] == input
    assert items(call("apply_patch", *arguments))[0]["input"] == input


@pytest.mark.parametrize("arguments", ['{"why":"y","input":"\\ud800"}', '"\\ud800"'])
def test_half_of_a_pair_of_surrogates_is_replaced_in_any_form(arguments: str) -> None:
    assert items(call("apply_patch", arguments))[0]["input"] == "\ufffd"


def test_an_input_with_a_quote_that_is_not_escaped_is_not_cut() -> None:
    (item,) = items(call("apply_patch", '{"input":"print("hi")"}'))

    assert "hi" in item["input"]


def test_a_call_of_a_custom_tool_that_was_cut_is_never_done() -> None:
    opener = calls(fragment(0, id="a", name="apply_patch", arguments='{"input":"*** Beg'))

    events = answer_of(stream_of(TOOLS), opener, finishes("length"))

    assert items(events) == []
    assert final(events)["status"] == "incomplete"


# --- namespaces ----------------------------------------------------------------------------------


def test_a_call_in_a_namespace_has_namespace_and_name_apart() -> None:
    (item,) = items(call("agents__wait", "{}"))

    assert (item["type"], item["namespace"], item["name"]) == ("function_call", "agents", "wait")


def test_the_events_of_a_call_in_a_namespace_have_its_own_name() -> None:
    events = call("agents__wait", "{}")

    (done,) = [e for e in events if e["type"] == "response.function_call_arguments.done"]
    assert done["name"] == "wait"


def test_a_call_of_a_custom_tool_in_a_namespace() -> None:
    (item,) = items(call("agents__exec", '{"input":"1+1"}'))

    assert (item["type"], item["namespace"], item["name"], item["input"]) == (
        "custom_tool_call",
        "agents",
        "exec",
        "1+1",
    )


def test_a_call_beside_namespaces_has_none() -> None:
    (item,) = items(call("read_file", "{}"))

    assert "namespace" not in item


def test_a_name_that_was_changed_comes_back_as_it_was() -> None:

    names = [tool["function"]["name"] for tool in sent(**TOOLS)["tools"]]
    (name,) = [name for name in names if "do_it" in name]

    assert items(call(name, "{}"))[0]["name"] == "do.it"


def test_tools_among_the_items_come_back_as_they_were() -> None:
    more = {"type": "additional_tools", "role": "developer", **TOOLS}
    request: Json = {"input": [more, {"role": "user", "content": "Hi"}]}

    (item,) = items(call("agents__wait", "{}", request=request))

    assert (item["namespace"], item["name"]) == ("agents", "wait")


# --- the local shell -----------------------------------------------------------------------------


def test_the_chain_of_a_call_of_the_local_shell() -> None:
    events = call("local_shell", '{"command":["ls",', ' "-l"],"timeout_ms":5}')

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "output_item.done 0",
        "completed",
    ]
    assert items(events) == [
        {
            "type": "local_shell_call",
            "id": "lsh_abc_0",
            "status": "completed",
            "call_id": "a",
            "action": {
                "type": "exec",
                "command": ["ls", "-l"],
                "env": {},
                "working_directory": None,
                "timeout_ms": 5,
            },
        }
    ]


@pytest.mark.parametrize("arguments", ["", "ls", '{"command":"ls"}', "[]", "[" * 100_000])
def test_a_call_of_the_local_shell_that_cannot_be_read_runs_nothing(arguments: str) -> None:
    (item,) = items(call("local_shell", arguments))

    assert item["action"]["command"] == []


# --- names that were never offered ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["apply_patch", "agents__wait", "local_shell", "functions.shell"])
def test_a_tool_that_was_not_offered_is_a_function_for_codex_to_refuse(name: str) -> None:
    (item,) = items(call(name, '{"input":"x"}', request={}))

    assert (item["type"], item["name"]) == ("function_call", name)
    assert item["arguments"] == '{"input":"x"}'


# --- ids -----------------------------------------------------------------------------------------


def call_ids(events: list[Json]) -> list[str]:
    return [item["call_id"] for item in items(events)]


@pytest.mark.parametrize(
    "earlier",
    [
        {"type": "function_call", "call_id": "a", "name": "x", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "a", "name": "x", "input": ""},
        {"type": "local_shell_call", "call_id": "a", "action": {}},
        {"type": "local_shell_call", "id": "a", "action": {}},
    ],
    ids=["function", "custom", "local_shell", "local_shell by id"],
)
def test_an_id_that_the_conversation_has_had_is_changed(earlier: Json) -> None:
    (id,) = call_ids(call("read_file", "{}", request={**TOOLS, "input": [earlier]}))

    assert id != "a"
    assert id.startswith("a_")


def test_an_id_that_is_new_to_the_conversation_is_kept() -> None:
    earlier = {"type": "function_call", "call_id": "b", "name": "x", "arguments": "{}"}

    assert call_ids(call("read_file", "{}", request={**TOOLS, "input": [earlier]})) == ["a"]


def test_calls_of_one_answer_never_share_an_id() -> None:
    whole = [fragment(index, id="a", name="x", arguments="{}") for index in range(3)]

    ids = call_ids(answer(calls(*whole), finishes("tool_calls")))

    assert ids[0] == "a"
    assert len(set(ids)) == 3


# --- beside other items --------------------------------------------------------------------------


def test_calls_of_all_kinds_interleave() -> None:
    events = answer_of(
        stream_of(TOOLS),
        says("I edit."),
        calls(
            fragment(0, id="a", name="apply_patch", arguments='{"input":"'),
            fragment(1, id="b", name="agents__wait", arguments="{"),
            fragment(2, id="c", name="local_shell", arguments='{"command":'),
        ),
        calls(fragment(2, arguments='["ls"]}'), fragment(0, arguments='x"}')),
        calls(fragment(1, arguments="}")),
        finishes("tool_calls"),
    )

    message, custom, function, shell = items(events)
    assert message["content"][0]["text"] == "I edit."
    assert (custom["call_id"], custom["input"]) == ("a", "x")
    assert (function["call_id"], function["arguments"]) == ("b", "{}")
    assert (shell["call_id"], shell["action"]["command"]) == ("c", ["ls"])
    assert final(events)["output"] == [message, custom, function, shell]
