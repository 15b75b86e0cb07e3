"""What a provider said, read from its bytes."""

from __future__ import annotations

import json

import pytest

from harness import scenarios
from harness.cassette import open_cassette
from harness.chat_stream import Piece, Said, SaidCall, read_chat_stream
from tests.cassettes import cerebras
from tests.unit.harness.handmade import Json


def stream(*deltas: Json, finish_reason: str | None = None, usage: Json | None = None) -> bytes:
    chunks: list[Json] = [{"choices": [{"delta": delta, "index": 0}]} for delta in deltas]
    if finish_reason is not None:
        choice = {"delta": {}, "finish_reason": finish_reason, "index": 0}
        chunks.append({"choices": [choice], "usage": usage})
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)


def fragment(index: int, arguments: str, **more: str) -> Json:
    """Return the delta of one fragment; with id and name it opens a call."""
    function = {"name": more["name"]} if "name" in more else {}
    call: Json = {"function": {**function, "arguments": arguments}, "index": index}
    return {"tool_calls": [{**call, "id": more["id"]} if "id" in more else call]}


def test_pieces_of_reasoning_and_text_are_joined() -> None:
    said = read_chat_stream(
        stream({"role": "assistant"}, {"reasoning": "H"}, {"reasoning": "m"}, {"content": "Hi"})
    )

    assert said == Said(reasoning="Hm", text="Hi")


def test_fragments_of_a_call_are_joined() -> None:
    said = read_chat_stream(
        stream(fragment(0, "", id="a1", name="f"), fragment(0, '{"x"'), fragment(0, ": 1}"))
    )

    assert said.calls == [SaidCall("a1", "f", '{"x": 1}')]


def test_fragments_of_calls_that_take_turns_are_kept_apart() -> None:
    said = read_chat_stream(
        stream(
            fragment(1, "", id="b2", name="g"),
            fragment(0, "", id="a1", name="f"),
            fragment(1, "{"),
            fragment(0, "["),
            fragment(1, "}"),
            fragment(0, "]"),
        )
    )

    # In order of first appearance.
    assert said.calls == [SaidCall("b2", "g", "{}"), SaidCall("a1", "f", "[]")]


def test_calls_that_come_whole_in_one_chunk_are_read() -> None:
    whole = {
        "tool_calls": [
            {"function": {"name": "f", "arguments": "{}"}, "id": "a1", "index": 0},
            {"function": {"name": "g", "arguments": "[]"}, "id": "b2", "index": 1},
        ]
    }

    assert read_chat_stream(stream(whole)).calls == [
        SaidCall("a1", "f", "{}"),
        SaidCall("b2", "g", "[]"),
    ]


def test_the_end_has_reason_and_usage() -> None:
    said = read_chat_stream(stream(finish_reason="length", usage={"total_tokens": 5}))

    assert said == Said(finish_reason="length", usage={"total_tokens": 5})


def test_usage_may_come_in_a_chunk_of_its_own() -> None:
    alone = b'data: {"choices":[],"usage":{"total_tokens":5}}\n\n'

    said = read_chat_stream(stream(finish_reason="stop") + alone)

    assert (said.finish_reason, said.usage) == ("stop", {"total_tokens": 5})


def test_a_stream_that_was_cut_has_no_reason_to_end() -> None:
    assert read_chat_stream(stream({"content": "Hi"})).finish_reason is None


def test_done_comments_and_names_of_events_say_nothing() -> None:
    noise = b": waiting\n\nevent: message\nid: 5\ndata: [DONE]\n\n"

    assert read_chat_stream(noise) == Said()


def test_lines_may_end_in_crlf() -> None:
    crlf = (stream({"content": "Hi"}) + b"data: [DONE]\n\n").replace(b"\n", b"\r\n")

    assert read_chat_stream(crlf) == Said(text="Hi")


def test_an_error_breaks_the_stream() -> None:
    error = b'data: {"status_code":500,"error":{"message":"no"}}\n\n'

    said = read_chat_stream(stream({"content": "Hi"}) + error)

    assert (said.text, said.broken) == ("Hi", True)


