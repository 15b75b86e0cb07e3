"""What the log tells of an exchange that the proxy only passes on: its models, tokens and end.

Looked at is what has passed, never what still has to: the beginning of a request, which names the
model, once all is over; of a stream the last event alone, which sums it up.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from typing import Final

import msgspec

from proxy.content_encoding import beginning
from proxy.record import Record

__all__ = ["Overheard"]

#: Bytes of a request that are looked at.
_BEGINNING: Final = 256 * 1024

#: Bytes of an event, or of an answer that is no stream: one that is longer is not looked at.
_LONGEST: Final = 1024 * 1024

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
    input_tokens: int | None = None
    output_tokens: int | None = None


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
    response: _Response | None = None
    error: _Error | None = None


class Overheard:
    """Completes the record of one exchange with the backend."""

    def __init__(self, record: Record) -> None:
        self._record = record
        #: The last event, and the beginning of what comes after it.
        self._last = bytearray()
        #: True where the answer has come to the middle of a line.
        self._in_line = False

    def receive(self, data: bytes) -> None:
        """Take some of the answer's body."""
        self._record.events += _blank_lines(data) - (self._in_line and data.startswith(b"\n"))
        self._in_line = not data.endswith(b"\n")
        last = self._last
        new = max(len(last) - 1, 0)
        last += data
        end = last.rfind(b"\n\n", new)
        if end >= 0:
            if end + 2 == len(last):
                end = last.rfind(b"\n\n", 0, end)
            if end >= 0:
                del last[: end + 2]
        if len(last) > _LONGEST:
            del last[:-1]  # half of what ends an event

    def close(self, request: bytes, content_encoding: str) -> None:
        """Note what is known now; what has another shape is not told."""
        record = self._record
        with suppress(*_ODD):
            record.asked = _model(beginning(request, content_encoding, _BEGINNING))
        with suppress(*_ODD):
            self._note(bytes(self._last))

    def _note(self, last: bytes) -> None:
        lines = [line[5:] for line in last.split(b"\n") if line.startswith(b"data:")]
        if lines:
            event = msgspec.json.decode(b"\n".join(lines), type=_Event)
            response = event.response or _Response(error=event.error)
            self._record.outcome = _ENDS.get(event.type, "")
        else:
            response = msgspec.json.decode(last, type=_Response)
        record = self._record
        record.id = response.id[:_LONGEST_WORD]
        record.used = response.model
        if response.usage is not None:
            record.input_tokens = response.usage.input_tokens
            record.output_tokens = response.usage.output_tokens
        if (error := response.error) is not None:
            record.code = (error.code or error.type or "")[:_LONGEST_WORD]


def _blank_lines(data: bytes) -> int:
    """Return how often an event ends. Lines are found five times as fast as bytes are counted."""
    return io.BytesIO(data).readlines().count(b"\n")


def _model(request: bytes) -> str:
    """Return the model that the beginning of a request names; raises what is in `_ODD`."""
    if (first := _MODEL_FIRST.match(request)) is not None:
        return msgspec.json.decode(first[1], type=str)
    return msgspec.json.decode(request, type=_Request).model
