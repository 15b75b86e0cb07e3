"""The application over HTTP, for a client that does not stream."""

from __future__ import annotations

import json
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from harness.schema import check
from harness.subject import OwnProxy
from proxy.settings import Settings
from tests.unit.proxy.provider import (
    PATIENCE,
    Provider,
    bare_provider,
    hold,
    reply,
    stream,
    stream_and_break,
)
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import (
    Json,
    calls,
    data,
    finishes,
    fragment,
    says,
    thinks,
    tokens,
)

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": False}
HELLO = says("Hello.") + finishes("stop", tokens(9, 1))


def error(response: httpx.Response) -> Json:
    """Return what a complete HTTP error says; its shape is OpenAI's."""
    assert response.headers["content-type"] == "application/json"
    said: Json = response.json()["error"]
    assert response.json() == {"error": said}
    assert said.keys() == {"message", "type", "param", "code"}
    return said


# --- the response --------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [{}, {"stream": False}, {"stream": None}], ids=str)
def test_without_a_stream_the_answer_is_the_response(
    client: httpx.Client, upstream: Provider, streams: Json
) -> None:
    upstream.answer = stream(thinks("Hm."), HELLO)
    request = {"model": "gpt-5-codex", "input": "Hi", "metadata": {"a": "b"}, **streams}

    response = client.post("/v1/responses", json=request)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    whole = response.json()
    assert check(whole, "responses/response.json") == []
    assert (whole["object"], whole["status"]) == ("response", "completed")
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert whole["output"][1]["content"][0]["text"] == "Hello."
    assert whole["usage"]["total_tokens"] == 10
    assert whole["metadata"] == {"a": "b"}


