"""What a provider said, read from the bytes of its stream, independently of any proxy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["Piece", "Said", "SaidCall", "read_chat_stream"]


class Piece(NamedTuple):
    """A delta: a piece of one of the things that a model says."""

    kind: Literal["reasoning", "text", "call"]
    text: str
    #: In which chunk it came, counted from 0 as events of the stream.
    chunk: int
    #: How many bytes of the stream must have come for it to be whole.
    end: int
    #: Which call it is of: its place among the calls.
    call: int | None = None


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
    #: All of it once more, delta by delta.
    pieces: list[Piece] = field(default_factory=list, compare=False)

    def chunk_of(self, kind: str, characters: int, *, call: int | None = None) -> int | None:
        """Return the chunk with the next character of `kind` after so many of them."""
        for piece in self.pieces:
            if piece.kind == kind and (call is None or piece.call == call):
                characters -= len(piece.text)
                if characters < 0:
                    return piece.chunk
        return None


def read_chat_stream(body: bytes) -> Said:
    """Return what the Chat Completions stream in `body` says."""
    said = Said()
    calls: dict[int, SaidCall] = {}
    chunk, end = -1, 0
    for line in body.split(b"\n"):
        end += len(line) + 1
        field_name, _, value = line.partition(b":")
        value = value.strip()
        if field_name == b"data" and value != b"[DONE]":
            chunk += 1
            blank = 2 if line.endswith(b"\r") else 1
            try:
                _take(json.loads(value), said, calls, chunk, min(end + blank, len(body)))
            except (ValueError, TypeError, AttributeError, KeyError):
                said.broken = True  # no JSON, or JSON of another shape
    said.calls = list(calls.values())
    return said


def _take(
    data: dict[str, Any], said: Said, calls: dict[int, SaidCall], chunk: int, end: int
) -> None:
    said.broken |= "error" in data
    for choice in data.get("choices") or ():
        delta = choice.get("delta") or {}
        if reasoning := delta.get("reasoning") or "":
            said.reasoning += reasoning
            said.pieces.append(Piece("reasoning", reasoning, chunk, end))
        if text := delta.get("content") or "":
            said.text += text
            said.pieces.append(Piece("text", text, chunk, end))
        for fragment in delta.get("tool_calls") or ():
            call = calls.setdefault(fragment["index"], SaidCall())
            function = fragment.get("function", {})
            call.id += fragment.get("id") or ""
            call.name += function.get("name") or ""
            arguments = function.get("arguments") or ""
            call.arguments += arguments
            place = list(calls).index(fragment["index"])
            said.pieces.append(Piece("call", arguments, chunk, end, place))
        said.finish_reason = choice.get("finish_reason") or said.finish_reason
    said.usage = data.get("usage") or said.usage
