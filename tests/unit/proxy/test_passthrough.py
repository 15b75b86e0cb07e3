"""The ChatGPT backend: what reaches it, what comes back, and that neither was touched."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator

import httpx
import pytest

from harness.subject import OwnProxy
from tests.unit.proxy.backend import (
    BASE,
    Backend,
    answers,
    connect,
    exchange,
    passing_to,
    passing_to_new_backend,
)
from tests.unit.proxy.provider import KEY, PATIENCE, Provider, bare_provider, reply, stream
from tests.unit.proxy.streams import final, finishes, read, says

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Headers = list[tuple[bytes, bytes]]

EVENT = b'event: response.created\ndata: {"type":"response.created"}\n\n'
BINARY = bytes(range(256)) * 5
JSON: Headers = [(b"content-type", b"application/json")]


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Backend, OwnProxy]]:
    with passing_to_new_backend() as both:
        yield both


@pytest.fixture
def backend(started: tuple[Backend, OwnProxy]) -> Backend:
    started[0].seen.clear()
    return started[0]


@pytest.fixture
def proxy(started: tuple[Backend, OwnProxy]) -> OwnProxy:
    return started[1]


@pytest.fixture
def http(proxy: OwnProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=PATIENCE, trust_env=False) as http:
        yield http


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/responses", "/responses"),
        ("/responses", "/responses"),
        ("/v1/responses/compact", "/responses/compact"),
        ("/v1/models?client_version=0.169.0", "/models?client_version=0.169.0"),
        ("/v1/images/generations", "/images/generations"),
        ("/alpha/search", "/alpha/search"),
        ("/v1/responses/", "/responses/"),
        ("/v1", ""),
        ("/v1/", "/"),
        ("/v1/v1/x", "/v1/x"),
        ("/v1beta/x", "/v1beta/x"),
        ("/v1/health", "/health"),
        ("/v1/...", "/..."),
        ("/v1/a%20.%20b", "/a%20.%20b"),
        ("/v1/.well-known/a..b", "/.well-known/a..b"),
        ("/v1/a%20b/%C3%A9%7e~?q=%7E+%2F&q=/../#x", "/a%20b/%C3%A9%7e~?q=%7E+%2F&q=/../"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_lies_below_the_base_without_its_v1_and_with_its_query(
    proxy: OwnProxy, backend: Backend, method: str, path: str, target: str
) -> None:
    backend.answer = reply(200, b"here")

    head, body = exchange(
        proxy, f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    )

    (seen,) = backend.seen
    assert (seen.method, seen.target) == (method, BASE + target)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"here" in body


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../codex-secrets",
        "/v1/../../x",
        "/v1/./x",
        "/v1/x/..",
        "/v1/%2e%2E/x",
        "/v1/.%2e/x",
        "/v1/%2e/x",
        "/v1/x%2f..%2f..%2fy",
        "/v1/x%5c..%5cy",
        "/v1/x\\..\\y",
        "/v1/..;a=b/x",
        "/v1/..%3Ba/x",
        "/v1/%252e%252e/x",
        "/v1/..%00/x",
        "/v1/..%20/x",
        "/v1/.%20./x",
        "/v1/%20.%20.%20",
        "/v1/%c0%ae%c0%ae/x",
        "/v1/..%c0%afx",
        "/v1/%e0%80%ae./x",
        "/v1/%ff/x",
        "/v1/%09../x",
        "//example.com/x",
        "/v1//example.com",
        "/v1/%2Fexample.com",
        "/v1/x//",
        "*",
    ],
)
def test_a_path_that_could_lead_out_of_the_base_is_not_found(
    proxy: OwnProxy, backend: Backend, path: str
) -> None:
    head, body = exchange(
        proxy, f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    )

    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["error"]["message"].startswith("There is no GET ")
    assert backend.seen == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://example.com/x", 200),  # whose server it names does not matter
        ("http://example.com", 400),
        ("example.com:443", 400),
        ("@example.com/x", 400),
        ("%2Fexample.com/x", 400),
    ],
)
def test_no_form_of_a_target_reaches_another_host(
    proxy: OwnProxy, backend: Backend, target: str, status: int
) -> None:
    backend.answer = reply(200)

    head, _ = exchange(
        proxy, f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    )

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert [seen.target for seen in backend.seen] == ([BASE + "/x"] if status == 200 else [])


def test_health_is_the_proxys_own(http: httpx.Client, backend: Backend) -> None:
    answer = http.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
    assert http.head("/health").status_code == 200
    assert http.post("/health").status_code == 405
    assert backend.seen == []


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/realtime"])
def test_a_websocket_is_refused_so_that_codex_goes_on_over_http(
    http: httpx.Client, backend: Backend, path: str
) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}

    answer = http.get(path, headers=headers)

    assert answer.status_code == 426
    assert answer.json()["error"]["message"] == "There are no WebSockets here: POST, please."
    assert backend.seen == []


# --- headers -------------------------------------------------------------------------------------


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


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"zstd", zstd.compress(EVENT * 100)),
        (b"gzip", gzip.compress(EVENT * 100)),
        (b"gzip", b"no gzip at all"),
        (b"br", BINARY),
        (None, BINARY),
        (None, b"x" * 5_000_000),
    ],
    ids=["zstd", "gzip", "broken gzip", "br", "binary", "5 MB"],
)
def test_a_body_is_the_same_on_both_ways_and_so_is_its_encoding(
    http: httpx.Client, backend: Backend, encoding: bytes | None, body: bytes
) -> None:
    encodings = [] if encoding is None else [(b"content-encoding", encoding)]
    backend.answer = answers(200, encodings, body[:7], body[7:])

    with http.stream("POST", "/v1/responses", content=body, headers=encodings) as answer:
        received = b"".join(answer.iter_raw())

    (seen,) = backend.seen
    assert seen.body == body
    assert seen.header(b"content-encoding") == [value for _, value in encodings]
    assert received == body
    assert answer.headers.get("content-encoding", "").encode() == (encoding or b"")


def test_what_is_asked_of_a_compressor_is_the_clients_to_say(
    http: httpx.Client, backend: Backend
) -> None:
    backend.answer = reply(200)

    http.get("/v1/models", headers={"accept-encoding": "br;q=0.5, zstd"})

    assert backend.seen[0].header(b"accept-encoding") == [b"br;q=0.5, zstd"]


@pytest.mark.parametrize("length", [30_000, 1_000_000])
def test_a_line_may_be_long(http: httpx.Client, backend: Backend, length: int) -> None:
    line = b'data: {"type":"response.created","instructions":"' + b"x" * length + b'"}\n\n'
    backend.answer = stream(line[:100], line[100:-1], line[-1:])

    assert http.post("/v1/responses", json={}).content == line


def test_what_nobody_knows_is_passed_on(http: httpx.Client, backend: Backend) -> None:
    odd = b": ping\r\n\r\nevent: codex.unheard_of\ndata: {no JSON\n\n\x00\xff data: [DONE]"
    backend.answer = stream(odd)

    assert http.post("/v1/responses", json={}).content == odd


# --- statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b""),
        (400, b'{"detail":"The \'gpt-5.2-codex\' model is not supported."}'),
        (401, b'{"detail":"Could not parse your authentication token."}'),
        (403, b"<html>Just a moment...</html>"),
        (404, b'{"detail":"Not Found"}'),
        (429, b'{"error":{"type":"usage_limit_reached","resets_in_seconds":7}}'),
        (500, b""),
        (503, b'{"error":{"code":"server_is_overloaded"}}'),
        (529, b"busy"),
    ],
)
def test_a_status_and_its_body_come_back_as_they_are(
    http: httpx.Client, backend: Backend, status: int, body: bytes
) -> None:
    length = (b"content-length", str(len(body)).encode())
    backend.answer = answers(status, [*JSON, (b"retry-after", b"7"), length], body)

    answer = http.post("/v1/responses", json={})

    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.raw == [*JSON, (b"retry-after", b"7"), length]
    assert len(backend.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_the_clients_to_follow(
    http: httpx.Client, backend: Backend, status: int
) -> None:
    backend.answer = answers(status, [(b"location", b"http://127.0.0.1:1/x")])

    answer = http.post("/v1/responses", json={})

    assert answer.status_code == status
    assert answer.headers["location"] == "http://127.0.0.1:1/x"
    assert len(backend.seen) == 1


def test_the_head_of_an_answer_comes_back_alone(http: httpx.Client, backend: Backend) -> None:
    backend.answer = answers(200, [(b"content-length", b"7")])

    answer = http.head("/v1/models")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "7"
    assert backend.seen[0].method == "HEAD"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_has_none_and_the_connection_goes_on(status: bytes) -> None:
    wire = b"HTTP/1.1 %b\r\netag: x\r\ncontent-length: 7\r\nconnection: close\r\n\r\n" % status
    with (
        bare_provider(wire) as (url, _),
        passing_to(url) as proxy,
        httpx.Client(base_url=proxy.url, timeout=PATIENCE, trust_env=False) as http,
    ):
        for _ in range(2):
            answer = http.get("/v1/models", headers={"if-none-match": "x"})
            assert (answer.status_code, answer.content) == (int(status[:3]), b"")
            assert answer.headers["etag"] == "x"


# --- side by side --------------------------------------------------------------------------------


def test_both_proxies_run_side_by_side(
    http: httpx.Client, backend: Backend, client: httpx.Client, upstream: Provider
) -> None:
    request = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
    backend.answer = stream(EVENT)
    upstream.answer = stream(says("Hello.") + finishes())

    passed = http.post("/v1/responses", json=request)
    translated = client.post("/v1/responses", json=request)

    assert passed.content == EVENT
    assert final(read(translated.content))["status"] == "completed"
    assert (len(backend.seen), len(upstream.seen)) == (1, 1)