@pytest.mark.parametrize("data", [b'{"choices":', b"\xff", b"oh no", b""])
def test_what_is_no_json_breaks_the_stream(data: bytes) -> None:
    assert read_chat_stream(b"data: " + data + b"\n\n").broken


def test_a_whole_stream_is_not_broken() -> None:
    assert not read_chat_stream(stream({"content": "Hi"}, finish_reason="stop")).broken


WHOLE = [name for name in scenarios.names("cerebras") if not scenarios.load(name).fails]


@pytest.mark.parametrize("name", WHOLE)
def test_a_recording_says_what_its_scenario_says(name: str) -> None:
    with open_cassette(cerebras(name)) as cassette:
        turns = [read_chat_stream(answer["body"]["string"]) for answer in cassette.responses]

    for said, turn in zip(turns, scenarios.load(name).turns, strict=True):
        assert (said.reasoning, said.text) == (turn.reasoning, turn.text)
        for told, call in zip(said.calls, turn.calls, strict=True):
            custom = json.dumps({"input": call.arguments_text}, ensure_ascii=False)
            arguments = custom if call.kind == "custom" else call.arguments_text
            name = f"{call.namespace}__{call.name}" if call.namespace else call.name
            assert told == SaidCall(call.id, name, arguments)
        assert said.finish_reason == turn.finish_reason
        assert said.usage is not None
        assert turn.usage is not None
        assert said.usage["prompt_tokens"] == turn.usage.prompt_tokens
        assert said.usage["completion_tokens"] == turn.usage.completion_tokens
        assert not said.broken


@pytest.mark.parametrize(
    "data",
    ["5", "[]", "null", '"error"', '{"choices":[{"delta":{"content":5}}]}', '{"choices":[5]}'],
)
def test_json_of_another_shape_breaks_the_stream(data: str) -> None:
    assert read_chat_stream(f"data: {data}\n\n".encode()).broken


def test_the_end_may_be_said_without_a_space() -> None:
    assert not read_chat_stream(b"data:[DONE]\n\n").broken


# --- pieces --------------------------------------------------------------------------------------


def test_each_piece_knows_its_chunk_and_its_end() -> None:
    body = stream({"role": "assistant"}, {"reasoning": "Hm"}, {"content": "H"}, {"content": "i"})
    ends = [at + 2 for at in range(len(body)) if body[at : at + 2] == b"\n\n"]

    said = read_chat_stream(body)

    assert said.pieces == [
        Piece("reasoning", "Hm", 1, ends[1]),
        Piece("text", "H", 2, ends[2]),
        Piece("text", "i", 3, ends[3]),
    ]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_piece_ends_with_its_blank_line(ending: bytes) -> None:
    body = stream({"content": "Hi"}, finish_reason="stop").replace(b"\n", ending)

    (piece,) = read_chat_stream(body).pieces

    assert body[: piece.end].endswith(ending * 2)
    assert body[piece.end :].startswith(b"data:")


def test_pieces_of_calls_that_take_turns_know_their_call() -> None:
    said = read_chat_stream(
        stream(fragment(4, "", id="a", name="f"), fragment(2, "{", id="b"), fragment(4, "[]"))
    )

    assert [(piece.call, piece.text) for piece in said.pieces] == [(0, ""), (1, "{"), (0, "[]")]


def test_a_character_is_found_in_its_chunk() -> None:
    said = read_chat_stream(
        stream({"content": "He"}, {"reasoning": "Hm"}, {"content": ""}, {"content": "llo"})
    )

    chunks = [said.chunk_of("text", at) for at in (0, 1, 2, 4)]
    assert chunks == [0, 0, 3, 3]
    assert said.chunk_of("text", 5) is None
    assert said.chunk_of("reasoning", 0) == 1


def test_a_character_of_a_call_is_found_among_its_own() -> None:
    said = read_chat_stream(
        stream(fragment(0, "{}", id="a", name="f"), fragment(1, "[]", id="b", name="g"))
    )

    assert said.chunk_of("call", 0, call=1) == 1
