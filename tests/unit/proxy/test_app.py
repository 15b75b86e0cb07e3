"""The application over HTTP: routes, requests, and what the provider gets to see."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import httpx
import pytest

from harness.schema import check
from harness.subject import OwnProxy
from proxy import upstream as upstream_module
from proxy.settings import Settings
from tests.unit.proxy.provider import KEY, PATIENCE, Provider, hold, reply, stream
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import final, finishes, items, outline, read, says, tokens

REQUEST = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
HELLO = says("Hello.") + finishes("stop", tokens(9, 1))


def error(response: httpx.Response) -> dict[str, Any]:
    """Return what a complete HTTP error says; its shape is OpenAI's."""
    assert response.headers["content-type"] == "application/json"
    (name,) = response.json()
    assert name == "error"
    said: dict[str, Any] = response.json()["error"]
    assert said.keys() == {"message", "type", "param", "code"}
    return said


# --- routes --------------------------------------------------------------------------------------


def test_health(client: httpx.Client) -> None:
    response = client.get("/health")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"status": "healthy"}


def test_health_may_be_asked_for_its_head(client: httpx.Client) -> None:
    response = client.head("/health")

    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize("path", ["/responses", "/v1/responses", "/v1/responses?beta=true"])
def test_a_request_is_answered_with_an_event_stream(
    client: httpx.Client, upstream: Provider, path: str
) -> None:
    upstream.answer = stream(HELLO)

    response = client.post(path, json=REQUEST)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    (message,) = items(read(response.content))
    assert message["content"][0]["text"] == "Hello."


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/models/", "/v1/responses/", "/Health"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_path_is_not_found(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)

    assert response.status_code == 404
    assert error(response)["message"] == f"There is no {method} {path} here."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/health"),
        ("GET", "/responses"),
        ("GET", "/v1/responses"),
        ("PUT", "/v1/responses"),
        ("DELETE", "/v1/responses"),
        ("GET", "/responses/compact"),
        ("GET", "/v1/responses/compact"),
        ("POST", "/models"),
        ("POST", "/v1/models"),
    ],
)
def test_another_method_is_not_allowed(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)

    assert response.status_code == 405
    assert error(response)["message"] == f"{path} does not take {method}."


# --- requests that are wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "The request body is not JSON: Input data was truncated.", None),
        (b"hello", "The request body is not JSON: JSON is malformed: ", None),
        (
            b'{"input":"Hi"}',
            "Invalid request at 'model': Object missing required field `model`.",
            "model",
        ),
        (
            b'{"model":"m"}',
            "Invalid request at 'input': Object missing required field `input`.",
            "input",
        ),
        (b"[]", "Invalid request: Expected `object`, got `array`.", None),
        (
            b'{"model":"m","input":5,"stream":true}',
            "Invalid request at 'input': Expected `str | array`, got `int`.",
            "input",
        ),
        (
            b'{"model":"m","input":[{"role":"user"}],"stream":true}',
            "Invalid request at 'input[0].content': Object missing required field `content`.",
            "input[0].content",
        ),
        (
            b'{"model":"m","input":"Hi","tools":[{"type":"function","name":5}],"stream":true}',
            "Invalid request at 'tools[0].name': Expected `str | null`, got `int`.",
            "tools[0].name",
        ),
        (
            b'{"model":"m","input":"Hi","previous_response_id":"resp_1"}',
            "previous_response_id needs the response to be stored, and nothing is stored here: ",
            "previous_response_id",
        ),
    ],
    ids=["empty", "text", "no model", "no input", "list", "input", "item", "tool", "previous"],
)
def test_a_request_that_is_wrong_is_refused_and_never_reaches_the_provider(
    client: httpx.Client, upstream: Provider, body: bytes, message: str, param: str | None
) -> None:
    response = client.post("/v1/responses", content=body)

    assert response.status_code == 400
    said = error(response)
    assert said["message"].startswith(message)
    assert said["type"] == "invalid_request_error"
    assert said["code"] == "invalid_request_error"
    assert said["param"] == param
    assert upstream.seen == []


# --- what the provider sees ----------------------------------------------------------------------


def test_the_provider_is_asked_once_with_the_translated_request(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(HELLO)

    client.post("/v1/responses", json={**REQUEST, "instructions": "Be brief.", "store": False})

    (seen,) = upstream.seen
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.body == {
        "model": "gpt-oss-120b",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say hello."},
        ],
        "stream": True,
    }
    assert check(seen.body, "chat/request.json") == []


