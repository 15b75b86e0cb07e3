"""What a chunk says, read without decoding it: only where all else is as in the chunk before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.chunk_template import ChunkTemplate
from tests.unit.proxy.streams import (
    DONE,
    answer_of,
    calls,
    chunk,
    data,
    finishes,
    fragment,
    outline,
    replay_of,
    says,
    stream_of,
    thinks,
    tokens,
)


def bare(event: bytes) -> bytes:
    """Return the data of an event."""
    return event.removeprefix(b"data: ").removesuffix(b"\n\n")


def template(event: bytes) -> ChunkTemplate:
    found = ChunkTemplate.of(bare(event))
    assert found is not None
    return found


# --- one chunk -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "say",
    [
        says,
        thinks,
        lambda text: chunk({"reasoning_content": text}),
        lambda text: chunk({"content": text, "reasoning": None, "tool_calls": None}),
        lambda text: chunk({"content": "", "reasoning": text}),
        lambda text: calls(fragment(0, arguments=text)),
        lambda text: calls(fragment(0, id="id0", name="content", arguments=text)),
        lambda text: b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode(),
    ],
    ids=[
        *("content", "reasoning", "reasoning_content", "nulls", "empty content"),
        *("arguments", "call", "no spaces"),
    ],
)
def test_a_chunk_with_other_words_is_not_decoded(say: Callable[[str], bytes]) -> None:
    words = ["b", "naïve", " \u2192 d"]

    found = template(say("a"))

    assert [found.text(bare(say(word))) for word in words] == [word.encode() for word in words]


@pytest.mark.parametrize(
    "event",
    [
        chunk({"role": "assistant"}),
        chunk({}),
        says(""),
        chunk({"content": "a", "reasoning": "b"}),
        chunk({"reasoning_content": "does not count", "reasoning": "a"}),
        chunk({"content": "", "refusal": "a"}),
        chunk({"content": "a", "refusal": "b"}),
        chunk({"content": "", "tool_calls": [fragment(0, arguments="")]}),
        calls(fragment(0, arguments="a"), fragment(0, id="id1", arguments="")),
        data({"choices": [{"delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]}),
        data({"choices": [{"logprobs": {"content": "a"}, "delta": {"content": "b"}}]}),
        data({"error": {"content": "a"}}),
        b'{"choices":[{"delta":{"content":"first","content":"counts"}}]}',
        b'{"choices":[{"delta":{"content":"first","content":"codex"}}]}',
        b'{"choices":[{"delta":{"content":"first","content":"proxy"}}]}',
        b'{"choices":[{"delta":{"content":"a"}}]',
        b'{"choices":[{"delta":{"role":"x"content":"a"}}]}',
        b"[DONE]",
    ],
)
def test_what_is_not_certain_has_no_template(event: bytes) -> None:
    assert ChunkTemplate.of(bare(event)) is None


#: The shortest that both begins and ends as the others do has one quote for two.
ONE_QUOTE = b'{"choices":[{"delta":{"content":"}}]}'


@pytest.mark.parametrize(
    "text",
    [
        rb"\u2192",
        rb"\/",
        b"\\",
        b"a\\\\\\",
        rb'a","role":"b',
        b"a\tb",
        b"na\xefve",
        b"\xed\xa0\x80",
        b"",
    ],
)
def test_what_is_not_written_plainly_is_decoded(text: bytes) -> None:
    say = b'{"choices":[{"delta":{"content":"%b"}}]}'
    found = template(say % b"a")

    assert found.text(say % text) == b""
    assert found.text(ONE_QUOTE) == b""


TWO = calls(fragment(0, arguments=""), fragment(0, id="id1", arguments=""))


def test_a_chunk_fits_whose_text_has_to_be_decoded() -> None:
    found = template(says("a"))

    assert found.fits(bare(says("")))
    assert found.fits(bare(says("a").replace(b'"a"', rb'"\u2192"')))
    assert not template(calls(fragment(0, arguments="a"))).fits(bare(TWO))


@pytest.mark.parametrize("other", [thinks("a"), finishes(), DONE, b""])
def test_another_chunk_does_not_fit(other: bytes) -> None:
    found = template(says("a"))

    assert not found.fits(bare(other))
    assert found.text(bare(other)) == b""


def test_escapes_stay_as_they_are() -> None:
    said = ["\n", 'a "b"', "\\", "\t\\"]

    found = template(says("a"))

    assert [found.text(bare(says(text))) for text in said] == [
        rb"\n",
        rb"a \"b\"",
        rb"\\",
        rb"\t\\",
    ]


# --- streams -------------------------------------------------------------------------------------

TOOLS = [
    {"type": "function", "name": "run", "parameters": {}},
    {"type": "custom", "name": "apply_patch"},
    {"type": "local_shell"},
]

#: Text, and arguments of a custom tool, as they come: with escapes, twice over.
ODD = ['{"input":"', '"}', "\\n", "\\u00e9", "\\ud83d", "\\ude00", "\\", '"', "<think>", "</think>"]
TEXT = (
    st.sampled_from(["a", " b", "→"])
    | st.sampled_from(ODD)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
)


def _step(kind: str, text: str) -> bytes:
    match kind:
        case "content":
            return says(text)
        case "reasoning":
            return thinks(text)
        case "refusal":
            return chunk({"refusal": text})
        case "both":
            return chunk({"content": text, "tool_calls": [fragment(1, id="idle", arguments="")]})
        case "nobody":
            return calls(fragment(arguments=text))
        case "again":
            return calls(fragment(0, id="id9", name="run", arguments=text))
        case "two":
            return calls(fragment(0, arguments=text), fragment(0, id="id8", arguments=""))
        case "usage":
            return chunk({"content": text}, usage=tokens(9, 1))
        case "finished":
            return chunk({"content": text}, finish_reason="stop")
        case "failed":
            return data({"choices": [{"delta": {"content": text}}], "error": "Oh no."})
    number = int(kind)
    return calls(fragment(number, arguments=text))


KINDS = [
    *("content", "reasoning", "refusal", "both", "usage"),
    *("nobody", "again", "two", "0", "1", "2"),
    *("finished", "failed"),
]
#: The same kind several times in a row, as it is in streams.
RUN = st.tuples(st.sampled_from(KINDS), st.lists(TEXT, max_size=12))
#: Events after which several templates may have been looked for.
LONG = 80
OPENERS = [
    calls(fragment(0, id="id0", name="run", arguments="")),
    calls(fragment(1, id="id1", name="apply_patch", arguments='{"input":"')),
    calls(fragment(2, id="id2", name="local_shell", arguments="")),
]


@given(st.lists(RUN, max_size=6), st.booleans(), st.integers(1, 5), st.booleans())
def test_a_stream_is_the_same_whether_its_chunks_are_decoded_or_not(
    runs: list[tuple[str, list[str]]],
    calls_first: bool,
    at_once: int,
    think_tags: bool,
) -> None:
    events = [
        *(thinks(str(number)) for number in range(LONG)),
        *(OPENERS if calls_first else ()),
        *(_step(kind, text) for kind, texts in runs for text in texts),
        *(OPENERS if not calls_first else ()),
        finishes("tool_calls"),
    ]

    assert told_of(events, at_once, think_tags) == told_of(apart(events), at_once, think_tags)


def told_of(events: list[bytes], at_once: int, think_tags: bool) -> bytes:
    """Return what is told of events that arrive so many at once."""
    return replay_of(
        stream_of({"tools": TOOLS}, think_tags=think_tags),
        *(b"".join(events[at : at + at_once]) for at in range(0, len(events), at_once)),
    )


def apart(events: list[bytes]) -> list[bytes]:
    """Return events of which no two have the same bytes around their text: all are decoded."""
    return [
        event.replace(b"{", b'{"number": %d, ' % number, 1) for number, event in enumerate(events)
    ]


@pytest.mark.parametrize(
    "run",
    [
        [calls(fragment(name="run", arguments=text)) for text in ("{}", "[]", "[1]", "[2]")],
        [
            chunk({"tool_calls": [fragment(0, arguments=text)]}, finish_reason="tool_calls")
            for text in ("{", "}", "not", "more")
        ],
        [says(text) for text in ("<think>", "a", "b", "c", "</think>", "d", "e")],
    ],
    ids=["each a call", "each the last", "one ends the thoughts"],
)
@pytest.mark.parametrize("think_tags", [False, True])
def test_chunks_that_differ_in_their_text_alone_may_not_mean_the_same(
    run: list[bytes], think_tags: bool
) -> None:
    events = [*(thinks(str(number)) for number in range(LONG)), OPENERS[0], *run, finishes("stop")]

    assert told_of(events, 1, think_tags) == told_of(apart(events), 1, think_tags)


def test_a_stream_that_repeats_itself_is_passed_on_without_a_change() -> None:
    words = ["One", " two", " →", "\n", ' "three"', " \\", " é", "", " four"] * 9

    told = answer_of(stream_of({}), b"".join(map(says, words)), finishes())

    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert deltas == [word for word in words if word]
    assert outline(told)[-4] == f"output_text.done 0 {''.join(words)}"


def test_calls_that_come_whole_without_an_id_stay_apart() -> None:
    commands = [f'{{"command":["{name}"]}}' for name in ("ls", "pwd", "id", "env")]

    told = answer_of(
        stream_of({"tools": TOOLS}),
        b"".join(thinks(str(number)) for number in range(LONG)),
        *(calls(fragment(name="local_shell", arguments=command)) for command in commands),
        finishes("tool_calls"),
    )

    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert [item["action"]["command"] for item in done[1:]] == [["ls"], ["pwd"], ["id"], ["env"]]


def test_where_no_chunk_is_like_the_one_before_a_template_is_hardly_ever_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[bytes] = []
    of = ChunkTemplate.of

    def look_at(data: bytes) -> ChunkTemplate | None:
        looked_at.append(data)
        return of(data)

    monkeypatch.setattr(ChunkTemplate, "of", look_at)
    number = 2000

    answer_of(
        stream_of({}),
        *(chunk({"content": "a"}, usage=tokens(9, used)) for used in range(number)),
        *(says("a") for _ in range(number)),
        *(chunk({"reasoning": "a"}) for _ in range(number)),
        finishes(),
    )

    kinds = [(b"usage" in data, b"reasoning" in data) for data in looked_at]
    assert kinds.count((True, False)) < 10
    assert kinds.count((False, False)) == kinds.count((False, True)) == 1
