"""What Codex asks for, and what a provider is asked in turn, for the tests of `proxy/`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from harness.schema import check
from proxy.request import decode_request
from proxy.settings import Settings
from proxy.translate import translate

Json = dict[str, Any]


SETTINGS = Settings(api_key="csk-unused", model="the-configured-model")


def sent(*, settings: Settings = SETTINGS, compacts: bool = False, **request: Any) -> Json:
    """Return the body sent to the provider for a request with these fields; it must be valid."""
    translation = translate(decode_request(body(**request)), settings, compacts=compacts)
    translated: Json = json.loads(msgspec.json.encode(translation.chat_request))
    assert check(translated, "chat/request.json") == []
    return translated


def body(**request: Any) -> bytes:
    """Return what Codex sends for a request with these fields."""
    return json.dumps({"model": "gpt-oss-120b", "input": "Hi", "stream": True, **request}).encode()


def messages(*items: Json, **request: Any) -> list[Json]:
    """Return the messages sent to the provider for a conversation of these items."""
    translated: list[Json] = sent(input=list(items), **request)["messages"]
    return translated


# --- items of a conversation ---------------------------------------------------------------------


def says(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def thinks(text: str) -> Json:
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": None}


def calls(call_id: str, name: str = "shell", arguments: str = "{}") -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def calls_custom(call_id: str, input: str, name: str = "apply_patch") -> Json:
    return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": input}


def returns(call_id: str, output: object = "done", type: str = "function_call_output") -> Json:
    return {"type": type, "call_id": call_id, "output": output}


# --- messages of a chat --------------------------------------------------------------------------


def called(*ids: str) -> list[Json]:
    """Return the `tool_calls` for these calls of `calls`."""
    function = {"name": "shell", "arguments": "{}"}
    return [{"type": "function", "id": id, "function": function} for id in ids]


def result(call_id: str, content: str = "done") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}
