"""What a provider said, read from the bytes of its stream, independently of any proxy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Said", "SaidCall", "read_chat_stream"]


@dataclass(slots=True)
class SaidCall:
    """One tool call, its fragments joined."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Said:
    """One answer of a model, its deltas joined."""

    reasoning: str = ""
    text: str = ""
    #: In order of first appearance.
    calls: list[SaidCall] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    #: True where the stream holds an error or something that is no chunk.
    broken: bool = False


def read_chat_stream(body: bytes) -> Said:
    """Return what the Chat Completions stream in `body` says."""
    said = Said()
    calls: dict[int, SaidCall] = {}
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        field_name, _, value = line.partition(b":")
        if field_name == b"data" and value.strip() != b"[DONE]":
            try:
                _take(json.loads(value), said, calls)
            except (ValueError, TypeError, AttributeError, KeyError):
                said.broken = True  # no JSON, or JSON of another shape
    said.calls = list(calls.values())
    return said


def _take(chunk: dict[str, Any], said: Said, calls: dict[int, SaidCall]) -> None:
    said.broken |= "error" in chunk
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        said.reasoning += delta.get("reasoning") or ""
        said.text += delta.get("content") or ""
        for fragment in delta.get("tool_calls") or ():
            call = calls.setdefault(fragment["index"], SaidCall())
            function = fragment.get("function", {})
            call.id += fragment.get("id") or ""
            call.name += function.get("name") or ""
            call.arguments += function.get("arguments") or ""
        said.finish_reason = choice.get("finish_reason") or said.finish_reason
    said.usage = chunk.get("usage") or said.usage
