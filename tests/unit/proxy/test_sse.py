"""The wire format: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sse import ServerSentEventDecoder
from tests.unit.proxy.streams import cut, cuts, one_by_one

BOM = b"\xef\xbb\xbf"


def decode(*pieces: bytes) -> list[bytes]:
    decoder = ServerSentEventDecoder()
    return [event for piece in pieces for event in decoder.receive_data(piece)]


# --- events --------------------------------------------------------------------------------------


def test_a_blank_line_ends_an_event() -> None:
    decoder = ServerSentEventDecoder()

    assert decoder.receive_data(b"data: one\n") == []
    assert decoder.receive_data(b"\n") == [b"one"]


def test_events_that_arrive_together_come_out_in_order() -> None:
    assert decode(b"data: one\n\ndata: two\n\n") == [b"one", b"two"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_line_ends_in_any_of_three_ways(end: bytes) -> None:
    lines = [b"event: greeting", b"data: one", b"data: two", b"", b"data: three", b"", b""]

    assert decode(end.join(lines)) == [
        b"one\ntwo",
        b"three",
    ]


def test_line_ends_of_every_kind_may_stand_in_one_stream() -> None:
    assert decode(b"data: one\r\ndata: two\rdata: three\n\r") == [b"one\ntwo\nthree"]


def test_events_of_one_line_and_others_may_arrive_together() -> None:
    stream = b"data: a\n\ndata: b\nid: 1\n\n: waiting\n\ndata: c\n\ndata: d\n\n"

    assert decode(stream) == [b"a", b"b", b"c", b"d"]


def test_blank_lines_in_excess_are_no_events() -> None:
    assert decode(b"\n\n\ndata: one\n\n\n\n\n\ndata: two\n\n") == [b"one", b"two"]


def test_what_an_event_is_called_does_not_matter() -> None:
    assert decode(b"event: error\ndata: x\n\ndata: y\nevent: two\n\n") == [b"x", b"y"]


def test_a_name_without_data_is_no_event() -> None:
    assert decode(b"event: error\n\ndata: x\n\n") == [b"x"]


def test_an_unfinished_event_is_not_given_out() -> None:
    assert decode(b"data: one\n\ndata: two\n") == [b"one"]


# --- fields --------------------------------------------------------------------------------------


def test_data_lines_are_joined_by_line_feeds() -> None:
    assert decode(b"data: {\ndata: }\n\n") == [b"{\n}"]


def test_data_may_be_empty() -> None:
    assert decode(b"data:\n\ndata: \n\ndata\n\n") == [b""] * 3


def test_a_field_without_a_colon_has_an_empty_value() -> None:
    assert decode(b"data\ndata\n\n") == [b"\n"]


def test_one_space_after_the_colon_is_dropped_and_none_is_needed() -> None:
    assert decode(b"data:x\n\ndata: x\n\ndata:  x\n\n") == [
        b"x",
        b"x",
        b" x",
    ]


def test_a_colon_in_a_value_belongs_to_it() -> None:
    assert decode(b"data: a: b\n\n") == [b"a: b"]


def test_a_line_that_begins_with_a_colon_is_a_comment() -> None:
    assert decode(b": waiting\n\n:\ndata: x\n:data: y\n\n") == [b"x"]


def test_fields_that_mean_nothing_here_are_passed_over() -> None:
    assert decode(b"id: 7\nretry: 10\nDATA: y\n data: z\ndata: x\n\n") == [b"x"]


# --- bytes ---------------------------------------------------------------------------------------


def test_a_byte_order_mark_at_the_start_is_dropped() -> None:
    assert decode(BOM + b"data: x\n\n") == [b"x"]


def test_a_byte_order_mark_in_pieces_is_dropped() -> None:
    assert decode(*one_by_one(BOM + b"data: x\n\n")) == [b"x"]


def test_a_byte_order_mark_anywhere_else_is_part_of_its_line() -> None:
    stream = b"data: x\n\n" + BOM + b"data: y\n\ndata: " + BOM + b"\n\n"

    assert decode(stream) == [b"x", BOM]
    assert decode(*one_by_one(stream)) == [b"x", BOM]


def test_a_character_that_the_transport_cut_is_whole_again() -> None:
    euro = "€".encode()

    assert decode(b"data: " + euro[:1], euro[1:2], euro[2:] + b"\n\n") == [euro]


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    assert decode(b"data: \xff\x00\xfe\n\n") == [b"\xff\x00\xfe"]


def test_a_line_of_a_megabyte_may_come_in_small_pieces() -> None:
    pieces = [b"x" * 1000] * 1000

    assert decode(b"data: ", *pieces, b"\n\n") == [b"x" * 1_000_000]


# --- cuts ----------------------------------------------------------------------------------------

MIXED = (
    BOM
    + b": a comment\r\n\r\nevent: greeting\r\ndata: one\r\ndata:two\r\n\r\n"
    + b"data: three\r\rdata\n\n\n"
    + "data: 日本\n\nevent: error\ndata: {}\n\n".encode()
    + b"data: unfinished\n"
)
MIXED_EVENTS = [
    b"one\ntwo",
    b"three",
    b"",
    "日本".encode(),
    b"{}",
]


def test_a_stream_in_one_piece_and_byte_by_byte_gives_the_same_events() -> None:
    assert decode(MIXED) == MIXED_EVENTS
    assert decode(*one_by_one(MIXED)) == MIXED_EVENTS


def test_a_stream_cut_in_two_gives_the_same_events_wherever_the_cut_is() -> None:
    for place in range(len(MIXED) + 1):
        assert decode(*cut(MIXED, [place])) == MIXED_EVENTS, f"cut after {MIXED[:place]!r}"


def test_nothing_in_between_pieces_changes_nothing() -> None:
    assert decode(*cut(MIXED, [*range(len(MIXED))] * 2)) == MIXED_EVENTS


def by_the_book(stream: bytes) -> list[bytes]:
    """Decode a whole stream line by line, as the specification tells it."""
    events = []
    data: list[bytes] = []
    *lines, _unfinished = re.split(rb"\r\n|\n|\r", stream.removeprefix(BOM))
    for line in lines:
        field, _, value = line.partition(b":")
        if not line:
            if data:
                events.append(b"\n".join(data))
            data = []
        elif field == b"data":
            data.append(value.removeprefix(b" "))
    return events


TOKENS = [b"\r", b"\n", b"\r\n", b"\n\n", b":", b" ", b"data", b"data: x", b"event", b"id: 1", BOM]
ANY_STREAM = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=3)).map(b"".join)


@given(cuts(ANY_STREAM))
def test_any_stream_cut_anywhere_gives_the_events_of_the_specification(pieces: list[bytes]) -> None:
    assert decode(*pieces) == by_the_book(b"".join(pieces))
