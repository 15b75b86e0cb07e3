"""The application over HTTP: other bodies in and out, and the paths beside `/responses`."""

from __future__ import annotations

import gzip
import json
import sys

import httpx
import pytest

from harness.subject import OwnProxy
from proxy import compaction
from proxy.content_encoding import LONGEST
from proxy.settings import Settings
from tests.unit.proxy.provider import Provider, reply, stream
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import (
    Json,
    calls,
    final,
    finishes,
    fragment,
    items,
    outline,
    read,
    says,
    thinks,
    tokens,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
BODY = json.dumps(REQUEST).encode()
HELLO = stream(says("Hello.") + finishes("stop", tokens(9, 1)))


def error(response: httpx.Response) -> Json:
    """Return what a complete HTTP error says; its shape is OpenAI's."""
    assert response.headers["content-type"] == "application/json"
    said: Json = response.json()["error"]
    assert response.json() == {"error": said}
    assert said.keys() == {"message", "type", "param", "code"}
    return said


# --- compressed bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("zstd", zstd.compress(BODY)),
        ("gzip", gzip.compress(BODY)),
        ("identity", BODY),
    ],
)
def test_a_body_may_be_compressed(
    client: httpx.Client, upstream: Provider, encoding: str, body: bytes
) -> None:
    upstream.answer = HELLO

    response = client.post("/responses", content=body, headers={"content-encoding": encoding})

    assert final(read(response.content))["status"] == "completed"
    assert upstream.seen[0].body["messages"] == [{"role": "user", "content": "Say hello."}]
    assert "content-encoding" not in upstream.seen[0].headers


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("br", BODY, "content-encoding 'br' is not known here"),
        ("gzip, zstd", BODY, "content-encoding 'gzip, zstd' is not known here"),
        ("zstd", BODY, "the body is not zstd: "),
        ("gzip", BODY, "the body is not gzip: "),
        ("zstd", zstd.compress(BODY)[:-5], "the zstd body ends too early"),
        ("gzip", gzip.compress(BODY)[:-5], "the gzip body ends too early"),
    ],
    ids=["unknown", "two", "no zstd", "no gzip", "half zstd", "half gzip"],
)
def test_a_body_that_is_not_compressed_as_it_says_is_refused(
    client: httpx.Client, upstream: Provider, encoding: str, body: bytes, message: str
) -> None:
    response = client.post("/responses", content=body, headers={"content-encoding": encoding})

    assert response.status_code == 415
    assert error(response)["message"].startswith(message)
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("encoding", "compress"), [("zstd", zstd.compress), ("gzip", gzip.compress)]
)
def test_a_body_that_is_too_long_once_it_is_decompressed_is_refused(
    client: httpx.Client, upstream: Provider, encoding: str, compress: object
) -> None:
    assert callable(compress)
    bomb = compress(bytes(LONGEST + 1))

    response = client.post("/responses", content=bomb, headers={"content-encoding": encoding})

    assert response.status_code == 413
    assert error(response)["message"] == f"the body is longer than {LONGEST} bytes"
    assert upstream.seen == []


def test_a_body_that_is_too_long_is_refused(client: httpx.Client, upstream: Provider) -> None:
    response = client.post("/responses", content=bytes(LONGEST + 1))

    assert response.status_code == 413
    assert error(response)["type"] == "invalid_request_error"
    assert upstream.seen == []


# --- state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_that_relies_on_an_earlier_response_is_refused(
    client: httpx.Client, upstream: Provider, stream: bool
) -> None:
    request = {**REQUEST, "stream": stream, "previous_response_id": "resp_1"}

    response = client.post("/v1/responses", json=request)

    assert response.status_code == 400
    assert error(response)["param"] == "previous_response_id"
    assert "send the whole conversation" in error(response)["message"]
    assert upstream.seen == []


