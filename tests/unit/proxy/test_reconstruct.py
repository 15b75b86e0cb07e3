"""The stream, as long as all goes well: items, their events, and the response that has them."""

from __future__ import annotations

import pytest

from tests.unit.proxy.streams import (
    DONE,
    Json,
    answer,
    calls,
    chunk,
    data,
    final,
    finishes,
    fragment,
    items,
    new_stream,
    outline,
    read,
    says,
    thinks,
    tokens,
)

# --- the response --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [None, -1], ids=["null", "negative"])
def test_a_count_of_tokens_that_is_none_is_zero(number: int | None) -> None:
    usage: Json = {"prompt_tokens": 9, "completion_tokens": number, "total_tokens": number}

    told = final(answer(says("Hi"), finishes("stop", usage)))["usage"]

    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (9, 0, 9)


def test_a_response_is_announced_before_the_provider_says_anything() -> None:
    created, in_progress = read(new_stream().start())

    assert created["type"] == "response.created"
    assert in_progress["type"] == "response.in_progress"
    assert created["response"] == in_progress["response"]
    assert created["response"]["id"] == "resp_abc"
    assert created["response"]["status"] == "in_progress"
    assert created["response"]["output"] == []
    assert created["response"]["usage"] is None


def test_a_response_is_the_same_from_beginning_to_end_but_for_its_outcome() -> None:
    events = answer(says("Hi"), finishes("stop", tokens(9, 1)))

    outcome = {"status", "completed_at", "output", "usage"}
    first, last = events[0]["response"], final(events)
    assert {name for name in last if last[name] != first[name]} == outcome
    assert last.keys() == first.keys()


def test_what_the_client_sent_with_line_breaks_stays_on_one_line() -> None:
    tool = {"type": "function", "name": "x", "description": "a\r\n\r\nb", "parameters": {"\n": 1}}
    stream = new_stream(instructions="one\n\ndata: two\r\n\r\u2028three", tools=[tool])

    events = read(stream.start() + stream.receive_data(finishes()) + stream.receive_data(None))

    assert final(events)["instructions"] == "one\n\ndata: two\r\n\r\u2028three"
    assert final(events)["tools"] == [{**tool, "strict": False}]


def test_an_answer_without_a_word_is_completed_without_items() -> None:
    events = answer(chunk({"role": "assistant"}), finishes())

    assert outline(events) == ["created", "in_progress", "completed"]
    assert final(events)["output"] == []


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {},
        {"content": ""},
        {"reasoning": ""},
        {"tool_calls": []},
        {"content": None, "reasoning": None, "tool_calls": None},
    ],
    ids=str,
)
def test_a_delta_with_nothing_in_it_makes_no_item(delta: Json) -> None:
    assert outline(answer(chunk(delta), finishes())) == ["created", "in_progress", "completed"]


def test_a_chunk_without_a_delta_is_nothing() -> None:
    null = data({"choices": [{"delta": None, "finish_reason": None}], "usage": None})

    assert outline(answer(null, data({"choices": [{}]}), finishes())) == [
        "created",
        "in_progress",
        "completed",
    ]


# --- text ----------------------------------------------------------------------------------------


def test_the_chain_of_text() -> None:
    events = answer(says("Hel"), says("lo"), finishes())

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "content_part.added 0",
        "output_text.delta 0 Hel",
        "output_text.delta 0 lo",
        "output_text.done 0 Hello",
        "content_part.done 0",
        "output_item.done 0",
        "completed",
    ]


def test_a_message_is_added_empty_and_done_whole() -> None:
    _, _, added, part_added, delta, done, part_done, item_done, _ = answer(says("Hi"), finishes())

    part = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_abc_0", "role": "assistant"}
    assert added["item"] == {**message, "status": "in_progress", "content": []}
    assert part_added["part"] == {**part, "text": ""}
    assert delta["delta"] == "Hi"
    assert done["text"] == "Hi"
    assert part_done["part"] == part
    assert item_done["item"] == {**message, "status": "completed", "content": [part]}
    for event in (part_added, delta, done, part_done):
        assert (event["item_id"], event["content_index"]) == ("msg_abc_0", 0)


def test_text_of_any_script_passes_unchanged() -> None:
    text = 'Grüße, 日本, 🎉 and "quotes"\r\n\r\n\twith \\ control \x00 characters'

    assert items(answer(says(text), finishes()))[0]["content"][0]["text"] == text


# --- reasoning -----------------------------------------------------------------------------------


def test_the_chain_of_reasoning() -> None:
    events = answer(thinks("We "), thinks("need"), finishes())

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "reasoning_summary_part.added 0",
        "reasoning_summary_text.delta 0 We ",
        "reasoning_summary_text.delta 0 need",
        "reasoning_summary_text.done 0 We need",
        "reasoning_summary_part.done 0",
        "output_item.done 0",
        "completed",
    ]


def test_reasoning_is_added_empty_and_done_whole() -> None:
    _, _, added, part_added, delta, done, part_done, item_done, _ = answer(thinks("Hm"), finishes())

    part = {"type": "summary_text", "text": "Hm"}
    assert added["item"] == {"type": "reasoning", "id": "rs_abc_0", "summary": []}
    assert part_added["part"] == {**part, "text": ""}
    assert delta["delta"] == "Hm"
    assert done["text"] == "Hm"
    assert part_done["part"] == part
    assert item_done["item"] == {"type": "reasoning", "id": "rs_abc_0", "summary": [part]}
    for event in (part_added, delta, done, part_done):
        assert (event["item_id"], event["summary_index"]) == ("rs_abc_0", 0)


