"""The server-sent-events wire format, incrementally: bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Knows nothing of JSON or of providers. Bytes may arrive cut anywhere; the events are the same.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST", "ServerSentEventDecoder", "TooLong"]

#: Bytes of one event; a chunk has hundreds, an image in one has millions.
LONGEST: Final = 16 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data: "
#: Of lines that end in a line feed, as all do here.
_BLANK_LINE: Final = b"\n\n"
_NEXT: Final = _BLANK_LINE + _DATA
#: As numbers, which are found ten times as fast in bytes as bytes are.
_LINE_FEED: Final = 0x0A
_CARRIAGE_RETURN: Final = 0x0D


class TooLong(ValueError):
    """An event of more than `LONGEST` bytes."""


class ServerSentEventDecoder:
    """Decodes a byte stream. Each byte is looked at a bounded number of times, however it is cut.

    At the end of input there is nothing to call: the specification discards an event that no
    blank line has ended ("any pending data must be discarded").
    """

    __slots__ = ("_after_cr", "_at_start", "_rest")

    def __init__(self) -> None:
        #: What no blank line has ended yet.
        self._rest = bytearray()
        self._after_cr = False
        self._at_start = True

    def receive_data(self, data: bytes) -> list[bytes]:
        """Return the data of the events that `data` completes, in order; raises `TooLong`.

        They keep their bytes: a character cut by the transport is whole again.
        """
        if self._after_cr or _CARRIAGE_RETURN in data:
            data = self._with_line_feeds(data)
        rest = self._rest
        end = data.rfind(_BLANK_LINE)
        if rest or end < 0:
            is_cut = end < 0 and not (rest.endswith(b"\n") and data.startswith(b"\n"))
            rest += data
            if is_cut:
                if len(rest) > LONGEST:
                    raise TooLong(f"an event of more than {LONGEST} bytes")
                return []
            data = bytes(rest)
            rest.clear()
            end = data.rfind(_BLANK_LINE)
        rest += data[end + len(_BLANK_LINE) :]
        if self._at_start:
            self._at_start = False
            return _parse(data[:end].removeprefix(_BOM))
        return _parse(data[:end])

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Return `data` with CR LF and CR as LF, also where a cut parted the CR LF."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if _CARRIAGE_RETURN in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data


def _parse(blocks: bytes) -> list[bytes]:
    """Return the data of events, which blank lines part."""
    # What every provider sends: nothing but events of a single data line.
    if blocks.startswith(_DATA):
        data = blocks[len(_DATA) :].split(_NEXT)
        for event in data:
            if _LINE_FEED in event:
                break
        else:
            return data
    parsed = (_parse_block(block) for block in blocks.split(_BLANK_LINE))
    return [data for data in parsed if data is not None]


def _parse_block(block: bytes) -> bytes | None:
    """Return the data of one event, None where the lines dispatch none."""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        # "If the line starts with a U+003A COLON character (:), ignore the line": the field is "".
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
    # "If the data buffer is an empty string, set the data buffer and the event type buffer to the
    # empty string and return": without a data line nothing is dispatched (with an empty one it is).
    return b"\n".join(data) if data else None
