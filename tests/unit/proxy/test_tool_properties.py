"""What holds for every stream with tools of all kinds, tags and summaries, however it is cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import compaction
from tests.unit.proxy.streams import (
    DONE,
    TERMINAL,
    Json,
    answer_of,
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
    replay_of,
    says,
    stream_of,
    thinks,
    tokens,
)

TOOLS: Json = {
    "tools": [
        {"type": "custom", "name": "apply_patch"},
        {"type": "local_shell"},
        {
            "type": "namespace",
            "name": "agents",
            "tools": [{"type": "function", "name": "wait"}, {"type": "custom", "name": "exec"}],
        },
    ]
}
COMPACTS: Json = {"input": [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]}
NAMES = ["apply_patch", "local_shell", "agents__wait", "agents__exec", "never_offered"]

# --- streams -------------------------------------------------------------------------------------

#: Without lone surrogates, which no text in UTF-8 can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TAGGED = st.lists(
    st.sampled_from(["<think>", "</think>", "<thi", "nk>", "</", "think>", "\n", " ", "x", "<"]),
    max_size=5,
).map("".join)
#: The insides of strings of JSON, and what models write in their place.
ESCAPES = st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        "\\n",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "\\u",
        "\\ud8",
        "\\d",
        "x",
        "日",
        "}",
    ]
)
WILD = st.one_of(
    st.lists(ESCAPES, max_size=6).map(lambda parts: '{"input":"' + "".join(parts)),
    st.lists(ESCAPES, max_size=6).map("".join),
    TEXT.map(lambda text: json.dumps({"input": text})),
    TEXT.map(lambda text: json.dumps({"patch": text, "command": [text]})),
)


@st.composite
def call(draw: st.DrawFn, arguments: st.SearchStrategy[str] = WILD) -> list[bytes]:
    """Draw the chunks of one call, its arguments in pieces."""
    index = draw(st.integers(0, 2))
    text = draw(arguments)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    bounds = [0, *places, len(text)]
    pieces = [text[start:end] for start, end in pairwise(bounds)]
    id, name = draw(st.sampled_from(["a", "b", "c"])), draw(st.sampled_from(NAMES))
    opener = calls(fragment(index, id=id, name=name, arguments=pieces[0]))
    return [opener, *(calls(fragment(index, arguments=piece)) for piece in pieces[1:])]


UNFINISHED = st.lists(
    st.one_of(call(), TAGGED.map(lambda text: [says(text)]), TEXT.map(lambda text: [thinks(text)])),
    max_size=5,
).map(lambda groups: b"".join(chunk for group in groups for chunk in group))
ENDING = st.sampled_from(
    [
        finishes(),
        finishes("tool_calls", tokens(9, 1)) + DONE,
        finishes("length", tokens(9, 1)),
        finishes("content_filter"),
        data({"error": {"message": "Oh no."}, "status_code": 429}),
        b"",
    ]
)
STREAM = st.tuples(UNFINISHED, ENDING).map(b"".join)
NOISE = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"data: ", b"\n\n", b"\r\n", b"event: error\n", b"{", b'"', b"[DONE]"]),
        UNFINISHED,
        ENDING,
    )
)

WAYS = [
    pytest.param({**TOOLS}, False, True, id="tools"),
    pytest.param({**TOOLS}, True, True, id="tools and tags"),
    pytest.param({**TOOLS}, True, False, id="tools and tags, old client"),
    pytest.param(COMPACTS, False, True, id="summary"),
    pytest.param(COMPACTS, True, False, id="summary and tags, old client"),
]
ways = pytest.mark.parametrize(("request_", "think_tags", "knows_incomplete"), WAYS)


# --- properties ----------------------------------------------------------------------------------


@ways
@given(pieces=cuts(STREAM))
def test_any_stream_cut_anywhere_gives_the_same_bytes(
    request_: Json, think_tags: bool, knows_incomplete: bool, pieces: list[bytes]
) -> None:
    def replayed(*pieces: bytes) -> bytes:
        stream = stream_of(request_, think_tags=think_tags, knows_incomplete=knows_incomplete)
        return replay_of(stream, *pieces)

    assert replayed(*pieces) == replayed(b"".join(pieces))


@ways
@given(pieces=NOISE)
def test_any_bytes_at_all_give_valid_events_that_end_once(
    request_: Json, think_tags: bool, knows_incomplete: bool, pieces: list[bytes]
) -> None:
    stream = stream_of(request_, think_tags=think_tags, knows_incomplete=knows_incomplete)

    events = answer_of(stream, *pieces)

    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in TERMINAL for event in events].count(True) == 1
    assert stream.closed
    if not knows_incomplete:
        assert final(events)["status"] != "incomplete"


@ways
@given(pieces=STREAM)
def test_each_item_that_is_done_was_added_and_has_an_id_of_its_own(
    request_: Json, think_tags: bool, knows_incomplete: bool, pieces: bytes
) -> None:
    stream = stream_of(request_, think_tags=think_tags, knows_incomplete=knows_incomplete)

    events = answer_of(stream, pieces)

    added = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    done = items(events)
    assert len(set(added)) == len(added)
    assert sorted(item["id"] for item in done) == sorted({item["id"] for item in done})
    assert {item["id"] for item in done} <= set(added)
    call_ids = [item["call_id"] for item in done if "call_id" in item]
    assert len(set(call_ids)) == len(call_ids)
    assert final(events)["output"] == sorted(done, key=lambda item: added.index(item["id"]))


@given(pieces=st.lists(NOISE, max_size=3), think_tags=st.booleans())
def test_a_summary_is_one_item_or_none_whatever_comes(
    pieces: list[list[bytes]], think_tags: bool
) -> None:
    stream = stream_of(COMPACTS, think_tags=think_tags)

    events = answer_of(stream, *(piece for group in pieces for piece in group))

    done = items(events)
    assert [item["type"] for item in done] in ([], ["compaction"])
    assert (final(events)["status"] == "failed") == (done == [])
    for item in done:
        compaction.unpack(item["encrypted_content"])


@given(text=TEXT, escaped=st.booleans(), at=st.lists(st.integers(0, 80), max_size=6))
def test_the_input_of_a_custom_tool_is_the_string_however_it_is_cut(
    text: str, escaped: bool, at: list[int]
) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=escaped)
    bounds = [0, *sorted(min(place, len(arguments)) for place in at), len(arguments)]
    pieces = [arguments[start:end] for start, end in pairwise(bounds)]
    chunks = [calls(fragment(0, arguments=piece)) for piece in pieces]
    opener = calls(fragment(0, id="a", name="apply_patch"))

    events = answer_of(stream_of(TOOLS), opener, *chunks, finishes("tool_calls"))

    deltas = [e["delta"] for e in events if e["type"] == "response.custom_tool_call_input.delta"]
    (item,) = items(events)
    assert "".join(deltas) == item["input"] == text
    assert "" not in deltas


@given(WILD, st.lists(st.integers(0, 60), max_size=4))
def test_the_deltas_of_an_input_are_the_input_whatever_the_arguments_are(
    arguments: str, at: list[int]
) -> None:
    bounds = [0, *sorted(min(place, len(arguments)) for place in at), len(arguments)]
    pieces = [arguments[start:end] for start, end in pairwise(bounds)]
    chunks = [calls(fragment(0, arguments=piece)) for piece in pieces]
    opener = calls(fragment(0, id="a", name="apply_patch"))

    in_pieces = answer_of(stream_of(TOOLS), opener, *chunks, finishes("tool_calls"))
    whole = answer_of(
        stream_of(TOOLS), opener, calls(fragment(0, arguments=arguments)), finishes("tool_calls")
    )

    deltas = [e["delta"] for e in in_pieces if e["type"].endswith("input.delta")]
    assert "".join(deltas) == items(in_pieces)[0]["input"] == items(whole)[0]["input"]


MIXED = b"".join(
    [
        says("<think>日本</think>€ 5"),
        calls(fragment(0, id="a", name="apply_patch"), fragment(1, id="b", name="agents__wait")),
        calls(fragment(1, arguments='"🎉"')),
        calls(fragment(0, arguments='{"input":"\\ud83d\\ude00 \\u00e9\\n')),
        calls(fragment(0, arguments='"}')),
        finishes("tool_calls", tokens(9, 1)),
        DONE,
    ]
)


@pytest.mark.parametrize("request_", [TOOLS, COMPACTS], ids=["tools", "summary"])
def test_a_stream_cut_in_two_gives_the_same_bytes_wherever_the_cut_is(request_: Json) -> None:
    whole = replay_of(stream_of(request_, think_tags=True), MIXED)

    for place in range(len(MIXED) + 1):
        stream = stream_of(request_, think_tags=True)
        assert replay_of(stream, *cut(MIXED, [place])) == whole, f"cut after {MIXED[:place]!r}"
    assert replay_of(stream_of(request_, think_tags=True), *one_by_one(MIXED)) == whole
    assert final(read(whole))["status"] == "completed"
