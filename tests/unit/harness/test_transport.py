"""Recording changes nothing for whoever reads, and a replay is as the recording was."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.cassette import open_cassette
from harness.server import BreakConnection
from harness.transport import Miss, difference
from tests.unit.harness.handmade import URL, request, response, write
from tests.unit.harness.upstreams import JSON, Say, Seen, Upstream, fetch, saying


def record(path: Path, upstream: Upstream, **more: Any) -> Seen:
    """Record one request to `upstream` in a new cassette at `path`."""
    with open_cassette(path, record=True) as cassette:
        return fetch(cassette, upstream.url + "/v1/x", record=True, **more)


def replay(path: Path, **more: Any) -> Seen:
    """Send the recorded request again, to the cassette alone."""
    with open_cassette(path) as cassette:
        url = cassette.requests[0].uri
        return fetch(cassette, url, **more)


# --- recording -----------------------------------------------------------------------------------


def test_the_client_sees_each_chunk_before_the_next_one_is_sent(
    tmp_path: Path, upstream: Upstream
) -> None:
    read = [threading.Event() for _ in range(3)]
    waits: list[bool] = []

    async def one_for_each_that_was_read(say: Say) -> None:
        for number, event in enumerate(read):
            await say(b"%d" % number)
            waits.append(await asyncio.to_thread(event.wait, 10))

    upstream.does(one_for_each_that_was_read)
    seen = record(tmp_path / "c.yaml", upstream, on_chunk=lambda chunk: read[int(chunk)].set())

    assert seen.chunks == [b"0", b"1", b"2"]
    # Each was read while the upstream still held the next one back.
    assert waits == [True, True, True]


def test_what_was_recorded_is_replayed_chunk_by_chunk(tmp_path: Path, upstream: Upstream) -> None:
    euro = "€".encode()
    chunks = [b"data: one\n\ndata: t", b"wo\n\n", b"data: " + euro[:1], euro[1:] + b"\r\n\r\n"]

    upstream.does(saying(*chunks))
    recorded = record(tmp_path / "c.yaml", upstream)
    replayed = replay(tmp_path / "c.yaml")

    assert recorded.chunks == replayed.chunks == chunks
    assert replayed.status == 200
    assert replayed.headers["content-type"] == "text/event-stream"
    assert replayed.broken is None


def test_a_stream_that_was_cut_is_replayed_as_cut(tmp_path: Path, upstream: Upstream) -> None:
    async def cut(say: Say) -> None:
        await say(b"data: one\n\n")
        await say(b"data: tw")
        raise BreakConnection

    upstream.does(cut)
    recorded = record(tmp_path / "c.yaml", upstream)
    replayed = replay(tmp_path / "c.yaml")

    assert recorded.chunks == replayed.chunks == [b"data: one\n\n", b"data: tw"]
    assert isinstance(recorded.broken, httpx.RemoteProtocolError)
    assert isinstance(replayed.broken, httpx.RemoteProtocolError)
    assert end_of(tmp_path / "c.yaml") == "cut"


def test_a_stream_that_was_reset_is_replayed_as_reset(tmp_path: Path) -> None:
    read = threading.Event()

    with open_cassette(tmp_path / "c.yaml", record=True) as cassette, resetting(read) as url:
        recorded = fetch(cassette, url, record=True, on_chunk=lambda chunk: read.set())
    replayed = replay(tmp_path / "c.yaml")

    assert recorded.chunks == replayed.chunks == [b"hello"]
    assert isinstance(recorded.broken, httpx.ReadError)
    assert isinstance(replayed.broken, httpx.ReadError)
    assert end_of(tmp_path / "c.yaml") == "reset"


def test_a_stream_that_fell_silent_is_replayed_as_a_timeout(
    tmp_path: Path, upstream: Upstream
) -> None:
    over = threading.Event()

    async def fall_silent(say: Say) -> None:
        await say(b"hello")
        await asyncio.to_thread(over.wait, 10)

    upstream.does(fall_silent)
    recorded = record(tmp_path / "c.yaml", upstream, timeout=0.2)
    over.set()
    replayed = replay(tmp_path / "c.yaml")

    assert recorded.chunks == replayed.chunks == [b"hello"]
    assert isinstance(recorded.broken, httpx.ReadTimeout)
    assert isinstance(replayed.broken, httpx.ReadTimeout)
    assert end_of(tmp_path / "c.yaml") == "timeout"


def test_a_stream_that_the_client_left_is_recorded_up_to_there(
    tmp_path: Path, upstream: Upstream
) -> None:
    class Left(Exception):
        pass

    def leave(chunk: bytes) -> None:
        raise Left

    over = threading.Event()

    async def go_on(say: Say) -> None:
        await say(b"hello")
        await asyncio.to_thread(over.wait, 10)

    upstream.does(go_on)
    with open_cassette(tmp_path / "c.yaml", record=True) as cassette, pytest.raises(Left):
        fetch(cassette, upstream.url, record=True, on_chunk=leave)
    over.set()

    assert end_of(tmp_path / "c.yaml") == "abandoned"
    assert replay(tmp_path / "c.yaml").chunks == [b"hello"]


def test_an_error_is_recorded_with_its_status_and_when_to_come_back(
    tmp_path: Path, upstream: Upstream
) -> None:
    headers = {"content-type": "application/json", "retry-after": "54"}

    upstream.does(saying(b'{"message":"no"}'), status=429, headers=headers)
    record(tmp_path / "c.yaml", upstream)
    replayed = replay(tmp_path / "c.yaml")

    assert (replayed.status, replayed.chunks) == (429, [b'{"message":"no"}'])
    assert replayed.headers["retry-after"] == "54"


def test_no_secret_gets_into_the_file(tmp_path: Path, upstream: Upstream) -> None:
    secrets = {
        "authorization": "Bearer csk-secret-1",
        "cookie": "session=secret-2",
        "x-api-key": "secret-3",
    }
    answered = {"set-cookie": "__cf_bm=secret-4", "x-request-id": "secret-5"}
    kept = {"content-type": "text/event-stream", "x-ratelimit-limit-requests-day": "7200"}

    upstream.does(saying(b"hello"), headers={**answered, **kept})
    seen = record(tmp_path / "c.yaml", upstream, headers={**JSON, **secrets})
    sent = upstream.requests[0].headers

    text = (tmp_path / "c.yaml").read_text(encoding="utf-8").lower()
    assert "secret" not in text
    assert not [name for name in (*secrets, *answered) if name in text]
    assert "x-ratelimit-limit-requests-day" in text
    # Upstream and client had them all the same.
    assert sent.items() >= secrets.items()
    assert seen.headers["set-cookie"] == "__cf_bm=secret-4"


def end_of(path: Path) -> str:
    with open_cassette(path) as cassette:
        return str(cassette.responses[0]["stream"]["end"])


@contextmanager
def resetting(read: threading.Event) -> Iterator[str]:
    """Serve one answer, and reset its connection once its first chunk was `read`."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
            )
            read.wait(10)
            # To close without lingering is to reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(timeout=10)


