"""The emulator refuses what ChatGPT's backend refuses, in its words."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from harness.emulator import Emulator
from tests.unit.harness.backends import ASKED, CHATGPT, RESPONSES, events_of, items_of
from tests.unit.harness.handmade import Json, scenario, turn

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CALL: Final = {"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": ""}
RESULT: Final = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "one"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with CHATGPT.emulator(scenario(turn("Hi"))) as emulator:
        yield emulator


# --- refusals ------------------------------------------------------------------------------------


def detail(answer: httpx.Response, status: int = 400) -> str:
    """Return what a refusal says in the backend's own shape."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    (told,) = answer.json().items()
    assert told[0] == "detail"
    return str(told[1])


def without(*names: str) -> Json:
    return {name: value for name, value in RESPONSES.items() if name not in names}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/chat/completions"), ("GET", "/responses"), ("POST", "/models"), ("POST", "/")],
)
def test_a_path_that_does_not_exist_is_404(emulator: Emulator, method: str, path: str) -> None:
    assert detail(CHATGPT.ask(emulator, method=method, path=path), 404) == "Not Found"


def test_nothing_is_served_outside_its_base(emulator: Emulator) -> None:
    answer = httpx.post(f"{emulator.url}/responses", json=RESPONSES, trust_env=False, verify=False)

    assert detail(answer, 404) == "Not Found"


def test_no_login_is_401(emulator: Emulator) -> None:
    assert detail(CHATGPT.ask(emulator, key=None), 401) == "Unauthorized"


@pytest.mark.parametrize("path", ["/responses", "/models"])
def test_a_wrong_login_is_401(emulator: Emulator, path: str) -> None:
    method = "POST" if path == "/responses" else "GET"
    answer = CHATGPT.ask(emulator, method=method, path=path, key="wrong")

    assert detail(answer, 401).startswith("Could not parse your authentication token.")


def test_it_has_a_catalogue_of_no_models(emulator: Emulator) -> None:
    answer = CHATGPT.ask(emulator, method="GET", path="/models?client_version=0.169.0")

    assert (answer.status_code, answer.json()) == (200, {"models": []})


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (without("instructions", "store", "stream"), "Instructions are required"),
        ({**without("store"), "input": "Hi"}, "Input must be a list"),
        (without("input", "store"), "Input must be a list"),
        (without("store", "stream"), "Store must be set to false"),
        ({**RESPONSES, "store": True}, "Store must be set to false"),
        (without("stream"), "Stream must be set to true"),
        ({**RESPONSES, "stream": False}, "Stream must be set to true"),
        ({**RESPONSES, "max_output_tokens": 16}, "Unsupported parameter: max_output_tokens"),
        (
            {**RESPONSES, "model": "gpt-oss-120b"},
            "The 'gpt-oss-120b' model is not supported when using Codex with a ChatGPT account.",
        ),
    ],
)
def test_what_codex_would_never_send_is_400(emulator: Emulator, request_: Json, told: str) -> None:
    assert detail(CHATGPT.ask(emulator, request_)) == told


def test_a_developers_message_stands_for_instructions(emulator: Emulator) -> None:
    first = {"role": "developer", "content": "Be brief."}

    request = {**without("instructions"), "input": [first, ASKED]}

    assert CHATGPT.ask(emulator, request).status_code == 200


@pytest.mark.parametrize("content", [b"", b"no JSON", b"5", b'"\xff"'], ids=ascii)
def test_a_body_that_is_no_json_object_is_400(emulator: Emulator, content: bytes) -> None:
    assert detail(CHATGPT.ask(emulator, content)) == "Bad Request"


def invalid(answer: httpx.Response) -> tuple[str, str, str | None]:
    """Return message, parameter and code of a refusal in the shape of the API behind."""
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] == "invalid_request_error"
    return error["message"], error["param"], error["code"]


def test_an_item_that_is_wrong_is_400_with_its_path(emulator: Emulator) -> None:
    answer = CHATGPT.ask(emulator, {**RESPONSES, "input": [ASKED, {"role": "user"}]})

    assert invalid(answer) == ("'content' is a required property", "input[1]", "invalid_value")


def test_a_call_without_its_result_is_400(emulator: Emulator) -> None:
    answer = CHATGPT.ask(emulator, {**RESPONSES, "input": [ASKED, CALL]})

    assert invalid(answer) == ("No tool output found for function call call_1.", "input", None)


def test_a_result_without_its_call_is_400(emulator: Emulator) -> None:
    answer = CHATGPT.ask(emulator, {**RESPONSES, "input": [RESULT, ASKED]})

    message = "No tool call found for function call output with call_id call_1."
    assert invalid(answer) == (message, "input", None)


def test_a_result_may_come_anywhere(emulator: Emulator) -> None:
    request = {**RESPONSES, "input": [RESULT, ASKED, CALL]}

    assert CHATGPT.ask(emulator, request).status_code == 200


# --- compressed bodies ---------------------------------------------------------------------------

PLAIN: Final = json.dumps(RESPONSES).encode()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("zstd", zstd.compress(PLAIN)), ("gzip", gzip.compress(PLAIN)), ("identity", PLAIN)],
)
def test_a_body_may_be_compressed(emulator: Emulator, encoding: str, body: bytes) -> None:
    answer = CHATGPT.ask(emulator, body, headers={"content-encoding": encoding})

    assert len(items_of(events_of(answer))) == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("zstd", PLAIN),
        ("zstd", zstd.compress(PLAIN)[:-9]),
        ("gzip", PLAIN),
        ("gzip", gzip.compress(PLAIN)[:-9]),
        ("br", PLAIN),
    ],
)
def test_a_body_that_is_not_what_it_says_is_400(
    emulator: Emulator, encoding: str, body: bytes
) -> None:
    answer = CHATGPT.ask(emulator, body, headers={"content-encoding": encoding})

    assert detail(answer) == "Bad Request"
