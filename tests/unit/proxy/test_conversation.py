"""Items of every kind: what the model is told of them, and which results belong to which calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import compaction
from proxy.conversation import call_ids
from proxy.request import InvalidRequest, decode_request, items_of
from tests.unit.proxy.conversations import (
    Json,
    body,
    called,
    calls,
    calls_custom,
    messages,
    result,
    returns,
    says,
    sent,
    thinks,
)

HI = {"role": "user", "content": "Hi"}


def said(*items: Json) -> list[Json]:
    """Return what these items say, before a user who says hi."""
    *told, last = messages(*items, says("user", "Hi"))
    assert last == HI
    return told


def ids(*items: Json) -> list[tuple[str, str]]:
    """Return id and content of the results of a conversation, whose calls must match them."""
    told = messages(*items)
    results = [(m["tool_call_id"], m["content"]) for m in told if m["role"] == "tool"]
    asked = [call["id"] for m in told for call in m.get("tool_calls", [])]
    assert [id for id, _ in results] == asked
    assert len(set(asked)) == len(asked)
    return results


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "note"),
    [
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, "image"),
        ({"type": "input_image", "file_id": "file_1", "detail": "high"}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"}, "file"),
        ({"type": "something_new"}, "something_new"),
    ],
)
def test_a_part_that_is_no_text_leaves_a_note(part: Json, note: str) -> None:
    text = {"type": "input_text", "text": "See "}

    assert said({"type": "message", "role": "user", "content": [text, part]}) == [
        {"role": "user", "content": f"See [{note} left out: this model reads text only]"}
    ]


def test_a_message_of_nothing_but_an_image_leaves_a_note() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}

    assert said({"type": "message", "role": "user", "content": [picture]}) == [
        {"role": "user", "content": "[image left out: this model reads text only]"}
    ]


# --- calls of other kinds ------------------------------------------------------------------------


def test_the_calls_of_all_kinds_of_one_turn_are_one_message() -> None:
    shell = {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}}

    (message, *results) = messages(
        calls("a"),
        calls_custom("b", "x"),
        shell,
        returns("a", "A"),
        returns("b", "B", "custom_tool_call_output"),
        returns("c", "C", "local_shell_call_output"),
    )

    names = [call["function"]["name"] for call in message["tool_calls"]]
    assert names == ["shell", "apply_patch", "local_shell"]
    assert results == [result("a", "A"), result("b", "B"), result("c", "C")]


def test_a_call_of_the_local_shell_may_go_by_its_id_alone() -> None:
    shell = {"type": "local_shell_call", "id": "lsh_1", "action": {"command": ["ls"]}}

    assert ids(shell, returns("lsh_1", "C")) == [("lsh_1", "C")]


def test_a_call_of_the_local_shell_carries_its_action() -> None:
    action = {"type": "exec", "command": ["ls", "-l"], "timeout_ms": 5, "env": {}}
    shell = {"type": "local_shell_call", "call_id": "a", "status": "completed", "action": action}

    (message, _) = messages(shell)

    (call,) = message["tool_calls"]
    assert '"command":["ls","-l"]' in call["function"]["arguments"]
    assert '"timeout_ms":5' in call["function"]["arguments"]


def test_a_call_of_the_local_shell_says_nothing_of_what_it_leaves_out() -> None:
    shell = {"type": "local_shell_call", "call_id": "a", "action": {"command": ["ls"]}}

    (message, _) = messages(shell)

    assert message["tool_calls"][0]["function"]["arguments"] == '{"command":["ls"]}'


@pytest.mark.parametrize(
    "kind", ["function_call_output", "custom_tool_call_output", "local_shell_call_output"]
)
@pytest.mark.parametrize("call", [calls("a"), calls_custom("a", "x")], ids=["function", "custom"])
def test_an_output_may_answer_a_call_of_another_kind(call: Json, kind: str) -> None:
    assert ids(call, returns("a", "42", kind)) == [("a", "42")]


# --- pairs ---------------------------------------------------------------------------------------


def test_an_output_at_the_very_front_belongs_to_its_call() -> None:
    aborted = returns("a", "aborted", "custom_tool_call_output")

    assert messages(aborted, says("user", "Hi"), calls("a"), says("user", "Hi")) == [
        HI,
        {"role": "assistant", "tool_calls": called("a")},
        result("a", "aborted"),
        HI,
    ]


def test_an_output_at_the_very_front_does_not_hide_the_real_one() -> None:
    aborted = returns("a", "aborted", "custom_tool_call_output")

    assert ids(aborted, calls("a"), returns("a", "42")) == [("a", "42")]


def test_calls_that_share_an_id_get_ids_of_their_own() -> None:
    assert ids(calls("a"), returns("a", "1"), calls("a"), returns("a", "2")) == [
        ("a", "1"),
        ("a_2", "2"),
    ]


def test_a_new_id_is_not_one_that_another_call_has() -> None:
    conversation = [calls("a"), calls("a"), calls("a_2")]
    outputs = [returns("a", "1"), returns("a", "2"), returns("a_2", "3")]

    assert [content for _, content in ids(*conversation, *outputs)] == ["1", "2", "3"]


def test_calls_without_ids_get_their_outputs_in_order() -> None:
    conversation = [calls(""), returns("", "1"), calls(""), calls(""), returns("", "2")]

    contents = [content for _, content in ids(*conversation, returns("", "3"))]

    assert contents == ["1", "2", "3"]


def test_a_call_without_an_id_beside_one_that_is_named_like_it() -> None:
    assert [content for _, content in ids(calls(""), calls("call"), returns("call", "1"))] == [
        "aborted",
        "1",
    ]


def test_where_there_are_more_outputs_than_calls_the_last_one_counts() -> None:
    assert messages(calls("a"), returns("a", "old"), returns("a", "new")) == [
        {"role": "assistant", "tool_calls": called("a")},
        result("a", "new"),
        {"role": "user", "content": "Output of an earlier tool call:\nold"},
    ]


def test_where_there_are_fewer_outputs_than_calls_the_last_call_was_aborted() -> None:
    assert ids(calls("a"), returns("a", "1"), calls("a")) == [("a", "1"), ("a_2", "aborted")]


def test_an_output_without_a_call_that_was_aborted_says_nothing() -> None:
    assert said(returns("gone", "aborted", "custom_tool_call_output")) == []


@pytest.mark.parametrize(
    "output", ["42", [{"type": "input_text", "text": "4"}, {"type": "input_text", "text": "2"}]]
)
def test_an_output_without_a_call_is_told_as_text(output: object) -> None:
    assert said(returns("gone", output)) == [
        {"role": "user", "content": "Output of an earlier tool call:\n42"}
    ]


CALL_ID = st.sampled_from(["", "a", "b", "a_2", "call"])
ITEM = st.one_of(
    st.builds(calls, CALL_ID),
    st.builds(calls_custom, CALL_ID, st.just("x")),
    st.builds(returns, CALL_ID, st.sampled_from(["1", "2", "aborted", ""])),
    st.builds(says, st.sampled_from(["user", "assistant", "developer"]), st.just("x")),
    st.builds(thinks, st.just("x")),
)


@given(st.lists(ITEM, max_size=10))
def test_in_any_conversation_each_call_has_its_result_right_behind_it(items: list[Json]) -> None:
    told = messages(*items, says("user", "Hi"))

    waiting: list[str] = []
    seen: set[str] = set()
    for message in told:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call["id"] for call in message.get("tool_calls", [])]
            assert seen.isdisjoint(waiting)
            seen.update(waiting)
    assert waiting == []


def test_the_ids_that_calls_have_had_are_known() -> None:
    shell = {"type": "local_shell_call", "id": "c", "action": {}}
    request = decode_request(body(input=[calls("a"), calls_custom("b", "x"), shell, returns("d")]))

    assert call_ids(items_of(request)) == {"a", "b", "c"}


# --- what other agents say -----------------------------------------------------------------------


def test_what_another_agent_says_is_told_with_its_name() -> None:
    text = [{"type": "input_text", "text": "Done."}]
    item = {"type": "agent_message", "author": "/root/b", "recipient": "/root", "content": text}

    assert said(item) == [{"role": "user", "content": "[/root/b → /root] Done."}]


def test_what_another_agent_says_may_be_a_string() -> None:
    assert said({"type": "agent_message", "content": "Done."}) == [
        {"role": "user", "content": "[agent → agent] Done."}
    ]


# --- summaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["compaction", "compaction_summary"])
def test_a_summary_of_this_proxys_own_is_told(kind: str) -> None:
    item = {"type": kind, "id": "cmp_1", "encrypted_content": compaction.pack("Größe: 5 €")}

    assert said(item) == [
        {"role": "user", "content": "Summary of the conversation so far:\nGröße: 5 €"}
    ]


@pytest.mark.parametrize(
    "content", ["gAAAAABo", "", "codex-proxy-2.eA==", "codex-proxy-1./w==", "codex-proxy-1.eA"]
)
def test_a_summary_that_cannot_be_read_is_left_out(content: str) -> None:
    assert said({"type": "compaction", "encrypted_content": content}) == []


@pytest.mark.parametrize("kind", ["compaction", "context_compaction"])
def test_a_summary_without_content_is_left_out(kind: str) -> None:
    assert said({"type": kind}) == []


def test_a_summary_is_asked_for_without_tools_and_format() -> None:
    asked = [says("user", "Hi"), {"type": "compaction_trigger"}]
    format = {"format": {"type": "json_schema", "name": "x", "schema": {}}}

    request = sent(input=asked, tools=[{"type": "function", "name": "x"}], text=format)

    assert request.keys() == {"model", "messages", "stream"}
    assert request["messages"] == [HI, {"role": "user", "content": compaction.REQUEST}]


def test_a_summary_may_be_asked_for_by_the_path_alone() -> None:
    request = sent(compacts=True, input=[says("user", "Hi")], instructions="Be brief.")

    assert request["messages"] == [
        {"role": "system", "content": "Be brief."},
        HI,
        {"role": "user", "content": compaction.REQUEST},
    ]


def test_the_calls_of_a_conversation_are_summed_up_with_it() -> None:
    told = messages(calls("a"), returns("a"), {"type": "compaction_trigger"})

    assert told[:2] == [{"role": "assistant", "tool_calls": called("a")}, result("a")]


# --- what says nothing to the model --------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "x"}},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
        {"type": "tool_search_call", "call_id": "a", "arguments": {}},
        {"type": "tool_search_output", "call_id": "a", "tools": []},
        {"type": "ghost_snapshot", "ghost_commit": {"id": "0"}},
        {"type": "configuration_update", "model": "x"},
        {"type": "context_compaction", "encrypted_content": "x"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "something_new", "call_id": 5, "content": {}},
        {"type": ""},
    ],
    ids=lambda item: str(item["type"]),
)
def test_an_item_that_says_nothing_here_is_left_out_and_parts_no_turn(item: Json) -> None:
    assert said(item) == []
    assert messages(calls("a"), item, returns("a")) == messages(calls("a"), returns("a"))


def test_an_item_that_says_nothing_here_does_not_part_reasoning_from_its_text() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": []}

    assert messages(thinks("Hm."), more, says("assistant", "4")) == [
        {"role": "assistant", "content": "4", "reasoning": "Hm."}
    ]


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "custom_tool_call", "call_id": "a", "name": "x"}, "input[0].input"),
        ({"type": "custom_tool_call_output", "output": "x"}, "input[0].call_id"),
        ({"type": "function_call_output", "call_id": "a"}, "input[0].output"),
        ({"type": "function_call_output", "call_id": "a", "output": 5}, "input[0].output"),
        ({"type": "local_shell_call", "action": {"command": "ls"}}, "input[0].action.command"),
        ({"type": "agent_message", "author": "x"}, "input[0].content"),
        ({"type": "compaction", "encrypted_content": 5}, "input[0].encrypted_content"),
        ({"type": "additional_tools", "tools": {}}, "input[0].tools"),
        ({"type": "additional_tools", "tools": [5]}, "input[0].tools[0]"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else value,
)
def test_an_item_that_is_wrong_is_named_by_the_path_of_the_field(item: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages(item)

    assert caught.value.param == param


def test_a_tool_among_the_items_that_is_wrong_is_named_by_the_path_of_the_field() -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages(says("user", "Hi"), {"type": "additional_tools", "tools": [{"type": 5}]})

    assert caught.value.param == "input[1].tools[0].type"
