"""What the log tells of an exchange that the proxy only passes on: its models, tokens and end.

Looked at is what has passed, never what still has to: the beginning of a request, which names the
model, once all is over; of a stream the last event alone, which sums it up.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

import msgspec

from proxy.content_encoding import beginning
from proxy.record import Record

__all__ = ["Overheard"]

#: Bytes of a request that are looked at.
_BEGINNING: Final = 256 * 1024

#: Bytes of an event, or of an answer that is no stream: one that is longer is not looked at.
_LONGEST: Final = 1024 * 1024

#: Bytes that may come before the last event, until it is looked for.
_ENOUGH: Final = 32 * 1024

#: Bytes that a piece takes beside what is in it.
_PIECE: Final = 64

#: No backend counts further.
_HIGHEST: Final = 2**53

#: Characters of a word that the backend chose.
_LONGEST_WORD: Final = 200

#: A request as Codex writes it, which may be longer than what is looked at.
_MODEL_FIRST: Final = re.compile(rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.)*+")')

#: What reading raises: no JSON or another shape, no text or no such encoding, nested too deeply.
_ODD: Final = (msgspec.MsgspecError, ValueError, RecursionError)

_ENDS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "error": "failed",
}


class _Request(msgspec.Struct):
    model: str = ""


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None


class _Error(msgspec.Struct):
    code: str | None = None
    type: str | None = None


class _Response(msgspec.Struct):
    """A response, or the whole body of an answer."""

    id: str = ""
    model: str = ""
    usage: _Usage | None = None
    error: _Error | None = None


class _Event(msgspec.Struct):
    type: str = ""
    #: Of all events of the backend, from 0 on; servers like it may have none.
    sequence_number: Any = None
    response: _Response | None = None
    error: _Error | None = None


class Overheard:
    """Completes the record of one exchange with the backend."""

    def __init__(self, record: Record) -> None:
        self._record = record
        #: The last whole event and what has come since; before them what nobody has looked at yet.
        self._pieces: list[bytes] = []
        #: Bytes that they take.
        self._length = 0
        #: Bytes at which the last event is looked for.
        self._enough = _ENOUGH

    def receive(self, data: bytes) -> None:
        """Take some of the answer's body."""
        self._pieces.append(data)
        self._length += len(data) + _PIECE
        if self._length >= self._enough:
            self._forget()

    def close(self, request: bytes, content_encoding: str) -> None:
        """Note what is known now; what has another shape is not told."""
        record = self._record
        with suppress(*_ODD):
            record.asked = _model(beginning(request, content_encoding, _BEGINNING))
        with suppress(*_ODD):
            self._note(b"".join(self._pieces))

    def _forget(self) -> None:
        """Keep the last whole event and what has come since: of a large piece that is little."""
        last = _last(self._pieces[-1])
        if not last:
            data = b"".join(self._pieces)
            last = _last(data) or data
        if len(last) > _LONGEST:
            last = last[-1:]  # half of what ends an event
            self._record.events = None
        self._pieces = [last]
        self._length = len(last)
        self._enough = max(_ENOUGH, 2 * len(last))

    def _note(self, data: bytes) -> None:
        *_, last, rest = b"", *data.rsplit(b"\n\n", 2)
        lines = [line[5:] for line in last.split(b"\n") if line.startswith(b"data:")]
        record = self._record
        if lines:
            record.events = None
            event = msgspec.json.decode(b"\n".join(lines), type=_Event)
            if (number := _count(event.sequence_number)) is not None:
                record.events = number + 1
            if rest:  # it was not the last: the stream has broken off
                return
            response = event.response or _Response(error=event.error)
            record.outcome = _ENDS.get(event.type, "")
        else:
            if b"\n\n" in data:  # a comment, most likely: what was before it is forgotten
                record.events = None
            response = msgspec.json.decode(data, type=_Response)
            record.events = 0
        record.id = response.id[:_LONGEST_WORD]
        record.used = response.model
        if response.usage is not None:
            record.input_tokens = _count(response.usage.input_tokens)
            record.output_tokens = _count(response.usage.output_tokens)
        if (error := response.error) is not None:
            record.code = (error.code or error.type or "")[:_LONGEST_WORD]


def _count(value: object) -> int | None:
    """Return a number of things; None for anything else, which no sum could be made of."""
    return value if type(value) is int and 0 <= value <= _HIGHEST else None


def _last(data: bytes) -> bytes:
    """Return the last whole event and what comes after it; nothing if it begins before `data`."""
    begin = data.rfind(b"\n\n", 0, data.rfind(b"\n\n"))
    return b"" if begin < 0 else data[begin + 2 :]


def _model(request: bytes) -> str:
    """Return the model that the beginning of a request names; raises what is in `_ODD`."""
    if (first := _MODEL_FIRST.match(request)) is not None:
        return msgspec.json.decode(first[1], type=str)
    return msgspec.json.decode(request, type=_Request).model
