"""The stream by provider and by client: other dialects, summaries, and who knows what is cut."""

from __future__ import annotations

import pytest

from proxy import compaction
from tests.unit.proxy.streams import (
    DONE,
    Json,
    answer,
    answer_of,
    calls,
    chunk,
    data,
    final,
    finishes,
    fragment,
    items,
    one_by_one,
    outline,
    read,
    replay,
    replay_of,
    says,
    stream_of,
    thinks,
    tokens,
)

CALL = calls(fragment(0, id="a", name="x", arguments="{}"))


def told(events: list[Json]) -> list[tuple[str, str]]:
    """Return kind and text of each item that is done."""
    texts = []
    for item in items(events):
        parts = item.get("content") or item.get("summary") or [{"text": ""}]
        texts.append((item["type"], "".join(part["text"] for part in parts)))
    return texts


# --- reasoning by other names --------------------------------------------------------------------


def test_reasoning_may_have_another_name() -> None:
    pieces = [chunk({"reasoning_content": "We "}), chunk({"reasoning_content": "need"})]

    assert answer(*pieces, says("4"), finishes()) == answer(
        thinks("We "), thinks("need"), says("4"), finishes()
    )


def test_reasoning_that_comes_by_both_names_comes_once() -> None:
    both = chunk({"reasoning": "Hm.", "reasoning_content": "Hm."})

    assert told(answer(both, finishes())) == [("reasoning", "Hm.")]


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_name_does_not_hide_the_other(empty: str | None) -> None:
    delta = {"reasoning": empty, "reasoning_content": "Hm.", "content": empty}

    assert told(answer(chunk(delta), finishes())) == [("reasoning", "Hm.")]


def test_details_of_reasoning_are_not_needed() -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "format": None}]
    delta = {"role": "assistant", "content": "", "reasoning": "Hm.", "reasoning_details": details}

    assert told(answer(chunk(delta), finishes())) == [("reasoning", "Hm.")]


# --- refusals ------------------------------------------------------------------------------------


def test_a_refusal_is_said_as_text() -> None:
    pieces = [chunk({"refusal": "I "}), chunk({"content": None, "refusal": "won't."})]

    assert answer(*pieces, finishes()) == answer(says("I "), says("won't."), finishes())


def test_a_refusal_beside_text_is_said_as_well() -> None:
    both = chunk({"content": "Well. ", "refusal": "No."})

    assert told(answer(both, finishes())) == [("message", "Well. No.")]


# --- several choices -----------------------------------------------------------------------------


def choice(index: int, text: str, **more: str) -> Json:
    return {"index": index, "delta": {"content": text}, **more}


def test_of_several_choices_the_first_one_counts() -> None:
    first = data({"choices": [choice(1, "no"), choice(0, "y")]})
    second = data({"choices": [choice(0, "es", finish_reason="stop"), choice(2, "no")]})

    assert answer(first, second) == answer(says("y"), says("es"), finishes())


def test_another_choice_that_has_finished_does_not_finish_the_response() -> None:
    other = data({"choices": [choice(1, "no", finish_reason="stop")]})

    assert final(answer(says("Hi"), other))["status"] == "failed"


def test_the_index_of_a_choice_may_be_null() -> None:
    only = {"index": None, "delta": {"content": "Hi"}, "finish_reason": "stop"}

    assert told(answer(data({"choices": [only]}))) == [("message", "Hi")]


# --- think tags ----------------------------------------------------------------------------------


def test_think_tags_are_text_unless_the_settings_say_so() -> None:
    pieces = [says("<think>Hm.</think>"), says("Yes."), finishes()]

    assert told(answer(*pieces)) == [("message", "<think>Hm.</think>Yes.")]


def test_think_tags_hold_reasoning_where_the_settings_say_so() -> None:
    stream = stream_of({}, think_tags=True)
    pieces = [says("<thi"), says("nk>Hm"), says(".</th"), says("ink>\n\nYes."), finishes()]

    assert answer_of(stream, *pieces) == answer(thinks("Hm"), thinks("."), says("Yes."), finishes())


def test_tags_later_on_are_text() -> None:
    events = answer_of(
        stream_of({}, think_tags=True), says("Write "), says("<think>x</think>"), finishes()
    )

    assert told(events) == [("message", "Write <think>x</think>")]


@pytest.mark.parametrize(
    ("content", "item"),
    [("<thi", ("message", "<thi")), ("<think>Hm", ("reasoning", "Hm"))],
)
def test_what_is_held_back_at_the_end_is_said(content: str, item: tuple[str, str]) -> None:
    assert told(answer_of(stream_of({}, think_tags=True), says(content), finishes())) == [item]


def test_reasoning_of_both_forms_is_reasoning() -> None:
    stream = stream_of({}, think_tags=True)

    events = answer_of(stream, thinks("One. "), says("<think>Two.</think>Yes."), finishes())

    assert told(events) == [("reasoning", "One. Two."), ("message", "Yes.")]


def test_what_is_held_back_is_said_before_a_call() -> None:
    stream = stream_of({}, think_tags=True)

    events = answer_of(stream, says("<thi"), CALL, finishes("tool_calls"))

    assert [item["type"] for item in items(events)] == ["message", "function_call"]