# --- which recording answers ---------------------------------------------------------------------


def test_the_order_of_keys_and_white_space_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(b'{"a":1,"b":[{"c":2,"d":3}]}'), response(b"x")))

    with open_cassette(path) as cassette:
        seen = fetch(cassette, URL, content=b'{ "b": [{"d": 3, "c": 2}],\n "a": 1 }')

    assert seen.chunks == [b"x"]


def test_the_order_of_a_list_matters(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(b'{"a":[1,2]}'), response(b"x")))

    with open_cassette(path) as cassette, pytest.raises(Miss):
        fetch(cassette, URL, content=b'{"a":[2,1]}')


def test_the_host_does_not_matter_but_the_path_does(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    with open_cassette(path) as cassette:
        with pytest.raises(Miss, match="endpoint differs"):
            fetch(cassette, "http://elsewhere/v1/responses", content=request().body)
        seen = fetch(cassette, "https://elsewhere/v1/chat/completions", content=request().body)

    assert seen.chunks == [b"x"]


def test_by_turn_any_request_gets_the_next_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"one")), (request(), response(b"two")))

    with open_cassette(path, match="turn") as cassette:
        first = fetch(cassette, "http://a/b", content=b'{"worded":"otherwise"}')
        second = fetch(cassette, "http://c/d", content=b"no JSON", headers={})
        assert cassette.all_played

    assert first.chunks + second.chunks == [b"one", b"two"]


def test_by_turn_there_is_no_turn_after_the_last(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"one")))

    with open_cassette(path, match="turn") as cassette:
        fetch(cassette, URL)
        with pytest.raises(Miss):
            fetch(cassette, URL)


def test_requests_that_are_alike_get_their_recordings_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"one")), (request(), response(b"two")))

    with open_cassette(path) as cassette:
        seen = [fetch(cassette, URL, content=request().body).chunks for _ in range(2)]

    assert seen == [[b"one"], [b"two"]]


def test_a_recording_is_played_once(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"one")))

    with open_cassette(path) as cassette:
        fetch(cassette, URL, content=request().body)
        with pytest.raises(Miss, match="already been played back"):
            fetch(cassette, URL, content=request().body)


def missed(path: Path, *bodies: bytes) -> str:
    """Return what is told of the last of these requests, which is a miss."""
    *before, last = bodies
    with open_cassette(path) as cassette:
        for body in before:
            fetch(cassette, URL, content=body)
        with pytest.raises(Miss) as raised:
            fetch(cassette, URL, content=last)
    return difference(raised.value)


def test_a_miss_names_the_difference(tmp_path: Path) -> None:
    recorded = request(b'{"model":"m","stream":true}')
    path = write(tmp_path / "c.yaml", (recorded, response(b"x")))

    told = missed(path, b'{"model":"m","stream":false}')

    assert told == (
        "POST /v1/chat/completions is in no recording; interaction 1 is the nearest, but for:\n"
        "  $.stream: recorded as true, asked as false"
    )


def test_a_miss_names_the_difference_to_the_nearest_recording(tmp_path: Path) -> None:
    far = request(json.dumps(dict.fromkeys("abcdefghijkl", 0)).encode())
    near = request(b'{"a": 1, "b": 2}')
    path = write(tmp_path / "c.yaml", (far, response(b"x")), (near, response(b"x")))

    told = missed(path, b'{"a": 1, "b": 3}')

    assert told.endswith("interaction 2 is the nearest, but for:\n  $.b: recorded as 2, asked as 3")


def test_a_miss_that_differs_in_much_says_how_much(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(b"{}"), response(b"x")))

    told = missed(path, json.dumps(dict.fromkeys("abcdefghijkl", 0)).encode())

    assert told.endswith("$.j: not recorded, asked as 0\n  ... and 2 more")


def test_a_request_that_came_too_often_is_told_as_such(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    told = missed(path, request().body, request().body)

    assert told == "POST /v1/chat/completions came once more than it was recorded"
