"""One answer as ChatGPT's backend streams it: Responses events that echo the whole request.

Keys have one order: `type` first, the others by the alphabet; an item begins with its id.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import random
import secrets
import string
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from harness.emulator.dialect import pieces
from harness.scenarios import Call, Turn, Usage

__all__ = ["ResponseStream", "blob", "call_id"]

Json = dict[str, Any]
#: The type of an event, and the rest of it but for its number.
_Event = tuple[str, Json]

#: Delta and padding together fill blocks of so many characters.
_BLOCK: Final = 16
_ALPHABET: Final = string.ascii_letters + string.digits

#: Where the account stands: percent used, seconds until it begins anew, minutes of the window.
_LIMITS: Final = {"primary": (50, 14845, 300), "secondary": (8, 601645, 10080)}

_NO_TOKENS: Final = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}

#: Why a response is incomplete, by the reason why the model stopped.
_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseStream:
    """The answer to `request` that is `turn`, event by event."""

    def __init__(self, turn: Turn, request: Json) -> None:
        self._turn = turn
        self._request = request
        self._created = time.time()
        #: What the ids of one response have in common.
        self._unique = f"{secrets.token_hex(8)}01"
        self._numbers = itertools.count()
        self._indexes = itertools.count()
        self._response = _response(request, self._new_id("resp"), int(self._created))

    @property
    def headers(self) -> dict[str, str]:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "x-codex-active-limit": "premium",
            "x-codex-credits-balance": "0",
            "x-codex-credits-has-credits": "False",
            "x-codex-credits-unlimited": "False",
            "x-codex-plan-type": "plus",
            "x-codex-primary-over-secondary-limit-percent": "0",
            "x-codex-turn-state": blob(self._unique),
            "x-models-etag": 'W/"00000000000000000000000000000000"',
            "x-oai-request-id": str(uuid.uuid4()),
            "x-request-id": str(uuid.uuid4()),
        }
        for window, (percent, seconds, minutes) in _LIMITS.items():
            headers |= {
                f"x-codex-{window}-used-percent": str(percent),
                f"x-codex-{window}-reset-after-seconds": str(seconds),
                f"x-codex-{window}-reset-at": str(int(self._created) + seconds),
                f"x-codex-{window}-window-minutes": str(minutes),
            }
        return headers

    def events(self) -> Iterator[tuple[float, bytes]]:
        timing = self._turn.timing
        for kind in ("response.created", "response.in_progress"):
            yield timing.queue, self._event(kind, {"response": self._response})
        events = list(self._items())
        for number, (kind, data) in enumerate(events):
            due = timing.queue + timing.prompt + timing.completion * number / len(events)
            yield due, self._event(kind, data)

    def finish(self) -> tuple[float, bytes]:
        reason = self._turn.stopped_by
        status = "incomplete" if reason else "completed"
        more: Json = {
            "status": status,
            "completed_at": None if reason else int(time.time()),
            "incomplete_details": {"reason": _REASONS[reason]} if reason else None,
            # Whatever there was: a client takes its items from the events that end them.
            "output": [],
            "service_tier": "default",
            "usage": _usage(self._turn.usage) if self._turn.usage else None,
        }
        timing = self._turn.timing
        event = self._event(f"response.{status}", {"response": {**self._response, **more}})
        return timing.queue + timing.prompt + timing.completion, event

    def fail(self, error: Json) -> bytes:
        told = {"code": error.get("code"), "message": error.get("message")}
        failed = {**self._response, "status": "failed", "error": told}
        return self._event("error", {"error": error}) + self._event(
            "response.failed", {"response": failed}
        )

    # --- items -----------------------------------------------------------------------------------

    def _items(self) -> Iterator[_Event]:
        turn, last = self._turn, self._request["input"][-1:]
        if turn.compacts and any(item.get("type") == "compaction_trigger" for item in last):
            yield from self._compaction()
            return
        # What is cut off is what came last.
        status = "incomplete" if turn.stopped_by else "completed"
        if turn.reasoning:
            yield from self._reasoning()
        if turn.text:
            yield from self._message("completed" if turn.calls else status)
        for call in turn.calls:
            yield from self._call(call, status if call is turn.calls[-1] else "completed")

    def _compaction(self) -> Iterator[_Event]:
        """Yield the conversation so far, as the blob that stands for it from now on."""
        sealed = blob(self._turn.text)
        item = {"id": self._new_id("cmp"), "type": "compaction", "encrypted_content": sealed}
        at = {"output_index": next(self._indexes)}
        yield "response.output_item.added", {**at, "item": item}
        yield "response.output_item.done", {**at, "item": item}

    def _reasoning(self) -> Iterator[_Event]:
        """Yield what the model thought, of which only a summary may be read, if asked for."""
        item: Json = {"id": self._new_id("rs"), "type": "reasoning", "content": []}
        sealed = "reasoning.encrypted_content" in (self._request.get("include") or ())
        before = {"encrypted_content": blob(item["id"])} if sealed else {}
        after = {"encrypted_content": blob(item["id"] + self._turn.reasoning)} if sealed else {}
        summary: list[Json] = []
        at = {"output_index": next(self._indexes)}
        yield "response.output_item.added", {**at, "item": {**item, **before, "summary": []}}
        if (self._request.get("reasoning") or {}).get("summary"):
            here = {**at, "item_id": item["id"], "summary_index": 0}
            text = self._turn.reasoning
            summary = [{"type": "summary_text", "text": text}]
            empty = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**here, "part": empty}
            for piece in pieces(text, self._turn.reasoning_chunks):
                yield "response.reasoning_summary_text.delta", {**here, **_delta(piece)}
            yield "response.reasoning_summary_text.done", {**here, "text": text}
            yield "response.reasoning_summary_part.done", {**here, "part": summary[0]}
        yield "response.output_item.done", {**at, "item": {**item, **after, "summary": summary}}

    def _message(self, status: str) -> Iterator[_Event]:
        text = self._turn.text
        # `commentary` was recorded of the public API alone.
        phase = "commentary" if self._turn.calls else "final_answer"
        rest = {"phase": phase, "role": "assistant"}
        head = {"id": self._new_id("msg"), "type": "message"}
        at = {"output_index": next(self._indexes)}
        here = {**at, "content_index": 0, "item_id": head["id"]}
        begun = {**head, "status": "in_progress", "content": [], **rest}
        yield "response.output_item.added", {**at, "item": begun}
        yield "response.content_part.added", {**here, "part": _part("")}
        for piece in pieces(text):
            yield "response.output_text.delta", {**here, **_delta(piece), "logprobs": []}
        yield "response.output_text.done", {**here, "logprobs": [], "text": text}
        yield "response.content_part.done", {**here, "part": _part(text)}
        ended = {**head, "status": status, "content": [_part(text)], **rest}
        yield "response.output_item.done", {**at, "item": ended}

    def _call(self, call: Call, status: str) -> Iterator[_Event]:
        custom = call.kind == "custom"
        type, given, events = (
            ("custom_tool_call", "input", "response.custom_tool_call_input")
            if custom
            else ("function_call", "arguments", "response.function_call_arguments")
        )
        text = call.arguments_text
        item_id = self._new_id("ctc" if custom else "fc")
        namespace = {} if call.namespace is None else {"namespace": call.namespace}

        def item(status: str, said: str) -> Json:
            rest = {given: said, "call_id": call_id(call), "name": call.name, **namespace}
            return {"id": item_id, "type": type, "status": status, **_ordered(rest)}

        at = {"output_index": next(self._indexes)}
        here = {**at, "item_id": item_id}
        yield "response.output_item.added", {**at, "item": item("in_progress", "")}
        whole = 1 if self._turn.whole_calls else call.chunks
        for piece in pieces(text, whole):
            yield f"{events}.delta", {**here, **_delta(piece)}
        yield f"{events}.done", {**here, given: text}
        yield "response.output_item.done", {**at, "item": item(status, text)}

    # --- wire ------------------------------------------------------------------------------------

    def _event(self, kind: str, data: Json) -> bytes:
        event = _ordered({"type": kind, **data, "sequence_number": next(self._numbers)})
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), text.encode())

    def _new_id(self, prefix: str) -> str:
        """Return an id of the backend's form: the response's share, the time, something random."""
        now = int(time.time() * 65536)
        return f"{prefix}_{self._unique}{now:012x}81{secrets.token_hex(9)}"


def call_id(call: Call) -> str:
    """Return the id under which a scripted call goes out: always the same one."""
    padding = hashlib.sha256(call.id.encode()).hexdigest()
    return "call_" + (call.id + padding)[: max(24, len(call.id))]


def blob(secret: str) -> str:
    """Return what stands for `secret` on the wire: the same for the same, and of no use to others.

    It looks like the Fernet tokens that the backend hands out.
    """
    began = int(1.75e9).to_bytes(8)
    size = 16 * (1 + len(secret.encode()) // 16)
    sealed = hashlib.shake_256(secret.encode()).digest(16 + size + 32)
    return base64.urlsafe_b64encode(b"\x80" + began + sealed).decode()


def _delta(piece: str) -> Json:
    """Return a delta with padding, so that its length on the wire does not tell the word."""
    padding = random.choices(_ALPHABET, k=-len(piece) % _BLOCK)  # noqa: S311 - not to be guessed at
    return {"delta": piece, "obfuscation": "".join(padding)}


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _ordered(value: Json) -> Json:
    return dict(sorted(value.items(), key=lambda pair: (pair[0] != "type", pair[0])))


# --- the response object -------------------------------------------------------------------------


def _response(request: Json, id: str, created: int) -> Json:
    """Return the response as it begins: the request, with what it left open filled in."""
    reasoning = request.get("reasoning") or {}
    text = request.get("text") or {}
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": request["model"],
        "moderation": None,
        "output": [],
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": request.get("prompt_cache_key") or str(uuid.uuid4()),
        "prompt_cache_retention": "24h",
        "reasoning": {
            "context": reasoning.get("context") or "current_turn",
            "effort": reasoning.get("effort") or "medium",
            "mode": "standard",
            "summary": reasoning.get("summary"),
        },
        "safety_identifier": "user-emulator",
        "service_tier": request.get("service_tier") or "auto",
        "store": False,
        "temperature": 1.0,
        "text": {
            "format": _ordered(text.get("format") or {"type": "text"}),
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": request.get("tool_choice") or "auto",
        "tool_usage": {"image_gen": _NO_TOKENS, "web_search": {"num_requests": 0}},
        "tools": [_tool(tool) for tool in request.get("tools") or ()],
        "top_logprobs": 0,
        "top_p": 0.98,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _tool(tool: Json) -> Json:
    """Return a tool as it comes back, with those in its namespace."""
    if "tools" in tool:
        tool = {**tool, "tools": [_tool(inner) for inner in tool["tools"]]}
    if tool["type"] == "function":
        tool = {"description": None, "strict": True, **tool}
    return _ordered(tool)


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
