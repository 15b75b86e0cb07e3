"""What a recorded answer says, read from its bytes in the dialect of either backend.

Whatever the bytes are, they can be read: what is no chunk and no event is told as odd.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.chat_stream import read_chat_stream
from harness.client import Event, read_events

__all__ = ["Part", "Reading", "Usage", "is_stream", "read_answer"]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that an answer says."""

    kind: Literal["reasoning", "text", "call", "other"]
    #: What it says; of a call the arguments or the input.
    text: str
    #: Of the tool; of something else its type.
    name: str = ""
    #: Of the call.
    id: str = ""
    #: What else is to be said of it: `commentary`, `not done`.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; None where the provider does not tell."""

    prompt: int | None
    cached: int | None
    completion: int | None
    reasoning: int | None


@dataclass(slots=True)
class Reading:
    """One answer."""

    parts: list[Part] = field(default_factory=list)
    #: The finish_reason, or the terminal event and why; None where the answer has none.
    finish: str | None = None
    usage: Usage | None = None
    #: Lines that are no chunk or event, or tell an error.
    odd: list[str] = field(default_factory=list)


def is_stream(body: bytes) -> bool:
    """Return whether there is a server-sent event in it, or the beginning of one."""
    return body.startswith((b"data:", b"event:", b":")) or b"\ndata:" in body


def read_answer(body: bytes, uri: str) -> Reading:
    """Return what the stream in `body` says, which answered a request to `uri`."""
    try:
        return _chat(body) if "/chat/completions" in uri else _responses(body)
    except RecursionError:
        return Reading(odd=["this stream has JSON that is nested too deeply to be read"])


# --- Chat Completions ----------------------------------------------------------------------------


def _chat(body: bytes) -> Reading:
    said = read_chat_stream(body)
    parts = []
    if said.reasoning:
        parts.append(Part("reasoning", said.reasoning))
    if said.text:
        parts.append(Part("text", said.text))
    parts += [Part("call", call.arguments, call.name, call.id) for call in said.calls]
    usage = None
    if isinstance(said.usage, dict):
        usage = Usage(
            _count(said.usage, "prompt_tokens"),
            _count(said.usage, "prompt_tokens_details", "cached_tokens"),
            _count(said.usage, "completion_tokens"),
            _count(said.usage, "completion_tokens_details", "reasoning_tokens"),
        )
    finish = None if said.finish_reason is None else str(said.finish_reason)
    return Reading(parts, finish, usage, list(_no_chunks(body)) if said.broken else [])


def _no_chunks(body: bytes) -> Iterator[str]:
    """Yield the lines that are no chunk, or not only one."""
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        if name != b"data" or value.strip() == b"[DONE]":
            continue
        try:
            chunk = json.loads(value)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict) or "error" in chunk or "choices" not in chunk:
            yield line.decode(errors="replace")


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    value: Any = usage
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    # More than a float holds cannot be reckoned with.
    return value if isinstance(value, int) and abs(value) < 2**53 else None


# --- Responses -----------------------------------------------------------------------------------

#: Events that add to an item, by the end of their names.
_DELTA: Final = ".delta"

#: The events that end a stream.
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")


def _responses(body: bytes) -> Reading:
    reading = Reading()
    items: dict[str, dict[str, Any]] = {}
    done: dict[str, bool] = {}
    deltas: dict[str, str] = {}
    for event in read_events(body):
        if event.data is None:
            if event.raw.strip() and not event.raw.startswith(b":"):
                reading.odd.append(event.raw.decode(errors="replace"))
            continue
        item, response = event["item"], event["response"]
        if event.type.startswith("response.output_item.") and isinstance(item, dict):
            key = _place(event, item.get("id"))
            items[key] = item
            done[key] = event.type.endswith(".done")
        elif event.type.endswith(_DELTA) and isinstance(event["delta"], str):
            key = _place(event, event["item_id"])
            deltas[key] = deltas.get(key, "") + event["delta"]
        elif event.type in _TERMINAL and isinstance(response, dict):
            reading.finish = _why(event, response)
            reading.usage = _usage(response)
        elif event.type == "error":
            reading.odd.append(event.raw.decode(errors="replace"))
    for key, item in items.items():
        reading.parts += _parts(item) if done[key] else _open_parts(item, deltas.get(key, ""))
    return reading


def _place(event: Event, id: object) -> str:
    """Return which item an event is about: by its index, else by its id."""
    index = event["output_index"]
    return f"index {index}" if isinstance(index, int) else f"id {id or event.number}"


def _parts(item: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what an item that is done says."""
    match item.get("type"):
        case "message":
            phase = item.get("phase")
            for part in _list(item.get("content")):
                refused = "refusal" in part
                text = str(part.get("refusal") if refused else part.get("text", ""))
                notes = [phase] if isinstance(phase, str) and phase != "final_answer" else []
                yield Part("text", text, note=", ".join(notes + ["refusal"] * refused))
        case "reasoning":
            texts = [*_list(item.get("summary")), *_list(item.get("content"))]
            text = "\n".join(str(part.get("text", "")) for part in texts)
            encrypted = item.get("encrypted_content")
            note = f"{len(encrypted):,} characters encrypted" if isinstance(encrypted, str) else ""
            yield Part("reasoning", text, note=note)
        case "function_call" | "custom_tool_call":
            said = item.get("arguments", item.get("input", ""))
            name = ".".join(str(item[key]) for key in ("namespace", "name") if item.get(key))
            yield Part("call", str(said), name, str(item.get("call_id", "")))
        case kind:
            rest = {name: value for name, value in item.items() if name not in ("type", "id")}
            yield Part("other", json.dumps(rest, ensure_ascii=False), str(kind))


def _open_parts(item: Mapping[str, Any], said: str) -> Iterator[Part]:
    """Yield what had come of an item that was never done."""
    kind = item.get("type")
    if kind == "message":
        yield Part("text", said, note="not done")
    elif kind == "reasoning":
        yield Part("reasoning", said, note="not done")
    else:
        name, id = str(item.get("name", kind)), str(item.get("call_id", ""))
        yield Part("call" if "call" in str(kind) else "other", said, name, id, "not done")


def _list(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _why(event: Event, response: Mapping[str, Any]) -> str:
    error, details = response.get("error"), response.get("incomplete_details")
    if isinstance(error, dict):
        return f"{event.type}: {error.get('code')}: {error.get('message')}"
    if isinstance(details, dict):
        return f"{event.type}: {details.get('reason')}"
    return event.type


def _usage(response: Mapping[str, Any]) -> Usage | None:
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    return Usage(
        _count(usage, "input_tokens"),
        _count(usage, "input_tokens_details", "cached_tokens"),
        _count(usage, "output_tokens"),
        _count(usage, "output_tokens_details", "reasoning_tokens"),
    )
