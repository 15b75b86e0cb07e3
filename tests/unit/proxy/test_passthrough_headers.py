"""The ChatGPT backend: which headers reach it, and which come back."""

from __future__ import annotations

import sys

import httpx
import pytest

from harness.subject import OwnProxy
from tests.unit.proxy.backend import (
    Backend,
    answers,
    connect,
    exchange,
    passing_to,
)
from tests.unit.proxy.provider import KEY, bare_provider, reply

if sys.version_info >= (3, 14):
    pass
else:
    pass

Headers = list[tuple[bytes, bytes]]

EVENT = b'event: response.created\ndata: {"type":"response.created"}\n\n'
BINARY = bytes(range(256)) * 5
JSON: Headers = [(b"content-type", b"application/json")]


def test_a_request_goes_out_as_it_came_and_nothing_is_added() -> None:
    lines = (
        b"user-agent: codex_exec/0.169.0 (Debian 12.0.0; x86_64)\r\n"
        b"authorization: Bearer the-clients\r\n"
        b"cookie: a=1; b=2\r\n"
        b"x-codex-turn-state: gAAAAA==\r\n"
        b"x-two: 1\r\n"
        b"cookie: a=3\r\n"
        b"x-two: 2, 3\r\n"
        b"chatgpt-account-id: 6f\xc3\xa9\r\n"
        b"x-empty: \r\n"
    )
    with (
        bare_provider(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n") as (url, asked),
        passing_to(url) as proxy,
    ):
        exchange(proxy, b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n" + lines + b"\r\n")
        exchange(proxy, b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n")

    host = url.removeprefix("http://").removesuffix("/v1").encode()
    first = b"GET /v1/models HTTP/1.1\r\nHost: " + host + b"\r\n"
    assert asked == [first + lines + b"\r\n", first + b"\r\n"]


def test_a_body_gets_no_header_that_it_did_not_have(proxy: OwnProxy, backend: Backend) -> None:
    backend.answer = reply(200)
    request = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"

    exchange(proxy, request + b"content-length: 2\r\nx-last: 1\r\n\r\n{}")
    exchange(proxy, request + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    exchange(proxy, request + b"content-length: 0\r\n\r\n")

    with_length, chunked, empty = backend.seen
    assert with_length.headers[1:] == [(b"content-length", b"2"), (b"x-last", b"1")]
    assert chunked.headers[1:] == [(b"content-length", b"2")]
    assert empty.headers[1:] == [(b"content-length", b"0")]
    assert [seen.body for seen in backend.seen] == [b"{}", b"{}", b""]


def test_an_answers_headers_come_back_in_order_and_none_is_added(
    proxy: OwnProxy, backend: Backend
) -> None:
    headers = [
        (b"date", b"Sun, 22 Nov 2026 10:00:00 GMT"),
        (b"content-type", b"text/event-stream"),
        (b"set-cookie", b"a=1; Path=/; HttpOnly"),
        (b"x-codex-primary-used-percent", b"50"),
        (b"x-codex-turn-state", b"gAAAAA=="),
        (b"set-cookie", b"b=2, c=3"),
        (b"x-long", b"x" * 20_000),
        (b"x-latin", b"\xe9"),
        (b"x-empty", b""),
        (b"server", b"cloudflare"),
    ]
    backend.answer = answers(200, headers, EVENT)

    head, _ = exchange(
        proxy, b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )

    lines = [name + b": " + value for name, value in headers]
    framing = [b"connection: close", b"transfer-encoding: chunked"]
    assert head.split(b"\r\n") == [b"HTTP/1.1 200 OK", *lines, *framing]


HOP_BY_HOP = [
    (b"keep-alive", b"timeout=5"),
    (b"proxy-authenticate", b"Basic"),
    (b"proxy-authorization", b"Basic eDp5"),
    (b"proxy-connection", b"keep-alive"),
    (b"te", b"trailers"),
    (b"trailer", b"x-sum"),
    (b"x-named", b"1"),
    (b"x-other", b"2"),
]


def test_headers_of_one_connection_stay_on_it(proxy: OwnProxy, backend: Backend) -> None:
    kept = (b"x-kept", b"3")
    backend.answer = answers(
        200,
        [*HOP_BY_HOP, (b"connection", b"X-Named , close"), (b"connection", b"x-other"), kept],
    )
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in [*HOP_BY_HOP, kept])

    head, _ = exchange(
        proxy,
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close, x-Named\r\n"
        b"connection: X-OTHER\r\n" + lines + b"content-length: 0\r\n\r\n",
    )

    (seen,) = backend.seen
    assert seen.headers[1:] == [kept, (b"content-length", b"0")]
    framing = [b"connection: close", b"transfer-encoding: chunked"]
    assert head.split(b"\r\n") == [b"HTTP/1.1 200 OK", b"x-kept: 3", *framing]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(
    proxy: OwnProxy, backend: Backend
) -> None:
    backend.answer = reply(200)

    head, body = exchange(
        proxy,
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
    )

    assert head == b"HTTP/1.1 100 Continue"
    assert body.startswith(b"HTTP/1.1 200 OK\r\n")
    (seen,) = backend.seen
    assert (seen.headers[1:], seen.body) == ([(b"content-length", b"2")], b"{}")


@pytest.mark.parametrize(("method", "offered"), [(b"POST", b"websocket"), (b"GET", b"h2c")])
def test_an_upgrade_that_is_no_websocket_is_left_out(
    proxy: OwnProxy, backend: Backend, method: bytes, offered: bytes
) -> None:
    """HTTP/2 is what `curl --http2` offers with each request."""
    backend.answer = reply(200)

    exchange(
        proxy,
        method + b" /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\n"
        b"upgrade: " + offered + b"\r\ncontent-length: 0\r\n\r\n",
    )

    (seen,) = backend.seen
    assert seen.headers[1:] == [(b"content-length", b"0")]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    "framed",
    [b"content-length: 2\r\n\r\n{}", b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    ids=["length", "chunks"],
)
def test_a_request_that_offers_an_upgrade_keeps_its_body(
    proxy: OwnProxy, backend: Backend, framed: bytes, split: bool
) -> None:
    """As `curl --http2 -d` sends it; each of them is answered, and the next is the next."""
    backend.answer = reply(200)
    line = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nx-name: 1\r\n"
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    last = line + b"connection: close\r\ncontent-length: 4\r\n\r\nlast"
    wire = (line + offer + framed) * 2 + last

    with connect(proxy) as connection:
        for piece in [bytes([byte]) for byte in wire] if split else [wire]:
            connection.sendall(piece)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert [seen.body for seen in backend.seen] == [b"{}", b"{}", b"last"]
    kept = [(b"x-name", b"1"), (b"content-length", b"2")]
    assert [seen.headers[1:] for seen in backend.seen[:2]] == [kept] * 2


def test_a_header_that_is_no_text_passes_as_it_is(proxy: OwnProxy, backend: Backend) -> None:
    backend.answer = reply(200)

    exchange(
        proxy,
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-name: \xe9\r\n\r\n",
    )

    assert backend.seen[0].header(b"x-name") == [b"\xe9"]


def test_the_backend_is_named_by_its_own_host(http: httpx.Client, backend: Backend) -> None:
    backend.answer = reply(200)

    http.get("/v1/models", headers={"host": "localhost:1"})

    ((_, host), *_) = backend.seen[0].headers
    assert host.startswith(b"127.0.0.1:")


def test_no_cookie_is_kept_and_no_key_is_sent(http: httpx.Client, backend: Backend) -> None:
    backend.answer = answers(200, [(b"set-cookie", b"session=1; Path=/")])

    http.post("/v1/responses", json={})
    http.cookies.clear()
    http.post("/v1/responses", json={})

    assert [seen.header(b"cookie") for seen in backend.seen] == [[], []]
    assert [seen.header(b"authorization") for seen in backend.seen] == [[], []]
    assert KEY not in repr(backend.seen)
