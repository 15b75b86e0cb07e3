"""The server below providers, emulator and broken proxies."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from harness.server import BreakConnection, LoopbackServer, Receive, Scope, Send
from tests.unit.harness.backends import received
from tests.unit.harness.upstreams import Say, Upstream, raw_answer, saying


def test_each_body_message_is_one_http_chunk(upstream: Upstream) -> None:
    upstream.does(saying(b"one", b"three"))

    raw = raw_answer(upstream.url + "/")

    assert raw.partition(b"\r\n\r\n")[2] == b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"


def test_it_says_nothing_of_itself(upstream: Upstream) -> None:
    upstream.does(saying(b"one"))

    raw = raw_answer(upstream.url + "/")

    head = raw.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nserver:" not in head
    assert b"\r\ndate:" not in head


def test_it_ends_at_once_though_a_client_keeps_its_connection() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    def ending() -> float:
        with httpx.Client(trust_env=False) as client:
            with LoopbackServer(answer) as server:
                client.get(server.url)
                began = time.perf_counter()
            return time.perf_counter() - began

    # A tenth of a second is what uvicorn's own takes at the least.
    assert min(ending() for _ in range(5)) < 0.08


def test_it_ends_though_a_client_does_not_take_what_it_is_sent() -> None:
    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})

    before = threading.active_count()
    with LoopbackServer(flood) as server:
        connection = connected(server.url)
        connection.recv(1)
    with connection:
        assert threading.active_count() == before


def test_one_that_has_not_begun_yet_ends() -> None:
    before = threading.active_count()
    for _ in range(20):
        with LoopbackServer(answer_nothing):
            pass
    assert threading.active_count() == before


def test_a_connection_can_be_broken_on_purpose(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_off(say: Say) -> None:
        await say(b"one")
        raise BreakConnection

    upstream.does(break_off)

    raw = raw_answer(upstream.url + "/")

    assert raw.partition(b"\r\n\r\n")[2] == b"3\r\none\r\n"
    assert caplog.records == []


def test_a_connection_can_be_reset_on_purpose(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    async def reset(say: Say) -> None:
        await say(b"one")
        raise BreakConnection(reset=True)

    upstream.does(reset)

    with connected(upstream.url) as connection:
        body, error = received(connection)

    assert error is ConnectionResetError
    # What was sent before it has arrived.
    assert body == b"3\r\none\r\n"
    assert caplog.records == []


async def answer_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise BreakConnection(reset=scope["path"] == "/reset")


def test_a_connection_can_be_broken_before_any_answer(caplog: pytest.LogCaptureFixture) -> None:
    with LoopbackServer(answer_nothing) as server:
        with connected(server.url) as connection:
            assert connection.recv(65536) == b""
        with connected(server.url, "/reset") as connection, pytest.raises(ConnectionResetError):
            connection.recv(65536)
        # It is none the worse for it.
        with connected(server.url) as connection:
            assert connection.recv(65536) == b""

    assert caplog.records == []


def connected(url: str, path: str = "/") -> socket.socket:
    """Return a connection over which a request was sent."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
    return connection


def test_a_fault_of_the_application_is_logged(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(say: Say) -> None:
        await say(b"one")
        raise RuntimeError("by mistake")

    upstream.does(fail)

    raw_answer(upstream.url + "/")

    assert "by mistake" in caplog.text


def test_servers_do_not_get_in_each_others_way(upstream: Upstream) -> None:
    upstream.does(saying(b"one"))

    with Upstream() as another:
        another.does(saying(b"two"))
        assert httpx.get(upstream.url, trust_env=False).text == "one"
        assert httpx.get(another.url, trust_env=False).text == "two"


def test_nothing_listens_after_it() -> None:
    with Upstream() as server:
        url = server.url

    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
