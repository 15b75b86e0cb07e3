"""What a user of the SDK gets when the provider fails: an exception, or an event that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from harness import scenarios
from harness.codex_model import Model
from tests.sdk.conftest import Says

ASK: dict[str, Any] = {"model": "gpt-oss-120b", "input": "say hello world"}

BAD: type[Exception] = openai.BadRequestError
LATER: type[Exception] = openai.RateLimitError
SERVER: type[Exception] = openai.InternalServerError

#: By scenario: the exception with `stream=False`, the code, and whether a stream is told so too.
#: A request that was at fault is refused before there is a stream.
ROWS = {
    "bad-request": (BAD, "invalid_prompt", False),
    "unprocessable": (BAD, "invalid_prompt", False),
    "wrong-key": (BAD, "invalid_prompt", False),
    "payment-required": (BAD, "invalid_prompt", False),
    "forbidden": (BAD, "invalid_prompt", False),
    "model-not-found": (BAD, "invalid_prompt", False),
    "too-large": (BAD, "invalid_prompt", False),
    "context-length": (BAD, "context_length_exceeded", True),
    "quota-exhausted": (LATER, "insufficient_quota", True),
    "queue-full": (LATER, "rate_limit_exceeded", True),
    "rate-limit-in-stream": (LATER, "rate_limit_exceeded", True),
    "server-error": (SERVER, "server_error", True),
    "gateway-timeout": (SERVER, "server_error", True),
    "error-in-stream": (SERVER, "server_error", True),
    "cut-text": (SERVER, "server_error", True),
    "cut-reasoning": (SERVER, "server_error", True),
    "reset-text": (SERVER, "server_error", True),
    "unanswered": (SERVER, "server_error", True),
    "unfinished-text": (SERVER, "server_error", True),
    "empty-stream": (SERVER, "server_error", True),
    "stall-text": (SERVER, "server_error", True),
}


def plays(says: Says, name: str) -> None:
    turns = scenarios.load(name).turns
    for turn in turns:
        if turn.refusal is not None:
            turn.refusal.times = None
    says(*turns)


@pytest.mark.parametrize("name", ROWS)
def test_a_whole_answer_that_fails_is_an_exception(client: Any, says: Says, name: str) -> None:
    kind, code, _ = ROWS[name]
    plays(says, name)

    with pytest.raises(kind) as raised:
        client.responses.create(**ASK)

    assert isinstance(raised.value, openai.APIStatusError)
    assert raised.value.code == code
    assert len(raised.value.message) > 20


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_that_fails_says_so(client: Any, says: Says, name: str) -> None:
    kind, code, streams = ROWS[name]
    plays(says, name)

    if not streams:
        with pytest.raises(kind):
            client.responses.create(**ASK, stream=True)
        return
    events = list(client.responses.create(**ASK, stream=True))

    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.code == code
    assert len(events[-1].response.error.message) > 20


def test_a_stream_that_fails_says_so_async(
    with_async_client: Callable[[Callable[[Any], Any]], Any], says: Says
) -> None:
    plays(says, "cut-text")

    async def use(client: Any) -> list[Any]:
        return [event async for event in await client.responses.create(**ASK, stream=True)]

    last = with_async_client(use)[-1]
    assert (last.type, last.response.error.code) == ("response.failed", "server_error")


def test_the_sdk_waits_for_a_rate_limit_by_itself(client: Any, says: Says, model: Model) -> None:
    says(*scenarios.load("rate-limit").turns)

    response = client.with_options(max_retries=1).responses.create(**ASK)

    assert response.output_text == "Hello, world!"
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("name", "reason"), [("length-text", "max_output_tokens"), ("content-filter", "content_filter")]
)
def test_an_answer_that_was_cut_is_incomplete(
    client: Any, says: Says, name: str, reason: str
) -> None:
    plays(says, name)
    response = client.responses.create(**ASK)

    assert response.status == "incomplete"
    assert response.incomplete_details.reason == reason
    assert response.output_text == scenarios.load(name).turns[0].text


def test_a_proxy_that_is_not_there_is_a_connection_error() -> None:
    with (
        openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="x", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.responses.create(**ASK)
