"""A scripted model behind Cerebras' real wire dialect, to record against where no key is at hand.

It is strict as Cerebras is: a wrong key, an unknown path, a model that does not exist, a property
that is not supported, a call without its result are refused in Cerebras' words. It is stateless:
the turn to play follows from the conversation in the request. It knows nothing of the proxy.

What the dialect looks like is taken from recorded streams: no `event:` lines, one order of keys,
absent fields instead of nulls, `usage` and `time_info` in the chunk of the finish_reason.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final

from harness import schema
from harness.scenarios import Call, Scenario, Turn
from harness.server import LoopbackServer, read_body

__all__ = ["MODELS", "Emulator", "deltas"]

#: The models that it knows by name.
MODELS: Final = ("gpt-oss-120b", "qwen-3.8-27b")

_FINGERPRINT: Final = "fp_emulator"


class Emulator(LoopbackServer):
    """Plays the model's part of `scenario` under `url` + `/v1`, to whoever has `api_key`."""

    def __init__(self, scenario: Scenario, *, api_key: str) -> None:
        super().__init__(self._app)
        self._scenario = scenario
        self._api_key = api_key
        schema.check({}, "chat/request.json")  # read now, so that the first answer is not late

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = await read_body(receive)
        refusal = self._refusal(scope, body)
        if refusal is not None:
            status, error = refusal
            content = b"" if error is None else json.dumps(error).encode()
            await _send_head(send, status, "application/json")
            await send({"type": "http.response.body", "body": content})
            return
        request = json.loads(body)
        turn = self._scenario.turns[_turn_number(request["messages"])]
        await _send_head(send, 200, "text/event-stream; charset=utf-8")
        # What is due goes out together: real reads hold several events each.
        start = time.perf_counter()
        waiting = b""
        for due, chunk in self._stream(turn, request["model"]):
            wait = start + due - time.perf_counter()
            if wait > 0:
                if waiting:
                    await send({"type": "http.response.body", "body": waiting, "more_body": True})
                    waiting = b""
                await asyncio.sleep(wait)
            waiting += chunk
        await send({"type": "http.response.body", "body": waiting})

    def _refusal(
        self, scope: MutableMapping[str, Any], body: bytes
    ) -> tuple[int, dict[str, Any] | None] | None:
        """Return status and body of the error that the request deserves, if any."""
        authorization = dict(scope["headers"]).get(b"authorization")
        if scope["path"] != "/v1/chat/completions" or scope["method"] != "POST":
            return 404, None
        if authorization is None:
            return 403, {"detail": "Not authenticated"}
        if authorization != f"Bearer {self._api_key}".encode():
            return 401, _error("Wrong API Key", "invalid_request_error", "api_key", "wrong_api_key")
        try:
            request = json.loads(body)
        except ValueError:
            return 400, _wrong_format("body: not valid JSON")
        faults = schema.check(request, "chat/request.json")
        if faults:
            return 400, _wrong_format("; ".join(map(str, faults)))
        if request["model"] not in MODELS:
            message = f"Model {request['model']} does not exist or you do not have access to it."
            return 404, _error(message, "not_found_error", "model", "model_not_found")
        if (fault := _pairing_fault(request["messages"])) is not None:
            return 400, _wrong_format(fault)
        if _turn_number(request["messages"]) >= len(self._scenario.turns):
            return 400, _wrong_format(f"messages: scenario {self._scenario.name} is over")
        return None

    def _stream(self, turn: Turn, model: str) -> Iterator[tuple[float, bytes]]:
        """Yield the events of the turn, each with the seconds after which it is due."""
        created = int(time.time())
        head = {"id": f"chatcmpl-{uuid.uuid4()}"}
        tail = {
            "created": created,
            "model": model,
            "system_fingerprint": _FINGERPRINT,
            "object": "chat.completion.chunk",
        }

        def chunk(choice: dict[str, Any], **more: Any) -> bytes:
            return _event({**head, "choices": [{**choice, "index": 0}], **tail, **more})

        first = turn.timing.queue + turn.timing.prompt
        all_deltas = list(deltas(turn))
        for number, delta in enumerate(all_deltas):
            yield first + turn.timing.completion * number / len(all_deltas), chunk({"delta": delta})
        last = first + turn.timing.completion
        yield (
            last,
            chunk(
                {"delta": {}, "finish_reason": turn.finish_reason},
                usage=_usage(turn, self._scenario.dialect),
                time_info=_time_info(turn, created, self._scenario.dialect),
            ),
        )
        if self._scenario.dialect != "2025-11":
            yield last, b"data: [DONE]\n\n"


