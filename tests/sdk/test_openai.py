"""The official `openai` package as the client: what its user gets, sync and async."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest

from harness.codex_model import Model
from harness.scenarios import Call, Turn, Usage
from tests.sdk.conftest import CLIENT_KEY, Says

ASK: dict[str, Any] = {"model": "gpt-oss-120b", "input": "say hello world"}

HELLO = Turn(reasoning="A greeting.", text="Hello, world!", usage=Usage(90, 12, 64, 3))

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": False,
}

WithAsyncClient = Callable[[Callable[[Any], Any]], Any]

Colour = pydantic.create_model("Colour", colour=(str, ...))


def check_hello(response: Any) -> None:
    assert response.status == "completed"
    assert response.output_text == "Hello, world!"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].summary[0].text == "A greeting."
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (90, 12, 102)
    assert usage.input_tokens_details.cached_tokens == 64
    assert usage.output_tokens_details.reasoning_tokens == 3


def test_a_whole_answer(client: Any, says: Says, model: Model) -> None:
    says(HELLO)

    check_hello(client.responses.create(**ASK))

    assert CLIENT_KEY not in json.dumps(model.requests)


def test_a_whole_answer_async(with_async_client: WithAsyncClient, says: Says) -> None:
    says(HELLO)

    check_hello(with_async_client(lambda client: client.responses.create(**ASK)))


def test_a_stream_of_events(client: Any, says: Says) -> None:
    says(HELLO)

    events = list(client.responses.create(**ASK, stream=True))

    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello, world!"
    assert events[-1].type == "response.completed"
    check_hello(events[-1].response)


def test_a_stream_of_events_async(with_async_client: WithAsyncClient, says: Says) -> None:
    says(HELLO)

    async def use(client: Any) -> list[Any]:
        return [event async for event in await client.responses.create(**ASK, stream=True)]

    check_hello(with_async_client(use)[-1].response)


def test_the_streaming_helper(client: Any, says: Says) -> None:
    says(HELLO)

    with client.responses.stream(**ASK) as stream:
        snapshots = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert snapshots[-1] == "Hello, world!"
    check_hello(final)


def test_the_streaming_helper_async(with_async_client: WithAsyncClient, says: Says) -> None:
    says(HELLO)

    async def use(client: Any) -> Any:
        async with client.responses.stream(**ASK) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_response()

    check_hello(with_async_client(use))


def test_a_tool_is_called_and_its_result_goes_back(client: Any, says: Says, model: Model) -> None:
    says(
        Turn(reasoning="Ask.", calls=[Call("w1", "weather", {"city": "Köln"})]),
        Turn(text="It rains."),
    )

    first = client.responses.create(**{**ASK, "input": "weather?"}, tools=[WEATHER])
    call = first.output[-1]
    assert (call.type, call.name) == ("function_call", "weather")
    assert json.loads(call.arguments) == {"city": "Köln"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    history = [{"role": "user", "content": "weather?"}, *first.output, result]
    second = client.responses.create(**{**ASK, "input": history}, tools=[WEATHER])

    assert second.output_text == "It rains."
    told = model.requests[-1]["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool"]
    assert told[1]["reasoning"] == "Ask."
    assert told[2]["content"] == "rain"


def test_arguments_are_streamed(client: Any, says: Says) -> None:
    says(Turn(calls=[Call("w1", "weather", {"city": "Köln"})]))

    with client.responses.stream(**ASK, tools=[WEATHER]) as stream:
        events = list(stream)

    arguments = [e for e in events if e.type == "response.function_call_arguments.delta"]
    assert json.loads(arguments[-1].snapshot) == {"city": "Köln"}
    (done,) = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert json.loads(done.arguments) == {"city": "Köln"}


def test_an_answer_is_parsed_into_a_model(client: Any, says: Says, model: Model) -> None:
    says(Turn(text='{"colour":"teal"}'))

    response = client.responses.parse(**ASK, text_format=Colour)

    assert response.output_parsed == Colour(colour="teal")
    schema = model.requests[0]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["colour"]


def test_an_answer_is_parsed_into_a_model_async(
    with_async_client: WithAsyncClient, says: Says
) -> None:
    says(Turn(text='{"colour":"teal"}'))

    async def use(client: Any) -> Any:
        async with client.responses.stream(**ASK, text_format=Colour) as stream:
            return await stream.get_final_response()

    assert with_async_client(use).output_parsed == Colour(colour="teal")


def test_a_client_that_leaves_in_mid_stream_breaks_nothing(client: Any, says: Says) -> None:
    says(Turn(reasoning="Hm. " * 5, text="Once upon a time", end="stall", after=8))

    stream = client.responses.create(**ASK, stream=True)
    assert next(iter(stream)).type == "response.created"
    stream.close()

    says(HELLO)
    check_hello(client.responses.create(**ASK))


def test_a_client_that_leaves_in_mid_stream_breaks_nothing_async(
    with_async_client: WithAsyncClient, says: Says
) -> None:
    says(Turn(text="Once upon a time", end="stall", after=3))

    async def use(client: Any) -> Any:
        async for event in await client.responses.create(**ASK, stream=True):
            if event.type == "response.output_text.delta":
                break
        says(HELLO)
        return await client.responses.create(**ASK)

    check_hello(with_async_client(use))


def test_a_clients_own_timeout_is_kept(client: Any, says: Says) -> None:
    says(Turn(text="Once upon a time", end="stall", after=3))
    start = time.monotonic()

    with pytest.raises(openai.APITimeoutError):
        client.responses.create(**ASK, timeout=0.3)

    assert time.monotonic() - start < 1


def test_a_clients_own_timeout_is_kept_async(
    with_async_client: WithAsyncClient, says: Says
) -> None:
    says(Turn(text="Once upon a time", end="stall", after=3))

    with pytest.raises(openai.APITimeoutError):
        with_async_client(lambda client: client.responses.create(**ASK, timeout=0.3))
