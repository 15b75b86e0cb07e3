"""Cerebras' dialect of Chat Completions.

No `event:` lines, one order of keys, absent fields instead of nulls, `usage` and `time_info` in the
chunk of the finish_reason.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from harness import schema
from harness.emulator.dialect import Dialect, pieces
from harness.scenarios import Call, Refusal, Scenario, Turn, Usage

__all__ = ["MODELS", "Cerebras", "ChatStream", "deltas"]

#: The models that it knows by name.
MODELS: Final = ("gpt-oss-120b", "qwen-3.8-27b", "zai-glm-4.7")

_FINGERPRINT: Final = "fp_00000000000000000000"


class Cerebras(Dialect):
    """Chat Completions as Cerebras streams them.

    It is strict: a wrong key, an unknown path, a model that does not exist, a property that is not
    supported, a call without its result are refused in Cerebras' words.
    """

    BASE_PATH = "/v1"

    def __init__(self, scenario: Scenario, api_key: str) -> None:
        super().__init__(scenario, api_key)
        schema.check({}, "chat/request.json")  # read now, so that the first answer is not late

    def read(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> dict[str, Any] | Refusal:
        authorization = headers.get(b"authorization")
        if (method, path) != ("POST", "/v1/chat/completions"):
            return Refusal(404)
        if authorization is None:
            return Refusal(403, {"detail": "Not authenticated"})
        if authorization != f"Bearer {self._api_key}".encode():
            wrong = _error("Wrong API Key", "invalid_request_error", "api_key", "wrong_api_key")
            return Refusal(401, wrong)
        try:
            request: dict[str, Any] = json.loads(body)
        except ValueError:
            return _wrong_format("body: not valid JSON")
        if faults := schema.check(request, "chat/request.json"):
            return _wrong_format("; ".join(map(str, faults)))
        if request["model"] not in MODELS:
            message = f"Model {request['model']} does not exist or you do not have access to it."
            return Refusal(404, _error(message, "not_found_error", "model", "model_not_found"))
        if (fault := _pairing_fault(request["messages"])) is not None:
            return _wrong_format(fault)
        if self.turn_number(request) >= len(self._scenario.turns):
            return _wrong_format(f"messages: scenario {self._scenario.name} is over")
        return request

    def turn_number(self, request: Any) -> int:
        messages: list[dict[str, Any]] = request["messages"]
        spoken: int = sum(message["role"] == "assistant" for message in messages)
        # A conversation that was summed up begins anew, with the summary.
        told = [message["content"] for message in messages if message["role"] != "assistant"]
        summed_up = [
            number + 1
            for number, turn in enumerate(self._scenario.turns)
            if turn.compacts and any(turn.text in (content or "") for content in told)
        ]
        return max(summed_up, default=0) + spoken

    def stream(self, turn: Turn, request: Any) -> ChatStream:
        tools = [tool["function"]["name"] for tool in request.get("tools", ())]
        return ChatStream(turn, request["model"], self._scenario.dialect, tools)


class ChatStream:
    """One answer, in chunks; the `tools` are those that were offered."""

    def __init__(self, turn: Turn, model: str, dialect: str, tools: Sequence[str] = ()) -> None:
        self._turn = turn
        self._dialect = dialect
        self._tools = tools
        self._created = time.time()
        self._id = f"chatcmpl-{uuid.uuid4()}"
        self._tail = {
            "created": int(self._created),
            "model": model,
            "system_fingerprint": _FINGERPRINT,
            "object": "chat.completion.chunk",
        }

    @property
    def headers(self) -> dict[str, str]:
        taken = self._turn.usage.prompt_tokens if self._turn.usage else 0
        return {
            "content-type": "text/event-stream; charset=utf-8",
            "x-ratelimit-limit-requests-day": "144000",
            "x-ratelimit-limit-tokens-minute": "1000000",
            "x-ratelimit-remaining-requests-day": "143999",
            "x-ratelimit-remaining-tokens-minute": str(1000000 - taken),
            "x-ratelimit-reset-requests-day": "33011.382867",
            "x-ratelimit-reset-tokens-minute": "11.382867",
            "inference-id": self._id,
            "x-request-id": uuid.uuid4().hex,
        }

    def events(self) -> Iterator[tuple[float, bytes]]:
        timing = self._turn.timing
        first = timing.queue + timing.prompt
        all_deltas = list(deltas(self._turn, self._dialect, self._tools))
        for number, delta in enumerate(all_deltas):
            due = first + timing.completion * number / len(all_deltas)
            yield due, self._chunk({"delta": delta})

    def finish(self) -> tuple[float, bytes]:
        timing, usage = self._turn.timing, self._turn.usage
        last = self._chunk(
            {"delta": {}, "finish_reason": self._turn.finish_reason},
            **({"usage": _usage(usage, self._dialect)} if usage else {}),
            time_info=_time_info(self._turn, self._created, self._dialect),
        )
        done = b"data: [DONE]\n\n" if self._dialect == "2026-05" else b""
        return timing.queue + timing.prompt + timing.completion, last + done

    def fail(self, error: dict[str, Any]) -> bytes:
        return _event(error)

    def _chunk(self, choice: dict[str, Any], **more: Any) -> bytes:
        choices = [{**choice, "index": 0}]
        return _event({"id": self._id, "choices": choices, **self._tail, **more})


def deltas(
    turn: Turn, dialect: str = "2026-05", tools: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the deltas of one answer, the role first, each with one kind of thing in it."""
    # Where thinking begins and ends, there is a chunk that says nothing.
    brackets = [""] if dialect == "2025-11-glm" else []
    yield {"content": "", "role": "assistant"} if brackets else {"role": "assistant"}
    for piece in (*brackets, *pieces(turn.reasoning, turn.reasoning_chunks), *brackets):
        yield {"reasoning": piece}
    for piece in pieces(turn.text):
        yield {"content": piece}
    if dialect in ("2025-11-glm", "2025-11-qwen") and turn.finish_reason == "stop":
        yield {}
    if turn.calls and turn.whole_calls:
        yield {"tool_calls": [_whole(call, at, tools) for at, call in enumerate(turn.calls)]}
        return
    fragments = [_fragments(call, index, tools) for index, call in enumerate(turn.calls)]
    order: Iterable[dict[str, Any] | None] = (
        itertools.chain.from_iterable(itertools.zip_longest(*fragments))
        if turn.interleaved
        else itertools.chain.from_iterable(fragments)
    )
    for fragment in order:
        if fragment is not None:
            yield {"tool_calls": [fragment]}


