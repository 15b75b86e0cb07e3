"""What holds for every stream, however it is cut and whatever is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.chat_stream import read_chat_stream
from tests.unit.proxy.streams import (
    DONE,
    answer,
    calls,
    cut,
    cuts,
    data,
    final,
    finishes,
    fragment,
    items,
    one_by_one,
    read,
    replay,
    says,
    thinks,
    tokens,
)

# --- streams -------------------------------------------------------------------------------------


def build(steps: list[tuple[str | int, str]]) -> bytes:
    """Return the stream of these steps: a kind of text, or the index of a call, and some of it."""
    stream = b""
    opened = set()
    for kind, text in steps:
        match kind:
            case "text":
                stream += says(text)
            case "reasoning":
                stream += thinks(text)
            case int() if kind in opened:
                stream += calls(fragment(kind, arguments=text))
            case int():
                opened.add(kind)
                stream += calls(fragment(kind, id=f"id{kind}", name=f"tool{kind}", arguments=text))
    return stream


#: Without lone surrogates, which no text in UTF-8 can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KIND: st.SearchStrategy[str | int] = st.sampled_from(["text", "reasoning", 0, 1, 2])
UNFINISHED = st.lists(st.tuples(KIND, TEXT), max_size=8).map(build)
ENDING = st.sampled_from(
    [
        finishes(),
        finishes("tool_calls", tokens(9, 1)) + DONE,
        finishes("length", tokens(9, 1)),
        finishes() + data({"choices": [], "usage": tokens(9, 1)}) + DONE,
        data({"error": {"message": "Oh no."}, "status_code": 429}),
        DONE,
        b"",
    ]
)
STREAM = st.tuples(UNFINISHED, ENDING).map(b"".join)

NOISE = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"data: ", b"\n\n", b"\r\n", b"event: error\n", b"{", b"}", b'"', b"[DONE]"]),
    UNFINISHED,
    ENDING,
)

MIXED = b"".join(
    [
        thinks("日本"),
        says("€ 5"),
        calls(fragment(0, id="a", name="x"), fragment(1, id="b", name="y")),
        calls(fragment(1, arguments='"🎉"')),
        calls(fragment(0, arguments="{}")),
        finishes("tool_calls", tokens(9, 1)),
        DONE,
    ]
)


# --- properties ----------------------------------------------------------------------------------


def test_a_stream_cut_in_two_gives_the_same_bytes_wherever_the_cut_is() -> None:
    whole = replay(MIXED)

    for place in range(len(MIXED) + 1):
        assert replay(*cut(MIXED, [place])) == whole, f"cut after {MIXED[:place]!r}"


def test_a_stream_that_arrives_byte_by_byte_gives_the_same_bytes() -> None:
    assert replay(*one_by_one(MIXED)) == replay(MIXED)


@given(cuts(STREAM))
def test_any_stream_cut_anywhere_gives_the_same_bytes(pieces: list[bytes]) -> None:
    assert replay(*pieces) == replay(b"".join(pieces))


@given(UNFINISHED)
def test_all_that_the_provider_said_is_done_when_it_has_finished(stream: bytes) -> None:
    said = read_chat_stream(stream)

    output = final(answer(stream, finishes()))["output"]

    texts = [item["content"][0]["text"] for item in output if item["type"] == "message"]
    summaries = [item["summary"][0]["text"] for item in output if item["type"] == "reasoning"]
    functions = [item for item in output if item["type"] == "function_call"]
    assert "".join(texts) == said.text
    assert "".join(summaries) == said.reasoning
    assert [(item["call_id"], item["name"], item["arguments"]) for item in functions] == [
        (call.id, call.name, call.arguments) for call in said.calls
    ]


@given(STREAM)
def test_the_output_is_what_was_done_in_the_order_in_which_it_began(stream: bytes) -> None:
    events = answer(stream)

    added = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    assert final(events)["output"] == sorted(
        items(events), key=lambda item: added.index(item["id"])
    )


@given(st.lists(NOISE))
def test_any_bytes_at_all_give_valid_events_that_end_once(pieces: list[bytes]) -> None:
    events = read(replay(*pieces))

    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert final(events)["id"] == "resp_abc"
