"""The response object: what it echoes, and its defaults."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness.schema import check
from proxy.request import LONGEST_REMEMBERED, decode_request
from proxy.responses import Response


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-oss-120b", "input": "Hi", **fields}).encode()


FUNCTION = {"type": "function", "name": "x"}

# --- the response --------------------------------------------------------------------------------


def respond(**fields: Any) -> dict[str, Any]:
    """Return the response to a request with these fields; it must be valid."""
    request = decode_request(body(**fields))
    response = Response.to(request, id="resp_1", created_at=1_700_000_000, model="gpt-oss-120b")
    encoded: dict[str, Any] = json.loads(msgspec.json.encode(response))
    assert check(encoded, "responses/response.json") == []
    return encoded


def test_a_response_begins_in_progress_and_empty() -> None:
    response = respond()

    assert response["id"] == "resp_1"
    assert response["object"] == "response"
    assert response["created_at"] == 1_700_000_000
    assert response["status"] == "in_progress"
    assert response["output"] == []
    assert (response["error"], response["incomplete_details"]) == (None, None)
    assert response["usage"] is None


def test_a_response_names_the_model_that_answers() -> None:
    assert respond(model="gpt-5-codex")["model"] == "gpt-oss-120b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instructions", "Be\nbrief."),
        ("max_output_tokens", 100),
        ("metadata", {"a": "b"}),
        ("parallel_tool_calls", False),
        ("parallel_tool_calls", True),
        ("prompt_cache_key", "0199"),
        ("reasoning", {"effort": "high", "summary": "auto"}),
        ("store", True),
        ("store", False),
        ("temperature", 0),
        ("temperature", 1.7),
        ("text", {"format": {"type": "text"}, "verbosity": "low"}),
        ("tool_choice", "none"),
        ("tool_choice", {"type": "function", "name": "x"}),
        ("tools", [{**FUNCTION, "strict": True, "parameters": {}, "description": "Does x."}]),
        ("tools", [{"type": "web_search", "external_web_access": True}]),
        ("top_p", 0),
        ("user", "me"),
    ],
    ids=str,
)
def test_a_response_echoes_what_was_asked_for(name: str, value: object) -> None:
    assert respond(**{name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("instructions", None),
        ("max_output_tokens", None),
        ("metadata", {}),
        ("parallel_tool_calls", True),
        ("prompt_cache_key", None),
        ("reasoning", {"effort": None, "summary": None}),
        ("store", False),
        ("temperature", 1.0),
        ("text", {"format": {"type": "text"}}),
        ("tool_choice", "auto"),
        ("tools", []),
        ("top_p", 1.0),
        ("user", None),
        ("service_tier", "default"),
    ],
)
def test_a_response_tells_the_default_of_what_was_not_asked_for(name: str, default: object) -> None:
    assert respond()[name] == default
    assert respond(**{name: None})[name] == default


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("temperature", -1, 0),
        ("temperature", 5, 2),
        ("top_p", -1, 0),
        ("top_p", 1.5, 1),
        ("tool_choice", "unheard-of", "auto"),
        ("tool_choice", {}, "auto"),
        ("tool_choice", {"type": 5}, "auto"),
        ("text", {"format": None, "verbosity": "low"}, {"verbosity": "low"}),
    ],
)
def test_a_response_tells_what_became_of_what_there_is_not(
    name: str, asked: object, told: object
) -> None:
    assert respond(**{name: asked})[name] == told


def test_a_response_has_the_keys_that_openai_and_open_responses_require() -> None:
    response = respond()

    assert response["completed_at"] is None
    assert (response["presence_penalty"], response["frequency_penalty"]) == (0.0, 0.0)


def test_a_response_tells_the_service_tier_that_there_is() -> None:
    assert respond(service_tier="priority")["service_tier"] == "default"


def test_a_function_comes_back_with_all_its_keys() -> None:
    whole = {**FUNCTION, "description": None, "parameters": None, "strict": False}
    namespace = {"type": "namespace", "name": "n", "description": "N."}

    assert respond(tools=[FUNCTION])["tools"] == [whole]
    inner = respond(tools=[{**namespace, "tools": [FUNCTION]}])["tools"]
    assert inner == [{**namespace, "tools": [whole]}]


def test_a_tool_that_was_sent_on_many_lines_comes_back_on_one() -> None:
    tools = [
        {"type": "namespace", "name": "n\n", "tools": [{**FUNCTION, "parameters": {"a": [1]}}]}
    ]
    sent = json.dumps({"model": "m", "input": "Hi", "tools": tools}, indent=2)

    for request in (sent, sent.replace("\n", "\r\n"), sent.replace("\n", "\r")):
        response = Response.to(decode_request(request.encode()), id="r", created_at=1, model="m")
        encoded = msgspec.json.encode(response)
        assert b"\n" not in encoded
        assert b"\r" not in encoded
        (tool,) = json.loads(encoded)["tools"]
        assert (tool["name"], tool["tools"][0]["parameters"]) == ("n\n", {"a": [1]})


def test_tools_that_are_too_long_to_be_remembered_come_back() -> None:
    long = {**FUNCTION, "description": "x" * LONGEST_REMEMBERED}

    assert respond(tools=[long])["tools"] == [{**long, "parameters": None, "strict": False}]
