"""Tool calls: whole or in fragments, one or many, and none done before the provider finished."""

from __future__ import annotations

import pytest

from tests.unit.proxy.streams import (
    Json,
    answer,
    calls,
    chunk,
    final,
    finishes,
    fragment,
    items,
    new_stream,
    outline,
    says,
    thinks,
)


def called(events: list[Json]) -> list[tuple[str, str, str]]:
    """Return call id, name and arguments of the calls that are done."""
    return [
        (item["call_id"], item["name"], item["arguments"])
        for item in items(events)
        if item["type"] == "function_call"
    ]


# --- fragments -----------------------------------------------------------------------------------


def test_the_chain_of_a_call_in_fragments() -> None:
    events = answer(
        calls(fragment(0, id="75a06f4da", name="shell", arguments="")),
        calls(fragment(0, arguments='{"command":')),
        calls(fragment(0, arguments='["ls"]}')),
        finishes("tool_calls"),
    )

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        'function_call_arguments.delta 0 {"command":',
        'function_call_arguments.delta 0 ["ls"]}',
        'function_call_arguments.done 0 {"command":["ls"]}',
        "output_item.done 0",
        "completed",
    ]


def test_a_call_is_added_empty_and_done_whole() -> None:
    whole = calls(fragment(0, id="75a06f4da", name="shell", arguments="{}"))

    _, _, added, delta, done, item_done, _ = answer(whole, finishes("tool_calls"))

    call = {
        "type": "function_call",
        "id": "fc_abc_0",
        "call_id": "75a06f4da",
        "name": "shell",
    }
    assert added["item"] == {**call, "status": "in_progress", "arguments": ""}
    assert (delta["item_id"], delta["delta"]) == ("fc_abc_0", "{}")
    assert (done["item_id"], done["name"], done["arguments"]) == ("fc_abc_0", "shell", "{}")
    assert item_done["item"] == {**call, "status": "completed", "arguments": "{}"}


def test_a_call_without_arguments_has_no_delta() -> None:
    events = answer(calls(fragment(0, id="a", name="now")), finishes("tool_calls"))

    assert outline(events)[2:5] == [
        "output_item.added 0",
        "function_call_arguments.done 0 ",
        "output_item.done 0",
    ]


def test_arguments_that_are_no_json_pass_unchanged() -> None:
    events = answer(calls(fragment(0, id="a", name="x", arguments="{\n oops")), finishes())

    assert called(events) == [("a", "x", "{\n oops")]


def test_a_call_is_done_only_after_the_finish_reason() -> None:
    stream = new_stream()
    stream.start()

    sent = stream.receive_data(calls(fragment(0, id="a", name="x", arguments="{}")))
    assert b"response.function_call_arguments.delta" in sent
    assert b"response.output_item.done" not in sent
    assert stream.receive_data(finishes("tool_calls")) == b""
    assert b"response.output_item.done" in stream.receive_data(None)


def test_calls_are_done_also_where_the_reason_is_only_stop() -> None:
    whole = calls(fragment(0, id="a", name="x", arguments="{}"))

    assert answer(whole, finishes("stop")) == answer(whole, finishes("tool_calls"))


def test_a_call_may_come_with_the_finish_reason() -> None:
    delta = {"tool_calls": [fragment(0, id="a", name="x", arguments="{}")]}

    assert called(answer(chunk(delta, finish_reason="tool_calls"))) == [("a", "x", "{}")]


# --- several -------------------------------------------------------------------------------------


def test_two_whole_calls_in_one_chunk() -> None:
    events = answer(
        calls(
            fragment(0, id="a", name="add", arguments='{"x":1}'),
            fragment(1, id="b", name="multiply", arguments='{"x":2}'),
        ),
        finishes("tool_calls"),
    )

    assert called(events) == [("a", "add", '{"x":1}'), ("b", "multiply", '{"x":2}')]


def test_calls_whose_fragments_interleave() -> None:
    events = answer(
        calls(fragment(0, id="a", name="add", arguments="")),
        calls(fragment(1, id="b", name="multiply", arguments="")),
        calls(fragment(0, arguments="{1"), fragment(1, arguments="{2")),
        calls(fragment(1, arguments="2}")),
        calls(fragment(0, arguments="1}")),
        finishes("tool_calls"),
    )

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "output_item.added 1",
        "function_call_arguments.delta 0 {1",
        "function_call_arguments.delta 1 {2",
        "function_call_arguments.delta 1 2}",
        "function_call_arguments.delta 0 1}",
        "function_call_arguments.done 0 {11}",
        "output_item.done 0",
        "function_call_arguments.done 1 {22}",
        "output_item.done 1",
        "completed",
    ]
    assert called(events) == [("a", "add", "{11}"), ("b", "multiply", "{22}")]


