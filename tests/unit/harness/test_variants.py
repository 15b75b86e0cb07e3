"""What each variant makes of a stream."""

from __future__ import annotations

import pytest

from harness.cassette import load
from harness.chat_stream import read_chat_stream
from harness.errors import HarnessError
from harness.variants import AS_RECORDED, PLACES, VARIANTS, Stream, unfinished, variants_named
from tests.cassettes import cerebras

FIRST = 'data: {"choices":[{"delta":{"content":"€ "},"index":0}]}\n\n'.encode()
SECOND = b'data: {"choices":[{"delta":{"content":"5"},"index":0}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}]}\n\n'
DONE = b"data: [DONE]\n\n"

#: As it may come: events together, and one in two parts.
STREAM = Stream([(1.0, FIRST + SECOND[:9]), (2.0, SECOND[9:]), (3.0, LAST + DONE)])

CUTS = ["one_byte", "events", "cut_in_utf8", "cut_in_data", "cut_in_blank_line", "joined"]


def varied(name: str, stream: Stream = STREAM) -> Stream:
    changed = VARIANTS[name].change(stream)
    assert changed is not None
    return changed


def pieces(name: str) -> list[bytes]:
    return [data for _, data in varied(name).chunks]


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_loses_nothing(name: str) -> None:
    assert varied(name).body == STREAM.body
    assert b"" not in pieces(name)
    assert varied(name).end == "complete"


def test_each_of_them_cuts_where_it_says() -> None:
    assert pieces("joined") == [STREAM.body]
    assert {len(piece) for piece in pieces("one_byte")} == {1}
    assert pieces("events") == [FIRST, SECOND, LAST, DONE]
    euro = FIRST.index("€".encode())
    assert pieces("cut_in_utf8")[:3] == [
        FIRST[: euro + 1],
        FIRST[euro + 1 : euro + 2],
        FIRST[euro + 2 :] + SECOND[:9],
    ]
    assert pieces("cut_in_data")[:6] == [b"d", b"a", b"t", b"a", b":", FIRST[5:] + b"d"]
    assert pieces("cut_in_blank_line")[:2] == [FIRST[:-1], b"\n" + SECOND[:9]]
    assert pieces("cut_in_crlf")[:2] == [FIRST[:-2] + b"\r", b"\n\r"]
    assert varied("cut_in_crlf").body == STREAM.body.replace(b"\n", b"\r\n")


def test_a_piece_comes_when_its_chunk_came() -> None:
    assert {at for at, _ in varied("one_byte").chunks} == {1.0, 2.0, 3.0}


def test_line_ends_and_comments_and_done() -> None:
    assert varied("crlf").body == STREAM.body.replace(b"\n", b"\r\n")
    assert pieces("comments")[1] == b": keep-alive\n\n" + SECOND
    assert varied("done_removed").body == FIRST + SECOND + LAST
    without = varied("done_removed")
    assert VARIANTS["done_removed"].change(without) is None
    assert varied("done_added", without).body == STREAM.body
    assert VARIANTS["done_added"].change(STREAM) is None


def test_what_is_not_in_a_stream_cannot_be_cut() -> None:
    assert VARIANTS["cut_in_utf8"].change(Stream([(1.0, LAST)])) is None
    assert list(PLACES["in_crlf"](LAST)) == []


def test_a_stream_is_unfinished_until_its_finish_reason() -> None:
    assert [head.body for head in unfinished(STREAM)] == [FIRST + SECOND[:9], FIRST + SECOND]
    assert unfinished(Stream([(1.0, LAST)])) == []


@pytest.mark.parametrize(
    ("name", "body", "end"),
    [
        ("truncated_first", FIRST, "complete"),
        ("truncated_last", FIRST + SECOND, "complete"),
        ("cut", FIRST + SECOND, "cut"),
        ("reset", FIRST + SECOND, "reset"),
        ("stall", FIRST + SECOND, "timeout"),
    ],
)
def test_a_broken_stream_breaks_before_the_provider_has_finished(
    name: str, body: bytes, end: str
) -> None:
    assert (varied(name).body, varied(name).end) == (body, end)


def test_an_error_comes_in_the_middle_and_what_follows_stays() -> None:
    body = varied("error").body
    assert body.startswith(FIRST + SECOND + b'data: {"status_code":500,')
    assert body.endswith(LAST + DONE)
    assert read_chat_stream(body).broken


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_what_the_provider_streamed(name: str) -> None:
    cassette = load(cerebras("whole-calls" if name == "done_added" else "unicode-arguments"))
    before = [response["body"]["string"] for response in cassette.responses]

    assert VARIANTS[name].apply(cassette)

    for response, body in zip(cassette.responses, before, strict=True):
        sizes = sum(size for _, size in response["stream"]["chunks"])
        assert sizes == len(response["body"]["string"])
        if VARIANTS[name].expects == "failure":
            said = read_chat_stream(response["body"]["string"])
            ended = response["stream"]["end"] == "complete"
            assert said.finish_reason is None or said.broken or not ended
        else:
            assert read_chat_stream(response["body"]["string"]) == read_chat_stream(body)


@pytest.mark.parametrize("name", ["cut-text", "error-in-stream", "server-error", "empty-stream"])
def test_what_the_provider_broke_off_itself_is_not_changed(name: str) -> None:
    assert not VARIANTS["joined"].apply(load(cerebras(name)))


def test_variants_are_known_by_name() -> None:
    assert variants_named(["recorded"]) == [AS_RECORDED]
    assert variants_named(["all"]) == list(VARIANTS.values())
    with pytest.raises(HarnessError, match="there is no variant 'joind'; there are: all, recorded"):
        variants_named(["joind"])