def deltas(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield the deltas of one answer, the role first, each with one kind of thing in it."""
    yield {"role": "assistant"}
    for piece in _pieces(turn.reasoning, turn.reasoning_chunks):
        yield {"reasoning": piece}
    for piece in _pieces(turn.text):
        yield {"content": piece}
    fragments = [_fragments(call, index) for index, call in enumerate(turn.calls)]
    order: Iterable[dict[str, Any] | None] = (
        itertools.chain.from_iterable(itertools.zip_longest(*fragments))
        if turn.interleaved
        else itertools.chain.from_iterable(fragments)
    )
    for fragment in order:
        if fragment is not None:
            yield {"tool_calls": [fragment]}


def _fragments(call: Call, index: int) -> Iterator[dict[str, Any]]:
    """Yield a call as gpt-oss streams it: an opener, then arguments without id and name."""
    opener = {"name": call.name, "arguments": ""}
    yield {"function": opener, "type": "function", "id": call.id, "index": index}
    for piece in _pieces(call.arguments_text):
        yield {"function": {"arguments": piece}, "type": "function", "index": index}


def _pieces(text: str, count: int | None = None) -> list[str]:
    """Cut `text` into about one piece a token, or into `count` pieces of like length."""
    if count is None:
        return re.findall(r"\s*\w{1,6}|\s*[^\w\s]{1,3}|\s+$", text)
    cuts = [round(number * len(text) / count) for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]


def _usage(turn: Turn, dialect: str) -> dict[str, Any]:
    usage = turn.usage
    total = usage.prompt_tokens + usage.completion_tokens
    details = {"cached_tokens": usage.cached_tokens}
    if dialect == "2025-11":
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": total,
            "prompt_tokens_details": details,
        }
    return {
        "total_tokens": total,
        "completion_tokens": usage.completion_tokens,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "reasoning_tokens": usage.reasoning_tokens,
        },
        "prompt_tokens": usage.prompt_tokens,
        "prompt_tokens_details": details,
    }


def _time_info(turn: Turn, created: int, dialect: str) -> dict[str, Any]:
    times = {
        "queue_time": turn.timing.queue,
        "prompt_time": turn.timing.prompt,
        "completion_time": turn.timing.completion,
        "total_time": turn.timing.total,
    }
    if dialect == "2025-11":
        return {**times, "created": created}
    return {"created": created, **times}


# --- refusals ------------------------------------------------------------------------------------


def _turn_number(messages: list[dict[str, Any]]) -> int:
    """Return how often the model has spoken in the conversation so far."""
    return sum(message["role"] == "assistant" for message in messages)


def _pairing_fault(messages: list[dict[str, Any]]) -> str | None:
    """Return what is wrong with calls and results: each call is answered before all else."""
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"messages.{number}.tool: answers no call: {message['tool_call_id']!r}"
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            break
        else:
            open_calls = {call["id"] for call in message.get("tool_calls", ())}
    if open_calls:
        return f"messages: the calls {sorted(open_calls)} have no result"
    return None


def _wrong_format(message: str) -> dict[str, Any]:
    return _error(message, "invalid_request_error", "validation_error", "wrong_api_format")


def _error(message: str, type: str, param: str, code: str) -> dict[str, Any]:
    return {"message": message, "type": type, "param": param, "code": code}


# --- wire ----------------------------------------------------------------------------------------


def _event(data: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


async def _send_head(
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]], status: int, content_type: str
) -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
