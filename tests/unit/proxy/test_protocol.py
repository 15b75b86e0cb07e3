"""The bounds of a request, on bare connections: heads, bodies, nesting, and their time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from harness.subject import OwnProxy
from proxy.asgi import Client
from proxy.protocol import Protocol
from proxy.settings import Settings
from tests.unit.proxy.provider import PATIENCE, Provider, stream, stream_until
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import Json, finishes, says

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
HELLO = stream(says("Hello.") + finishes())
LINE = b"POST /responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"

#: Seconds that a hasty proxy waits.
HASTE = 0.3


class Hasty(Protocol):
    """What the proxy speaks, with less patience than a test has."""

    patience = HASTE


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), PATIENCE) as connection:
        yield connection


def answer_to(url: str, *pieces: bytes) -> bytes:
    """Send `pieces` and return what comes until the proxy closes the connection."""
    answer = b""
    with connected(url) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            pass  # it closed while this still sent
    return answer


def send_all(url: str, *pieces: bytes, every: float = 0) -> None:
    """Send `pieces` as long as they are taken, one every so many seconds."""
    with connected(url) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(every)


@pytest.fixture
def hasty(provider_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A proxy that soon has enough of waiting for a request; its URL."""
    monkeypatch.setattr(Client, "patience", HASTE)
    settings = Settings(api_key="csk-unused", base_url=provider_url)
    with serving(settings, Hasty) as client:
        yield str(client.base_url)


# --- heads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/responses?" + "x" * 17_000, "/" + "x" * 17_000], ids=["query", "path"]
)
def test_a_url_that_is_too_long_is_refused(running: OwnProxy, path: str) -> None:
    answer = answer_to(running.url, f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 414 ")
    assert b'"message":"The URL is longer than 16384 bytes."' in answer


@pytest.mark.parametrize(
    "headers",
    [b"x: " + b"x" * 70_000 + b"\r\n", b"x: y\r\n" * 40_000],
    ids=["one", "many"],
)
def test_a_head_that_is_too_long_is_refused(running: OwnProxy, headers: bytes) -> None:
    answer = answer_to(running.url, LINE + headers + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"message":"The head of the request is longer than 65536 bytes."' in answer


def test_a_head_without_end_is_not_kept(running: OwnProxy) -> None:
    endless = [b"x" * 65536] * 1000

    with pytest.raises(ConnectionError):
        send_all(running.url, LINE + b"x: ", *endless)


def test_a_long_head_is_taken(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = HELLO

    for _ in range(3):
        answer = client.post("/responses", json=REQUEST, headers={"x-codex-turn": "x" * 60_000})
        assert answer.status_code == 200


def test_what_is_no_http_is_refused(running: OwnProxy) -> None:
    answer = answer_to(running.url, b"nonsense\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close\r\n" in answer


# --- their time ----------------------------------------------------------------------------------


def test_a_connection_without_a_request_is_closed(hasty: str) -> None:
    assert answer_to(hasty) == b""


@pytest.mark.parametrize("head", [LINE[:10], LINE])
def test_a_head_that_stops_is_not_waited_for(hasty: str, head: bytes) -> None:
    answer = answer_to(hasty, head)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The head of the request took longer than 0.3 s." in answer


def test_a_head_that_drips_is_not_waited_for(hasty: str) -> None:
    drips = [b"x"] * 100

    with pytest.raises(ConnectionError):
        send_all(hasty, LINE + b"x: ", *drips, every=HASTE / 10)


def test_a_body_that_stops_is_not_waited_for(hasty: str, upstream: Provider) -> None:
    answer = answer_to(hasty, LINE + b"content-length: 9\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body of the request stopped for 0.3 s." in answer
    assert upstream.seen == []


def test_a_body_may_take_its_time(hasty: str, upstream: Provider) -> None:
    upstream.answer = HELLO
    body = json.dumps(REQUEST).encode()

    with connected(hasty) as connection:
        connection.sendall(LINE + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 8):
            connection.sendall(body[at : at + 8])
            time.sleep(HASTE / 5)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert b"response.completed" in answer


def test_a_long_answer_is_no_slow_request(hasty: str, upstream: Provider) -> None:
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("Hel"), says("lo") + finishes())
    body = json.dumps(REQUEST).encode()

    with connected(hasty) as connection:
        connection.sendall(LINE + b"content-length: %d\r\n\r\n" % len(body) + body)
        connection.sendall(b"\r\n")  # after the body, as some clients do
        time.sleep(3 * HASTE)
        going_on.set()
        answer = b""
        while b"response.completed" not in answer:
            answer += connection.recv(65536)

    assert b"HTTP/1.1 408" not in answer  # ids may have those digits too


# --- nesting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 900, 1100, 100_000])
@pytest.mark.parametrize("field", ["metadata", "text", "tools", "tool_choice", "input"])
def test_nesting_is_answered_or_refused(
    client: httpx.Client, upstream: Provider, field: str, depth: int
) -> None:
    upstream.answer = HELLO
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    if field in ("tools", "input"):
        nested = b"[" + nested + b"]"
    body = b'{"model":"m","stream":true,"input":"x","%s":%s}' % (field.encode(), nested)

    response = client.post("/responses", content=body)

    assert response.status_code in (200, 400), response.text
    assert client.get("/health").status_code == 200