def test_the_provider_gets_the_configured_key_and_never_the_clients(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(HELLO)

    client.post("/v1/responses", json=REQUEST, headers={"authorization": "Bearer the-clients"})

    (seen,) = upstream.seen
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_no_header_of_the_client_reaches_the_provider(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(HELLO)
    headers = {
        "authorization": "Bearer the-clients",
        "cookie": "session=the-clients",
        "user-agent": "codex_cli_rs/the-clients",
        "accept": "text/the-clients",
        "chatgpt-account-id": "the-clients",
        "openai-beta": "the-clients",
        "x-codex-turn-metadata": "the-clients",
        "x-forwarded-for": "the-clients",
        "session-id": "the-clients",
    }

    client.post("/v1/responses", json=REQUEST, headers=headers)

    (seen,) = upstream.seen
    assert seen.headers.keys() == {
        "host",
        "authorization",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "user-agent",
    }
    assert "the-clients" not in json.dumps(seen.headers)


def test_the_provider_is_asked_not_to_compress(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = stream(HELLO)

    client.post("/v1/responses", json=REQUEST)

    assert upstream.seen[0].headers["accept-encoding"] == "identity"


# --- the response --------------------------------------------------------------------------------


def test_each_response_has_an_id_of_its_own(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = stream(HELLO)

    ids = [final(read(client.post("/v1/responses", json=REQUEST).content))["id"] for _ in range(2)]

    assert ids[0] != ids[1]
    assert all(id.startswith("resp_") for id in ids)


def test_a_response_names_the_model_that_answered(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = stream(HELLO)

    response = client.post("/v1/responses", json=REQUEST)

    assert final(read(response.content))["model"] == "gpt-oss-120b"


# --- a provider that refuses ---------------------------------------------------------------------


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


def failure(response: httpx.Response) -> dict[str, Any]:
    """Return the error of a stream in which nothing but a failure came."""
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = read(response.content)
    assert outline(events) == ["created", "in_progress", "failed"]
    said: dict[str, Any] = final(events)["error"]
    return said


def test_a_rate_limit_is_told_in_the_stream_with_the_wait(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(429, b'{"message":"Too many tokens."}', retry_after="7.2")

    assert failure(client.post("/v1/responses", json=REQUEST)) == {
        "code": "rate_limit_exceeded",
        "message": "The provider answered: Too many tokens. Please try again in 8s.",
    }


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503])
def test_a_fault_of_the_provider_is_told_in_the_stream(
    client: httpx.Client, upstream: Provider, status: int
) -> None:
    upstream.answer = reply(status, b"<html>", location="http://127.0.0.1:1/")

    assert failure(client.post("/v1/responses", json=REQUEST)) == {
        "code": "server_error",
        "message": f"The provider answered: HTTP {status}",
    }


def test_a_conversation_that_is_too_long_is_told_in_the_stream(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(400, b'{"message":"Too long.","code":"context_length_exceeded"}')

    assert failure(client.post("/v1/responses", json=REQUEST)) == {
        "code": "context_length_exceeded",
        "message": "The provider answered: Too long.",
    }


def test_an_error_without_end_is_not_read_to_its_end(
    client: httpx.Client, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, b"x" * 100_000, status=500)

    assert failure(client.post("/v1/responses", json=REQUEST))["code"] == "server_error"
    assert left.wait(PATIENCE)


def test_an_error_that_stops_is_told_with_what_came(
    upstream: Provider, provider_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "_ERROR_PATIENCE", 0.1)
    left = threading.Event()
    upstream.answer = hold(left, b'{"message":"Wrong', status=401)

    with serving(Settings(base_url=provider_url, api_key=KEY)) as client:
        response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 400
    assert error(response)["message"] == "The provider answered: HTTP 401"
    assert left.wait(PATIENCE)


def test_a_provider_that_is_not_there_is_told_in_the_stream() -> None:
    # Bound but not listening: whoever connects is refused, and nobody else gets the port.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        with OwnProxy(url, api_key=KEY) as own_proxy:
            response = httpx.post(
                f"{own_proxy.url}/v1/responses", json=REQUEST, timeout=PATIENCE, trust_env=False
            )

    said = failure(response)
    assert said["code"] == "server_error"
    assert said["message"].startswith("The provider cannot be reached: ")
    assert KEY not in response.text
    assert KEY not in own_proxy.said