def test_the_provider_is_asked_for_a_stream_all_the_same(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(HELLO)

    client.post("/v1/responses", json=REQUEST)

    (seen,) = upstream.seen
    assert seen.body["stream"] is True
    assert check(seen.body, "chat/request.json") == []


def test_calls_are_part_of_the_response(client: httpx.Client, upstream: Provider) -> None:
    whole = fragment(0, id="a", name="x", arguments="{}")
    upstream.answer = stream(calls(whole) + finishes("tool_calls"))

    (item,) = client.post("/v1/responses", json=REQUEST).json()["output"]

    assert (item["type"], item["call_id"], item["status"]) == ("function_call", "a", "completed")


def test_a_response_that_was_cut_is_incomplete_and_no_error(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(says("Once up") + finishes("length"))

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 200
    assert response.json()["status"] == "incomplete"
    assert response.json()["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response.json()["output"][0]["status"] == "incomplete"


# --- failures are HTTP statuses ------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_refusal_for_good_is_http_400(
    client: httpx.Client, upstream: Provider, status: int
) -> None:
    upstream.answer = reply(status, b'{"message":"Wrong API Key","code":"wrong_api_key"}')

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 400
    assert error(response) == {
        "message": "The provider answered: Wrong API Key",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_prompt",
    }


def test_a_conversation_that_is_too_long_is_http_400(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(400, b'{"message":"Please reduce the length of the messages."}')

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 400
    assert error(response)["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [({"retry_after": "1.5"}, "2"), ({"retry_after": "7"}, "7"), ({}, "2")],
)
def test_a_rate_limit_is_http_429_with_whole_seconds(
    client: httpx.Client, upstream: Provider, headers: dict[str, str], retry_after: str
) -> None:
    upstream.answer = reply(429, b'{"message":"Too many tokens."}', **headers)

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 429
    assert response.headers["retry-after"] == retry_after
    assert error(response)["code"] == "rate_limit_exceeded"


def test_a_quota_that_is_used_up_is_http_429_without_a_wait(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(429, b'{"message":"Tokens per day."}', retry_after="86399")

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 429
    assert "retry-after" not in response.headers
    assert error(response)["code"] == "insufficient_quota"
    assert error(response)["message"].endswith(" It is back in 24.0 hours.")


def test_a_provider_that_took_too_long_is_http_504(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(408)

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 504
    assert error(response)["type"] == "server_error"


def test_a_provider_that_is_down_is_http_502_after_three_requests(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(503, b"<html>")

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 502
    assert error(response) == {
        "message": "The provider answered: HTTP 503",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
    assert len(upstream.seen) == 3


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        ({"error": {"message": "Slow down."}, "status_code": 429}, 429, "rate_limit_exceeded"),
        ({"error": {"message": "Oh no."}, "status_code": 500}, 502, "server_error"),
        ({"error": {"message": "No such tool."}, "status_code": 400}, 400, "invalid_prompt"),
    ],
    ids=["429", "500", "400"],
)
def test_an_error_in_the_providers_stream_is_an_http_status_all_the_same(
    client: httpx.Client, upstream: Provider, event: Json, status: int, code: str
) -> None:
    upstream.answer = stream(says("Hel"), data(event))

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == status
    assert error(response)["code"] == code
    assert len(upstream.seen) == 1


def test_a_provider_that_ends_too_early_is_http_502(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(says("Hel"))

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 502
    assert error(response)["message"].endswith("ended its stream before it had finished.")


def test_a_provider_that_breaks_off_is_http_502_and_not_asked_again(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream_and_break(says("Hel"))

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 502
    assert error(response)["message"].startswith("The provider's answer broke off: ")
    assert len(upstream.seen) == 1


def test_a_provider_that_closes_before_it_answers_is_http_502_and_not_asked_again() -> None:
    with bare_provider(b"") as (url, asked), serving(Settings(api_key="k", base_url=url)) as client:
        response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 502
    assert "closed the connection before it had answered" in error(response)["message"]
    assert len(asked) == 1


@pytest.mark.parametrize("pieces", [[], [says("Hel")]], ids=["before its head", "in its stream"])
def test_a_provider_that_falls_silent_is_http_504_and_not_asked_again(
    provider_url: str, upstream: Provider, pieces: list[bytes]
) -> None:
    upstream.answer = hold(threading.Event(), *pieces)

    with serving(Settings(api_key="k", base_url=provider_url, timeout=0.3)) as client:
        response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 504
    assert error(response)["message"] == "The provider fell silent."
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("streams", [True, False])
def test_half_of_a_pair_of_surrogates_does_not_break_the_connection(
    provider_url: str, upstream: Provider, streams: bool
) -> None:
    arguments = '{"why":"y","input":"\\ud800"}'
    whole = fragment(0, id="a", name="apply_patch", arguments=arguments)
    upstream.answer = stream(calls(whole) + finishes("tool_calls"))
    tools = [{"type": "custom", "name": "apply_patch"}]

    with serving(Settings(api_key="k", base_url=provider_url)) as served:
        response = served.post("/v1/responses", json={**REQUEST, "stream": streams, "tools": tools})

    assert response.status_code == 200


# --- the end -------------------------------------------------------------------------------------


def test_the_answer_does_not_wait_for_a_provider_that_has_finished(
    provider_url: str, upstream: Provider
) -> None:
    upstream.answer = hold(threading.Event(), HELLO)
    start = time.monotonic()

    with serving(Settings(api_key="k", base_url=provider_url, timeout=1.5)) as client:
        response = client.post("/v1/responses", json=REQUEST)

    assert response.json()["status"] == "completed"
    assert time.monotonic() - start < 1


def test_when_the_client_leaves_the_request_to_the_provider_ends(
    running: OwnProxy, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, says("Hel"))
    url = urlsplit(running.url)
    body = json.dumps(REQUEST).encode()
    head = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"content-length: %d\r\n\r\n" % len(body)

    with socket.create_connection((url.hostname, url.port), PATIENCE) as connection:
        connection.sendall(head + body)
        assert upstream.asked.wait(PATIENCE)
        assert not left.is_set()

    assert left.wait(PATIENCE)
