"""Each way a provider fails, over real HTTP, to a client that streams and to one that does not."""

from __future__ import annotations

import gzip
import socket

import httpx
import pytest

from proxy.settings import Settings
from tests.unit.proxy.provider import (
    Answer,
    Provider,
    bare_provider,
    reply,
    stream,
    stream_and_break,
)
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import data, final, finishes, outline, read, says

REQUEST = {"model": "gpt-oss-120b", "input": "Say hello."}
HI = says("Hi")

#: In mid-stream: what the provider does, the code that comes of it, the status without a stream.
IN_THE_STREAM: dict[str, tuple[Answer, str, int]] = {
    "malformed chunk": (stream(HI, b'data: {"choices": [\n\n'), "server_error", 502),
    "error chunk": (
        stream(HI, data({"error": {"message": "Boom."}, "status_code": 500})),
        "server_error",
        502,
    ),
    "event: error": (
        stream(HI, b'event: error\ndata: {"message":"Boom."}\n\n'),
        "server_error",
        502,
    ),
    "429": (
        stream(HI, data({"error": {"message": "Boom."}, "status_code": 429})),
        "rate_limit_exceeded",
        429,
    ),
    "queue": (
        stream(HI, data({"error": {"message": "Boom.", "code": "queue_exceeded"}})),
        "rate_limit_exceeded",
        429,
    ),
    "too long": (
        stream(HI, data({"error": {"message": "Please reduce the length of the messages"}})),
        "context_length_exceeded",
        400,
    ),
    "no finish_reason": (stream(HI), "server_error", 502),
    "dropped": (stream_and_break(HI), "server_error", 502),
}

#: Before the stream: the same, and whether a client that streams gets HTTP 400 instead.
BEFORE_IT: dict[str, tuple[Answer, str, int]] = {
    "flat": (reply(500, b'{"message":"Boom."}'), "server_error", 502),
    "nested": (reply(503, b'{"error":{"message":"Boom."}}'), "server_error", 502),
    "detail": (reply(529, b'{"detail":"Boom."}'), "server_error", 502),
    "html": (reply(502, b"<html>Boom</html>"), "server_error", 502),
    "empty": (reply(500), "server_error", 502),
    "time-out": (reply(504, b'{"message":"Boom."}'), "server_error", 504),
    "queue": (
        reply(429, b'{"message":"Boom.","code":"queue_exceeded"}'),
        "rate_limit_exceeded",
        429,
    ),
}


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [*IN_THE_STREAM.values(), *BEFORE_IT.values()],
    ids=[*(f"in {name}" for name in IN_THE_STREAM), *(f"before {name}" for name in BEFORE_IT)],
)
def test_a_failure_is_told_in_the_stream_or_as_a_status(
    client: httpx.Client, upstream: Provider, answer: Answer, code: str, status: int
) -> None:
    upstream.answer = answer

    streamed = client.post("/v1/responses", json={**REQUEST, "stream": True})
    whole = client.post("/v1/responses", json={**REQUEST, "stream": False})

    assert streamed.status_code == 200
    events = read(streamed.content)
    assert outline(events)[-1] == "failed"
    assert final(events)["error"]["code"] == code
    assert whole.status_code == status
    assert whole.json()["error"]["code"] == code
    assert whole.json()["error"]["message"] == final(events)["error"]["message"]


def test_a_stream_that_was_compressed_is_named(client: httpx.Client, upstream: Provider) -> None:
    """Nothing of it can be read, and it would look like a stream that broke off."""
    upstream.answer = reply(200, gzip.compress(HI + finishes()), content_encoding="GZIP")

    events = read(client.post("/v1/responses", json={**REQUEST, "stream": True}).content)

    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider compressed its stream (gzip), which was not asked for.",
    }


def test_a_connection_that_is_not_made_is_told_in_the_stream_or_as_a_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with bare_provider(b"no TLS") as (plain, _):
        bases = {
            f"http://127.0.0.1:{port}/v1": "cannot be reached",
            "http://nowhere.invalid/v1": "host name is not known",
            plain.replace("http:", "https:") + "/v1": "",
        }
        for base_url, words in bases.items():
            with serving(Settings(api_key="csk-unused", base_url=base_url)) as client:
                streamed = client.post("/v1/responses", json={**REQUEST, "stream": True})
                whole = client.post("/v1/responses", json={**REQUEST, "stream": False})
            error = final(read(streamed.content))["error"]
            assert error["code"] == "server_error"
            assert words in error["message"]
            assert whole.status_code == 502
            assert whole.json()["error"]["message"] == error["message"]