def test_a_response_echoes_the_metadata(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = HELLO

    response = client.post("/v1/responses", json={**REQUEST, "metadata": {"a": "b"}})

    assert final(read(response.content))["metadata"] == {"a": "b"}


# --- tools ---------------------------------------------------------------------------------------


def test_a_custom_tool_goes_there_and_back(client: httpx.Client, upstream: Provider) -> None:
    whole = fragment(0, id="a", name="apply_patch", arguments='{"input":"one\\ntwo"}')
    upstream.answer = stream(calls(whole) + finishes("tool_calls"))
    tools = [{"type": "custom", "name": "apply_patch"}]

    response = client.post("/v1/responses", json={**REQUEST, "tools": tools})

    assert upstream.seen[0].body["tools"][0]["function"]["name"] == "apply_patch"
    (item,) = items(read(response.content))
    assert (item["type"], item["input"]) == ("custom_tool_call", "one\ntwo")


def test_think_tags_are_told_apart_where_the_settings_say_so(
    provider_url: str, upstream: Provider
) -> None:
    upstream.answer = stream(says("<think>Hm.</think>Yes.") + finishes())
    settings = Settings(api_key="csk-unused", base_url=provider_url, think_tags=True)

    with serving(settings) as client:
        response = client.post("/v1/responses", json=REQUEST)

    assert [item["type"] for item in items(read(response.content))] == ["reasoning", "message"]


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/models", "/v1/models"])
def test_models_are_listed_as_openai_does(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert response.json() == {
        "object": "list",
        "data": [
            {"id": "gpt-oss-120b", "object": "model", "created": 0, "owned_by": "cerebras"},
        ],
    }


@pytest.mark.parametrize("path", ["/models", "/v1/models"])
def test_models_are_listed_as_codex_wants_them(client: httpx.Client, path: str) -> None:
    response = client.get(path, params={"client_version": "0.169.0"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"models": []}


# --- WebSockets ----------------------------------------------------------------------------------

UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "openai-beta": "responses_websockets=2026-02-06",
}


@pytest.mark.parametrize("path", ["/responses", "/v1/responses"])
def test_a_websocket_is_told_to_come_back_over_http(provider_url: str, path: str) -> None:
    with serving(Settings(api_key="csk-unused", base_url=provider_url)) as client:
        response = client.get(path, headers=UPGRADE)

    assert response.status_code == 426
    assert "POST" in error(response)["message"]


def test_what_is_no_websocket_is_not_called_one(provider_url: str) -> None:
    headers = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}

    with serving(Settings(api_key="csk-unused", base_url=provider_url)) as client:
        response = client.get("/responses", headers=headers)

    assert response.status_code == 405


def test_a_websocket_is_not_worth_a_line_on_the_terminal(provider_url: str) -> None:
    with OwnProxy(provider_url) as own_proxy:
        httpx.get(f"{own_proxy.url}/responses", headers=UPGRADE, trust_env=False)

    assert "WebSocket" not in own_proxy.said
    assert own_proxy.said.count("\n") == 1


# --- summaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/responses/compact", "/v1/responses/compact"])
@pytest.mark.parametrize("streams", [{}, {"stream": True}, {"stream": False}], ids=str)
def test_a_conversation_is_summed_up_in_one_json_object(
    client: httpx.Client, upstream: Provider, path: str, streams: Json
) -> None:
    upstream.answer = stream(thinks("Hm."), says("We did much.") + finishes())
    request = {"model": "gpt-5-codex", "input": "Hi", "instructions": "Be brief.", **streams}

    response = client.post(path, json={**request, "tools": [{"type": "function", "name": "x"}]})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    (item,) = response.json()["output"]
    assert item["type"] == "compaction_summary"
    assert compaction.unpack(item["encrypted_content"]).endswith("\nWe did much.")
    (seen,) = upstream.seen
    assert seen.body["messages"][-1]["content"] == compaction.REQUEST
    assert "tools" not in seen.body


def test_a_summary_comes_back_in_the_next_request(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = stream(says("We did much.") + finishes())
    output = client.post("/responses/compact", json={"model": "m", "input": "Hi"}).json()["output"]

    client.post(
        "/responses", json={**REQUEST, "input": [*output, {"role": "user", "content": "Go"}]}
    )

    assert [message["content"] for message in upstream.seen[1].body["messages"]] == [
        "Summary of the conversation so far:\nWe did much.",
        "Go",
    ]


def test_a_trigger_is_answered_with_exactly_one_item_in_a_stream(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(thinks("Hm."), says("We did much.") + finishes())
    conversation = [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]

    events = read(client.post("/responses", json={**REQUEST, "input": conversation}).content)

    assert outline(events)[2:] == ["output_item.added 0", "output_item.done 0", "completed"]
    assert [item["type"] for item in items(events)] == ["compaction"]


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [(401, b'{"message":"Wrong API Key"}', 400), (429, b"", 429), (200, finishes(), 502)],
)
def test_a_summary_that_fails_is_an_http_error(
    client: httpx.Client, upstream: Provider, status: int, body: bytes, told: int
) -> None:
    upstream.answer = reply(status, body)

    response = client.post("/responses/compact", json={"model": "m", "input": "Hi"})

    assert response.status_code == told
    assert error(response)["message"]