# --- summaries -----------------------------------------------------------------------------------

COMPACTS: Json = {"input": [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]}


def test_a_summary_is_exactly_one_item() -> None:
    events = answer_of(
        stream_of(COMPACTS),
        thinks("Hm."),
        says("We did "),
        thinks("Hm."),
        CALL,
        says("much."),
        finishes("stop", tokens(9, 3)),
    )

    assert outline(events) == [
        "created",
        "in_progress",
        "output_item.added 0",
        "output_item.done 0",
        "completed",
    ]
    (item,) = items(events)
    assert item["type"] == "compaction"
    assert compaction.unpack(item["encrypted_content"]).endswith("\nWe did much.")
    assert final(events)["output"] == [item]
    assert final(events)["usage"]["total_tokens"] == 12


def test_a_summary_is_without_the_reasoning_in_tags() -> None:
    stream = stream_of(COMPACTS, think_tags=True)

    (item,) = items(answer_of(stream, says("<think>Hm.</think>We did much."), finishes()))

    assert compaction.unpack(item["encrypted_content"]).endswith(":\nWe did much.")


@pytest.mark.parametrize("pieces", [[], [thinks("Hm.")], [CALL]], ids=["none", "reasoning", "call"])
def test_no_summary_is_a_failure(pieces: list[bytes]) -> None:
    events = answer_of(stream_of(COMPACTS), *pieces, finishes())

    assert items(events) == []
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider gave no summary of the conversation.",
    }


def test_a_summary_that_breaks_off_is_not_done() -> None:
    events = answer_of(stream_of(COMPACTS), says("We did"))

    assert items(events) == []
    assert final(events)["status"] == "failed"


def test_a_summary_is_the_same_however_it_is_cut() -> None:
    wire = thinks("Hm.") + says("We did ") + says("much.") + finishes() + DONE

    assert replay_of(stream_of(COMPACTS), *one_by_one(wire)) == replay_of(stream_of(COMPACTS), wire)


def test_a_summary_that_was_cut_is_a_summary() -> None:
    events = answer_of(stream_of(COMPACTS), says("We did"), finishes("length"))

    assert [item["type"] for item in items(events)] == ["compaction"]
    assert final(events)["status"] == "completed"


# --- clients -------------------------------------------------------------------------------------

REASONS = [("length", "max_output_tokens"), ("content_filter", "content_filter")]


@pytest.mark.parametrize(("reason", "told_as"), REASONS)
def test_a_client_that_knows_incomplete_is_told_so(reason: str, told_as: str) -> None:
    response = final(answer_of(stream_of({}), says("Once up"), finishes(reason)))

    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": told_as}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_client_that_does_not_gets_what_there_is_as_complete(reason: str) -> None:
    stream = stream_of({}, knows_incomplete=False)

    events = answer_of(stream, says("Once up"), finishes(reason, tokens(9, 2)))

    response = final(events)
    assert response["status"] == "completed"
    assert response["incomplete_details"] is None
    assert response["usage"]["output_tokens"] == 2
    assert told(events) == [("message", "Once up")]


@pytest.mark.parametrize("knows_incomplete", [True, False])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_was_cut_is_never_done_whoever_asks(
    reason: str, knows_incomplete: bool
) -> None:
    stream = stream_of({}, knows_incomplete=knows_incomplete)

    events = answer_of(stream, says("I look."), CALL, finishes(reason))

    assert told(events) == [("message", "I look.")]
    assert final(events)["output"] == items(events)


def test_an_answer_that_was_not_cut_is_the_same_for_both() -> None:
    old = stream_of({}, knows_incomplete=False)

    assert answer_of(old, says("Hi"), CALL, finishes("tool_calls")) == answer(
        says("Hi"), CALL, finishes("tool_calls")
    )


# --- keep-alive ----------------------------------------------------------------------------------


def test_a_keep_alive_is_an_event_with_a_number_of_its_own() -> None:
    stream = stream_of({})
    sent = stream.start() + stream.keep_alive() + stream.receive_data(says("Hi"))

    sent += stream.keep_alive() + stream.receive_data(finishes()) + stream.receive_data(None)

    events = read(sent)
    assert outline(events)[:4] == ["created", "in_progress", "in_progress", "output_item.added 0"]
    assert final(events)["status"] == "completed"


def test_nothing_is_kept_alive_after_the_end() -> None:
    stream = stream_of({})
    replay_of(stream, says("Hi"), finishes())

    assert stream.closed
    assert stream.keep_alive() == b""


# --- one more finish reason, one event too long --------------------------------------------------


def test_the_first_finish_reason_counts() -> None:
    assert final(answer(says("Hi"), finishes("length"), finishes("stop")))["status"] == "incomplete"


def test_a_line_without_an_end_fails_the_response_in_bounded_memory() -> None:
    stream = stream_of({})
    stream.start()

    for _ in range(64):
        stream.receive_data(b"x" * 1_000_000)

    assert stream.closed


def test_a_line_of_a_megabyte_passes_whole() -> None:
    text = "x" * 1_000_000

    assert told(answer(says(text), finishes())) == [("message", text)]
    assert replay(says(text) + finishes()) == replay(says(text), finishes())
