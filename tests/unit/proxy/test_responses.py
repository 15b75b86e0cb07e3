"""The response object: what it echoes, and its defaults."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness.schema import check
from proxy.request import decode_request
from proxy.responses import Response


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-oss-120b", "input": "Hi", **fields}).encode()


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
        ("tools", [{"type": "function", "name": "x", "strict": True, "parameters": {}}]),
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
    ],
)
def test_a_response_tells_the_default_of_what_was_not_asked_for(name: str, default: object) -> None:
    assert respond()[name] == default
    assert respond(**{name: None})[name] == default
