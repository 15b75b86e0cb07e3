"""The client takes down what is on the wire, as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from harness.client import Event, EventReader, read_events, send
from harness.server import BreakConnection
from tests.unit.harness.upstreams import Say, Upstream, closed_url, saying

CREATED = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}'
COMPLETED = b'event: response.completed\ndata: {"type":"response.completed","sequence_number":1}'
STREAM = CREATED + b"\n\n" + COMPLETED + b"\n\n"


# --- events --------------------------------------------------------------------------------------


def test_an_event_has_number_name_data_and_bytes() -> None:
    assert read_events(STREAM) == [
        Event(0, "response.created", {"type": "response.created", "sequence_number": 0}, CREATED),
        Event(
            1, "response.completed", {"type": "response.completed", "sequence_number": 1}, COMPLETED
        ),
    ]


def test_an_event_without_a_name_has_none() -> None:
    (event,) = read_events(b'data: {"type":"response.created"}\n\n')

    assert event.name is None
    assert event.type == "response.created"


@pytest.mark.parametrize(
    "stream",
    [
        STREAM.replace(b"\n", b"\r\n"),
        STREAM.replace(b": ", b":"),
        STREAM.replace(b"\n\n", b"\n\r\n"),
    ],
    ids=["CRLF", "no-space", "mixed"],
)
def test_an_event_is_the_same_however_its_lines_are_written(
    stream: bytes, upstream: Upstream
) -> None:
    upstream.does(saying(*(stream[index : index + 1] for index in range(len(stream)))))

    answer = send(upstream.url, {})

    read = [(event.name, event.data) for event in read_events(stream)]
    assert read == [(event.name, event.data) for event in read_events(STREAM)]
    assert [(event.name, event.data) for event in answer.events] == read
    assert (answer.body, answer.rest) == (stream, b"")


@pytest.mark.parametrize("data", [b"", b"[DONE]", b'{"type":', b"[]", b"null", b"5", b"\xff"])
def test_data_that_is_no_json_object_is_none(data: bytes) -> None:
    (event,) = read_events(b"event: x\ndata: " + data + b"\n\n")

    assert event.data is None
    assert event.type == ""
    assert event.raw == b"event: x\ndata: " + data


def test_an_event_without_data_has_none() -> None:
    (event,) = read_events(b"event: response.created\n\n")

    assert (event.name, event.data) == ("response.created", None)


def test_a_field_is_read_like_a_key_and_a_missing_one_is_none() -> None:
    (event,) = read_events(b'data: {"delta":"Hi"}\n\n')
    (empty,) = read_events(b"data: x\n\n")

    assert (event["delta"], event["item"], empty["delta"]) == ("Hi", None, None)


# --- an answer -----------------------------------------------------------------------------------


def test_an_answer_has_status_type_and_events(upstream: Upstream) -> None:
    upstream.does(saying(STREAM))

    answer = send(upstream.url, {})

    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream"
    assert [event.raw for event in answer.events] == [CREATED, COMPLETED]
    assert (answer.rest, answer.broken) == (b"", None)


def test_events_are_told_as_they_come(upstream: Upstream) -> None:
    upstream.does(saying(STREAM, STREAM[:-1]))
    told: list[Event] = []

    answer = send(upstream.url, {}, on_events=told.extend)

    assert told == answer.events
    assert len(told) == 3


def test_an_answer_knows_when_it_was_asked_for(upstream: Upstream) -> None:
    upstream.does(saying(STREAM))
    before = time.perf_counter()

    answer = send(upstream.url, {})

    assert before < answer.began
    assert answer.began + answer.events[-1].at / 1000 < time.perf_counter()


def test_events_are_the_same_however_they_are_cut(upstream: Upstream) -> None:
    upstream.does(saying(*(STREAM[index : index + 1] for index in range(len(STREAM)))))

    answer = send(upstream.url, {})

    assert [event.raw for event in answer.events] == [CREATED, COMPLETED]
    assert [event.number for event in answer.events] == [0, 1]
    assert answer.rest == b""


def test_what_is_left_of_a_cut_event_is_the_rest(upstream: Upstream) -> None:
    upstream.does(saying(STREAM[:-1]))

    answer = send(upstream.url, {})

    assert [event.raw for event in answer.events] == [CREATED]
    assert answer.rest == COMPLETED + b"\n"


def test_a_connection_that_breaks_is_told_in_the_answer(upstream: Upstream) -> None:
    async def break_off(say: Say) -> None:
        await say(CREATED + b"\n\n")
        await say(b"event: respo")
        raise BreakConnection

    upstream.does(break_off)

    answer = send(upstream.url, {})

    assert answer.broken is not None
    assert answer.broken.startswith("RemoteProtocolError: peer closed connection")
    assert [event.raw for event in answer.events] == [CREATED]
    assert answer.rest == b"event: respo"


def test_an_answer_that_never_ends_is_given_up(upstream: Upstream) -> None:
    async def drip(say: Say) -> None:
        while True:
            await say(b"data: {}\n\n")
            await asyncio.sleep(0.02)

    upstream.does(drip)

    answer = send(upstream.url, {}, timeout=0.2)

    assert answer.broken == "it had not ended after 0.2 s"
    assert len(answer.events) > 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000,
    ],
    ids=["hints", "headers"],
)
@pytest.mark.parametrize("size", [1, 28])
def test_a_head_that_never_ends_has_timed_out(head: bytes, size: int) -> None:
    started = time.perf_counter()

    with (
        _trickling(head, size) as url,
        pytest.raises(httpx.ReadTimeout, match="timed out before the head of the answer"),
    ):
        send(url, {}, timeout=0.3)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "body",
    [b"5\r\n: hi\n\r\n", b"000000000000005\r\n: hi\n\r\n"],
    ids=["chunks", "sizes-of-chunks"],
)
def test_a_body_that_trickles_is_given_up(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    with _trickling(body, 1, at_once=head) as url:
        answer = send(url, {}, timeout=0.3)

    assert answer.broken == "it had not ended after 0.3 s"


def test_an_answer_that_falls_silent_is_given_up(upstream: Upstream) -> None:
    async def fall_silent(say: Say) -> None:
        await say(STREAM)
        await asyncio.sleep(0.6)

    upstream.does(fall_silent)

    answer = send(upstream.url, {}, timeout=0.2)

    assert answer.broken == "it had not ended after 0.2 s"
    assert len(answer.events) == 2


@contextlib.contextmanager
def _trickling(data: bytes, size: int, *, at_once: bytes = b"") -> Iterator[str]:
    """Answer one connection with `at_once`, then `data`, over and over, so many bytes at a time."""

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(at_once)
            for index in itertools.cycle(range(0, len(data), size)):
                connection.sendall(data[index : index + size])
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=[listener])
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b": \n\n" * 20_000, r"it went on after \d+,\d{3} bytes and [5-9]\d,\d{3} events"),
        (b"x" * 1_000_000, r"it went on after 1\d,\d{3},\d{3} bytes and 0 events"),
    ],
    ids=["events", "bytes"],
)
def test_an_answer_that_floods_is_given_up(upstream: Upstream, data: bytes, told: str) -> None:
    async def flood(say: Say) -> None:
        while True:
            await say(data)
            await asyncio.sleep(0)  # it would not, to a client that has left

    upstream.does(flood)

    answer = send(upstream.url, {}, timeout=10)

    assert re.fullmatch(told, answer.broken or "")


def test_data_that_is_nested_too_deeply_is_none() -> None:
    (event,) = read_events(b"data: " + b"[" * 100_000 + b"\n\n")

    assert event.data is None


def test_an_answer_that_is_no_stream_is_text(upstream: Upstream) -> None:
    headers = {"content-type": "application/json"}
    upstream.does(saying(b'{"error":{"message":"n\xc3\xb6"}}'), status=400, headers=headers)

    answer = send(upstream.url, {})

    assert (answer.status, answer.content_type) == (400, "application/json")
    assert answer.text == '{"error":{"message":"nö"}}'


def test_the_text_of_a_long_answer_is_its_start(upstream: Upstream) -> None:
    upstream.does(saying(STREAM + b"x" * 10_000))

    answer = send(upstream.url, {})

    assert answer.text == (STREAM.decode() + "x" * 2000)[:2000]


def test_nothing_that_answers_is_an_error() -> None:
    with pytest.raises(httpx.ConnectError):
        send(closed_url(), {})


# --- as it comes ---------------------------------------------------------------------------------


def test_a_reader_tells_each_event_as_soon_as_it_is_whole() -> None:
    reader = EventReader()
    stream = CREATED + b"\n\n" + COMPLETED + b"\n\n" + CREATED[:7]

    told = [(at, event.type) for at in range(len(stream)) for event in reader.feed(stream[at:][:1])]

    assert told == [
        (len(CREATED) + 1, "response.created"),
        (len(CREATED + COMPLETED) + 3, "response.completed"),
    ]
    assert reader.rest == CREATED[:7]


def test_events_have_the_times_at_which_they_came(upstream: Upstream) -> None:
    told = threading.Event()

    async def wait_between(say: Say) -> None:
        await say(CREATED + b"\n\n")
        # Nobody tells: this takes its whole time.
        await asyncio.to_thread(told.wait, 0.1)
        await say(COMPLETED + b"\n\n" + CREATED + b"\n\n")

    upstream.does(wait_between)

    first, second, third = send(upstream.url, {}).events

    assert first.at > 0
    assert 95 < second.at - first.at < 1000
    assert second.at == third.at


# --- a request -----------------------------------------------------------------------------------


def test_a_request_is_json_for_a_stream_with_a_credential_of_the_clients_own(
    upstream: Upstream,
) -> None:
    upstream.does(saying(STREAM))

    send(upstream.url, {"input": "é", "stream": True})

    (request,) = upstream.requests
    assert request.path == "/v1/responses"
    assert json.loads(request.body) == {"input": "é", "stream": True}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == "Bearer the-clients-own-credential"
    assert request.headers["accept-encoding"] == "identity"


def test_a_request_can_go_to_another_path(upstream: Upstream) -> None:
    upstream.does(saying(STREAM))

    send(upstream.url, {}, path="/responses")

    assert upstream.requests[0].path == "/responses"


def test_a_request_goes_straight_to_where_it_is_sent(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.does(saying(STREAM))
    monkeypatch.setenv("HTTP_PROXY", closed_url())

    assert send(upstream.url, {}).status == 200