def test_calls_without_an_index_are_told_apart_by_id() -> None:
    events = answer(
        calls(fragment(id="a", name="x", arguments="{1}")),
        calls(fragment(id="b", name="y", arguments="{2")),
        calls(fragment(arguments="2}")),
        finishes("tool_calls"),
    )

    assert called(events) == [("a", "x", "{1}"), ("b", "y", "{22}")]


def test_whole_calls_without_id_and_index_are_told_apart_by_their_names() -> None:
    events = answer(
        calls(fragment(name="shell", arguments="{}")),
        calls(fragment(name="plan", arguments='{"a"')),
        calls(fragment(arguments=":1}")),
        finishes("tool_calls"),
    )

    assert [(name, arguments) for _, name, arguments in called(events)] == [
        ("shell", "{}"),
        ("plan", '{"a":1}'),
    ]


def test_calls_that_share_an_index_are_told_apart_by_id() -> None:
    events = answer(
        calls(fragment(0, id="a", name="x", arguments="{1}")),
        calls(fragment(0, id="b", name="y", arguments="{2")),
        calls(fragment(0, arguments="2}")),
        finishes("tool_calls"),
    )

    assert called(events) == [("a", "x", "{1}"), ("b", "y", "{22}")]


def test_a_fragment_may_repeat_id_and_name() -> None:
    events = answer(
        calls(fragment(0, id="a", name="x", arguments="{")),
        calls(fragment(0, id="a", name="x", arguments="}")),
        finishes("tool_calls"),
    )

    assert called(events) == [("a", "x", "{}")]


# --- beside other items --------------------------------------------------------------------------


@pytest.mark.parametrize("before", [says("I look."), thinks("I must look.")], ids=["text", "think"])
def test_a_call_ends_what_was_written_before_it(before: bytes) -> None:
    events = answer(before, calls(fragment(0, id="a", name="x")), finishes("tool_calls"))

    steps = outline(events)
    assert steps.index("output_item.done 0") < steps.index("output_item.added 1")


def test_text_then_a_call() -> None:
    call = calls(fragment(0, id="a", name="x", arguments="{}"))

    message, function_call = items(answer(says("I look."), call, finishes("tool_calls")))

    assert message["content"][0]["text"] == "I look."
    assert function_call["arguments"] == "{}"


def test_text_behind_an_open_call_is_an_item_of_its_own() -> None:
    events = answer(
        calls(fragment(0, id="a", name="x", arguments="{")),
        says("Looking."),
        calls(fragment(0, arguments="}")),
        finishes("tool_calls"),
    )

    assert called(events) == [("a", "x", "{}")]
    assert [item["type"] for item in final(events)["output"]] == ["function_call", "message"]


# --- what may be missing -------------------------------------------------------------------------


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    events = answer(
        calls(fragment(0, name="x", arguments="{}"), fragment(1, name="y", arguments="{}")),
        finishes("tool_calls"),
    )

    first, second = items(events)
    assert first["call_id"]
    assert second["call_id"]
    assert first["call_id"] != second["call_id"]


def test_a_name_may_come_late() -> None:
    events = answer(
        calls(fragment(0, id="a", arguments="{1")),
        calls(fragment(0, name="x", arguments="2}")),
        finishes("tool_calls"),
    )

    assert outline(events)[2:4] == ["output_item.added 0", "function_call_arguments.delta 0 {12}"]
    assert called(events) == [("a", "x", "{12}")]


def test_a_call_without_a_name_fails_the_response() -> None:
    events = answer(calls(fragment(0, id="a", arguments="{}")), finishes("tool_calls"))

    assert final(events)["status"] == "failed"
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider sent a tool call without a name.",
    }


def test_beside_a_call_without_a_name_no_other_is_done() -> None:
    events = answer(
        calls(fragment(0, id="a", name="x", arguments="{}"), fragment(1, id="b", arguments="{}")),
        finishes("tool_calls"),
    )

    assert final(events)["status"] == "failed"
    assert items(events) == []


def test_two_names_at_one_place_are_two_calls() -> None:
    events = answer(
        calls(fragment(0, name="shell", arguments="{}"), fragment(0, name="plan", arguments="[]")),
        finishes("tool_calls"),
    )

    assert [(name, arguments) for _, name, arguments in called(events)] == [
        ("shell", "{}"),
        ("plan", "[]"),
    ]


def test_a_fragment_behind_the_finish_reason_is_no_call() -> None:
    whole = calls(fragment(0, id="a", name="shell", arguments="{}"))
    late = calls(fragment(1, id="b", name="plan", arguments="{"))

    assert [name for _, name, _ in called(answer(whole, finishes("tool_calls"), late))] == ["shell"]
