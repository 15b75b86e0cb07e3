"""What an answer says, in the dialect of either backend, whole or in pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cassette import open_cassette
from harness.reading import Part, Reading, Usage, is_stream, read_answer
from tests.cassettes import cerebras
from tests.unit.harness.handmade import Json, sse

CHAT = "https://api.cerebras.ai/v1/chat/completions"
RESPONSES = "https://chatgpt.com/backend-api/codex/responses"


def chat(*chunks: Json) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)


def choice(delta: Json, **more: str) -> Json:
    return {"choices": [{"delta": delta, "index": 0, **more}]}


def read(*events: Json) -> Reading:
    return read_answer(sse(*events), RESPONSES)


def done(item: Json, index: int = 0) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def added(item: Json, index: int = 0) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


# --- Chat Completions ----------------------------------------------------------------------------


def test_a_chat_stream_is_read() -> None:
    function = {"name": "shell", "arguments": '{"cmd":"ls"}'}
    details = {"prompt_tokens_details": {"cached_tokens": 3}}
    reading = read_answer(
        chat(
            choice({"role": "assistant"}),
            choice({"reasoning": "Hm"}),
            choice({"reasoning": "m."}),
            choice({"content": "So."}),
            choice({"tool_calls": [{"index": 0, "id": "75a", "function": function}]}),
            choice({}, finish_reason="tool_calls")
            | {"usage": {"prompt_tokens": 5, "completion_tokens": 2, **details}},
        )
        + b"data: [DONE]\n\n",
        CHAT,
    )

    assert reading == Reading(
        parts=[
            Part("reasoning", "Hmm."),
            Part("text", "So."),
            Part("call", '{"cmd":"ls"}', "shell", "75a"),
        ],
        finish="tool_calls",
        usage=Usage(prompt=5, cached=3, completion=2, reasoning=None),
    )


def test_a_chat_stream_of_this_repository_is_read() -> None:
    with open_cassette(cerebras("hello")) as cassette:
        (response,) = cassette.responses
        reading = read_answer(response["body"]["string"], cassette.requests[0].uri)

    assert [part.kind for part in reading.parts] == ["text"]
    assert reading.finish == "stop"
    assert reading.usage is not None
    assert reading.odd == []


def test_an_error_in_a_chat_stream_is_odd() -> None:
    error = {"error": {"message": "busy"}}

    reading = read_answer(chat(choice({"content": "So"}), error), CHAT)

    assert reading.parts == [Part("text", "So")]
    assert reading.finish is None
    assert reading.odd == ['data: {"error": {"message": "busy"}}']


def test_a_chunk_that_was_cut_is_odd() -> None:
    body = chat(choice({"content": "So"}), choice({"content": "€"}))
    cut = body.replace(b"\\u20ac", "€".encode()[:2])[: -len(b'"}, "index": 0}]}\n\n')]

    reading = read_answer(cut, CHAT)

    assert reading.parts == [Part("text", "So")]
    assert reading.odd == ['data: {"choices": [{"delta": {"content": "\ufffd']


def test_figures_that_are_none_are_not_taken_for_any() -> None:
    usage = {"prompt_tokens": "5", "completion_tokens": 10**400, "prompt_tokens_details": None}

    reading = read_answer(chat(choice({}) | {"usage": usage}), CHAT)

    assert reading.usage == Usage(None, None, None, None)


# --- Responses -----------------------------------------------------------------------------------


def test_items_are_what_is_done_in_their_order() -> None:
    part = {"type": "output_text", "text": "So."}
    message = {"type": "message", "id": "msg_1", "content": [part], "phase": "commentary"}
    call = {"type": "function_call", "name": "shell", "call_id": "call_1", "arguments": "{}"}
    patch = {"type": "custom_tool_call", "name": "apply_patch", "call_id": "call_2", "input": "***"}
    reasoning = {"type": "reasoning", "summary": [{"text": "Hm."}], "encrypted_content": "g" * 1200}

    reading = read(
        done(reasoning, 0),
        added({**message, "content": []}, 1),
        {"type": "response.output_text.delta", "output_index": 1, "delta": "So."},
        done(message, 1),
        done(call, 2),
        done(patch, 3),
    )

    assert reading.parts == [
        Part("reasoning", "Hm.", note="1,200 characters encrypted"),
        Part("text", "So.", note="commentary"),
        Part("call", "{}", "shell", "call_1"),
        Part("call", "***", "apply_patch", "call_2"),
    ]


def test_the_phase_that_all_final_answers_have_is_not_told() -> None:
    message = {"type": "message", "phase": "final_answer", "content": [{"text": "x"}]}

    assert read(done(message)).parts == [Part("text", "x")]


def test_a_refusal_is_told() -> None:
    message = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}

    assert read(done(message)).parts == [Part("text", "No.", note="refusal")]


def test_a_tool_is_called_by_its_whole_name() -> None:
    call = {"type": "function_call", "namespace": "web", "name": "open", "arguments": "{}"}

    assert read(done(call)).parts == [Part("call", "{}", "web.open", "")]


def test_another_item_is_told_as_what_it_is() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "action": {"query": "é"}}

    assert read(done(item)).parts == [
        Part("other", '{"action": {"query": "é"}}', "web_search_call")
    ]


@pytest.mark.parametrize(
    ("item", "delta", "part"),
    [
        ({"type": "message"}, "output_text", Part("text", "So", note="not done")),
        (
            {"type": "reasoning"},
            "reasoning_summary_text",
            Part("reasoning", "So", note="not done"),
        ),
        (
            {"type": "function_call", "name": "shell", "call_id": "call_1"},
            "function_call_arguments",
            Part("call", "So", "shell", "call_1", "not done"),
        ),
        (
            {"type": "image_generation"},
            "image",
            Part("other", "So", "image_generation", "", "not done"),
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_an_item_that_was_never_done_is_what_had_come_of_it(
    item: Json, delta: str, part: Part
) -> None:
    events = [
        {"type": f"response.{delta}.delta", "output_index": 0, "delta": piece} for piece in "So"
    ]

    assert read(added(item), *events).parts == [part]


def test_items_without_an_index_are_told_apart_by_their_ids() -> None:
    one, two = ({"type": "message", "id": id, "content": [{"text": id}]} for id in "ab")

    reading = read(
        {"type": "response.output_item.done", "item": one},
        {"type": "response.output_item.done", "item": two},
    )

    assert [part.text for part in reading.parts] == ["a", "b"]


USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
}


@pytest.mark.parametrize(
    ("event", "response", "finish"),
    [
        ("response.completed", {}, "response.completed"),
        (
            "response.incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            "response.incomplete: max_output_tokens",
        ),
        (
            "response.failed",
            {"error": {"code": "server_error", "message": "Sorry."}},
            "response.failed: server_error: Sorry.",
        ),
    ],
)
def test_the_end_is_the_terminal_event_with_its_reason(
    event: str, response: Json, finish: str
) -> None:
    reading = read({"type": event, "response": {"usage": USAGE, **response}})

    assert reading.finish == finish
    assert reading.usage == Usage(prompt=5, cached=3, completion=2, reasoning=1)


def test_an_error_among_the_events_is_odd() -> None:
    reading = read({"type": "error", "message": "busy"})

    assert reading.odd == ['event: error\ndata: {"type": "error", "message": "busy"}']


def test_an_event_that_was_cut_is_odd() -> None:
    reading = read_answer(b'event: response.created\ndata: {"type": "resp', RESPONSES)

    assert reading.odd == ['event: response.created\ndata: {"type": "resp']


def test_comments_are_not_odd() -> None:
    assert read_answer(b": ping\n\n", RESPONSES) == Reading()


# --- anything ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", False),
        (b"data: {}\n\n", True),
        (b"event: error\ndata", True),
        (b": ping\n\n", True),
        (b"\ndata: {}", True),
        (b'{"message": "data: x"}', False),
        (b"<html>", False),
    ],
)
def test_what_a_stream_is(body: bytes, expected: bool) -> None:
    assert is_stream(body) is expected


@pytest.mark.parametrize("uri", [CHAT, RESPONSES])
def test_json_that_is_too_deep_is_told(uri: str) -> None:
    body = b'data: {"type": "x", "choices": ' + b"[" * 200_000

    (told,) = read_answer(body, uri).odd
    assert "nested too deeply" in told or told.startswith('data: {"type": "x"')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
types = st.sampled_from(
    [
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.completed",
        "response.failed",
        "message",
        "reasoning",
        "function_call",
        "error",
    ]
)
some = json_values | types
item = some | st.fixed_dictionaries(
    {"type": types},
    optional=dict.fromkeys(["id", "content", "summary", "name", "arguments", "phase"], some),
)
choices = st.fixed_dictionaries(
    {}, optional={"delta": st.dictionaries(st.sampled_from(["content", "tool_calls"]), some)}
)
events = json_values | st.fixed_dictionaries(
    {"type": types, "choices": st.lists(choices | json_values)},
    optional={
        "item": item,
        **dict.fromkeys(["delta", "output_index", "item_id", "usage", "error"], some),
        "response": st.dictionaries(st.sampled_from(["usage", "error"]), some) | some,
    },
)


@given(st.lists(events, max_size=4), st.sampled_from([CHAT, RESPONSES]))
def test_events_of_any_shape_are_read(values: list[object], uri: str) -> None:
    body = b"".join(b"data: %b\n\n" % json.dumps(value).encode() for value in values)

    read_answer(body, uri)


@given(st.binary(), st.sampled_from([CHAT, RESPONSES]))
def test_any_bytes_are_read(body: bytes, uri: str) -> None:
    read_answer(b"data: " + body, uri)


@pytest.mark.parametrize("name", ["parallel-calls"])
def test_a_stream_is_read_wherever_it_is_cut(name: str, tmp_path: Path) -> None:
    with open_cassette(cerebras(name)) as cassette:
        body = cassette.responses[0]["body"]["string"]

    for end in range(0, len(body), 7):
        read_answer(body[:end], CHAT)
