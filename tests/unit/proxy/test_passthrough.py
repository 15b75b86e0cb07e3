"""The ChatGPT backend: what reaches it, what comes back, and that neither was touched."""

from __future__ import annotations

import gzip
import json
import sys

import httpx
import pytest

from harness.subject import OwnProxy
from tests.unit.proxy.backend import (
    BASE,
    Backend,
    answers,
    exchange,
    passing_to,
)
from tests.unit.proxy.provider import PATIENCE, Provider, bare_provider, reply, stream
from tests.unit.proxy.streams import final, finishes, read, says

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Headers = list[tuple[bytes, bytes]]

EVENT = b'event: response.created\ndata: {"type":"response.created"}\n\n'
BINARY = bytes(range(256)) * 5
JSON: Headers = [(b"content-type", b"application/json")]


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