def _whole(call: Call, index: int, tools: Sequence[str]) -> dict[str, Any]:
    function = {"name": _offered(call, tools), "arguments": _arguments(call)}
    return {"function": function, "type": "function", "id": call.id, "index": index}


def _fragments(call: Call, index: int, tools: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a call as gpt-oss streams it: an opener, then arguments without id and name."""
    opener = {"name": _offered(call, tools), "arguments": ""}
    yield {"function": opener, "type": "function", "id": call.id, "index": index}
    for piece in pieces(_arguments(call), call.chunks):
        yield {"function": {"arguments": piece}, "type": "function", "index": index}


def _offered(call: Call, tools: Sequence[str]) -> str:
    """Return what the tool is called in the request: there may be no namespaces, only names."""
    if call.namespace is None:
        return call.name
    whole = (name for name in tools if call.namespace in name and name.endswith(call.name))
    return next(whole, call.name)


def _arguments(call: Call) -> str:
    """Return the arguments: there are no custom tools here, only ones that take an `input`."""
    if call.kind == "custom":
        return json.dumps({"input": call.arguments_text}, ensure_ascii=False)
    return call.arguments_text


def _usage(usage: Usage, dialect: str) -> dict[str, Any]:
    total = usage.prompt_tokens + usage.completion_tokens
    details = {"cached_tokens": usage.cached_tokens}
    if dialect in ("2025-11", "2025-11-qwen"):
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": total,
            "prompt_tokens_details": details,
        }
    counts = {"total_tokens": total, "completion_tokens": usage.completion_tokens}
    if dialect == "2025-11-glm":
        return {**counts, "prompt_tokens": usage.prompt_tokens}
    return {
        **counts,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "reasoning_tokens": usage.reasoning_tokens,
        },
        "prompt_tokens": usage.prompt_tokens,
        "prompt_tokens_details": details,
    }


def _time_info(turn: Turn, created: float, dialect: str) -> dict[str, Any]:
    times = {
        "queue_time": turn.timing.queue,
        "prompt_time": turn.timing.prompt,
        "completion_time": turn.timing.completion,
        "total_time": turn.timing.total,
    }
    if dialect == "2026-05":
        return {"created": created, **times}
    return {**times, "created": int(created) if dialect == "2025-11-qwen" else created}


# --- refusals ------------------------------------------------------------------------------------


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


def _wrong_format(message: str) -> Refusal:
    error = _error(message, "invalid_request_error", "validation_error", "wrong_api_format")
    return Refusal(400, error)


def _error(message: str, type: str, param: str, code: str) -> dict[str, Any]:
    return {"message": message, "type": type, "param": param, "code": code}


# --- wire ----------------------------------------------------------------------------------------


def _event(data: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