def test_text_ends_the_reasoning_before_it() -> None:
    events = answer(thinks("Hm"), says("4"), finishes())

    assert outline(events)[5:9] == [
        "reasoning_summary_text.done 0 Hm",
        "reasoning_summary_part.done 0",
        "output_item.done 0",
        "output_item.added 1",
    ]
    assert [item["type"] for item in items(events)] == ["reasoning", "message"]


def test_reasoning_text_and_reasoning_again_are_three_items() -> None:
    events = answer(thinks("One"), says("two"), thinks("Three"), finishes())

    first, message, second = items(events)
    assert first == {
        "type": "reasoning",
        "id": "rs_abc_0",
        "summary": [{"type": "summary_text", "text": "One"}],
    }
    assert message["content"][0]["text"] == "two"
    assert second == {
        "type": "reasoning",
        "id": "rs_abc_2",
        "summary": [{"type": "summary_text", "text": "Three"}],
    }


def test_an_empty_delta_does_not_part_an_item() -> None:
    events = answer(says("Hel"), chunk({"reasoning": ""}), chunk({}), says("lo"), finishes())

    (message,) = items(events)
    assert message["content"][0]["text"] == "Hello"


def test_reasoning_and_text_in_one_delta_come_in_this_order() -> None:
    events = answer(chunk({"content": "4", "reasoning": "Hm"}), finishes())

    assert [item["type"] for item in items(events)] == ["reasoning", "message"]


# --- usage ---------------------------------------------------------------------------------------


def test_usage_with_details() -> None:
    usage = tokens(
        100,
        20,
        prompt_tokens_details={"cached_tokens": 64},
        completion_tokens_details={"reasoning_tokens": 12, "accepted_prediction_tokens": 0},
    )

    assert final(answer(finishes("stop", usage)))["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 120,
    }


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None, "reasoning_tokens": None}])
def test_details_of_usage_that_are_not_told_are_zero(details: Json | None) -> None:
    usage = {
        **tokens(100, 20),
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
    }

    counted = final(answer(finishes("stop", usage)))["usage"]

    assert counted["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert counted["output_tokens_details"] == {"reasoning_tokens": 0}


def test_usage_without_details_has_them_as_zero() -> None:
    assert final(answer(finishes("stop", tokens(100, 20))))["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 120,
    }


def test_usage_may_come_in_a_chunk_of_its_own() -> None:
    events = answer(says("Hi"), finishes(), data({"choices": [], "usage": tokens(9, 1)}), DONE)

    assert final(events)["usage"]["total_tokens"] == 10


def test_the_last_usage_counts() -> None:
    first = chunk({"content": "Hi"}, usage=tokens(9, 1))

    assert final(answer(first, finishes("stop", tokens(9, 2))))["usage"]["output_tokens"] == 2


def test_a_total_that_is_not_told_is_the_sum() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1}

    assert final(answer(finishes("stop", usage)))["usage"]["total_tokens"] == 10


def test_usage_that_is_not_told_is_null() -> None:
    assert final(answer(says("Hi"), finishes()))["usage"] is None


# --- the end -------------------------------------------------------------------------------------


def test_a_stream_ends_with_and_without_done_alike() -> None:
    assert answer(says("Hi"), finishes(), DONE) == answer(says("Hi"), finishes())


def test_a_response_is_completed_as_soon_as_finish_and_usage_are_known() -> None:
    stream = new_stream()
    stream.start()

    stream.receive_data(says("Hi"))
    assert not stream.closed
    stream.receive_data(finishes("stop", tokens(9, 1)))
    assert stream.closed


def test_a_response_waits_for_its_usage_until_done() -> None:
    stream = new_stream()
    stream.start()

    assert stream.receive_data(finishes()) == b""
    assert not stream.closed
    stream.receive_data(DONE)
    assert stream.closed


def test_nothing_follows_the_terminal_event_whatever_else_arrives() -> None:
    stream = new_stream()
    stream.start()
    stream.receive_data(finishes("stop", tokens(9, 1)))

    late = [DONE, says("more"), data({"error": {"message": "late"}}), b"data: x\n\n", None]
    assert [stream.receive_data(piece) for piece in late] == [b""] * len(late)


def test_nothing_follows_the_terminal_event_in_the_same_piece() -> None:
    finished = finishes("stop", tokens(9, 1))

    assert answer(says("Hi") + finished + says("more") + DONE) == answer(says("Hi"), finished)


def test_text_arrives_as_it_is_said() -> None:
    stream = new_stream()
    stream.start()

    stream.receive_data(says("Hel"))
    assert b'"delta":"lo"' in stream.receive_data(says("lo"))


def test_output_is_what_is_done() -> None:
    events = answer(
        thinks("Hm"),
        says("I look."),
        calls(fragment(0, id="a", name="one", arguments="{}")),
        calls(fragment(1, id="b", name="two", arguments="{}")),
        finishes("tool_calls"),
    )

    assert len(items(events)) == 4
    assert final(events)["output"] == items(events)


def test_items_are_numbered_in_the_order_in_which_they_begin() -> None:
    call = calls(fragment(0, id="a", name="one", arguments="{}"))

    events = answer(thinks("Hm"), call, says("I looked."), finishes("tool_calls"))

    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2]
    assert [item["type"] for item in final(events)["output"]] == [
        "reasoning",
        "function_call",
        "message",
    ]


def test_ids_of_items_are_unique() -> None:
    call = calls(fragment(0, id="a", name="x"), fragment(1, id="b", name="y"))

    events = answer(thinks("1"), says("2"), thinks("3"), says("4"), call, finishes("tool_calls"))

    ids = [item["id"] for item in items(events)]
    assert len(ids) == len(set(ids)) == 6
