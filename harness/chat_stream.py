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
        if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
            continue
        try:
            chunk = json.loads(line.removeprefix(b"data:"))
        except ValueError:
            said.broken = True
            continue
        said.broken |= "error" in chunk
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta", {})
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
    said.calls = list(calls.values())
    return said
