"""The client of the bench: one connection, and bytes with the time at which each read of them came.

It looks at nothing while it measures; what came is taken apart afterwards.
"""

from __future__ import annotations

import asyncio
import bisect
import functools
import itertools
import re
import time
from typing import Any, Final, cast

import msgspec

from harness.bench.traffic import BURST, KINDS, Plan, pieces, stream

__all__ = ["Answer", "Connection"]

#: The end of a chunked body.
_END: Final = b"\r\n0\r\n\r\n"

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

#: What stands where a delta says something: at a provider, or at a proxy.
_DELTA: Final = re.compile(
    rb'"(?:content|reasoning|arguments)": ?"[^"]|"type": ?"response\.\w+\.delta"'
)
_STAMP: Final = re.compile(rb"@(\d+)@")


class Answer:
    """What came for one request. Times are in nanoseconds, on the clock of `time.monotonic_ns`."""

    def __init__(self) -> None:
        #: When each read came, and what it brought.
        self.times: list[int] = []
        self.reads: list[bytes] = []
        #: True where the connection was closed before the answer's end.
        self.broken = False
        self.asked_at = time.monotonic_ns()

    @property
    def seconds(self) -> float:
        """From the request to the last byte."""
        return (self.times[-1] - self.asked_at) / 1e9 if self.times else 0.0

    @property
    def first_delta(self) -> float | None:
        """Milliseconds from the request to the first delta, if there is one."""
        first = _DELTA.search(self._whole)
        return None if first is None else (self._time_at(first.end()) - self.asked_at) / 1e6

    def latencies(self) -> list[float]:
        """Return the milliseconds that each delta of a paced stream was under way."""
        sent: dict[int, int] = {}
        for stamp in _STAMP.finditer(self._whole):
            sent.setdefault(int(stamp[1]), stamp.end())  # it comes again when the item is done
        return [(self._time_at(end) - at) / 1e6 for at, end in sent.items()]

    def fault(self, plan: Plan) -> str | None:
        """Return what is wrong with an answer to `plan`; None where all of it came, and ended."""
        if self.broken:
            return "the connection was closed"
        if not self._whole.startswith(b"HTTP/1.1 200"):
            return f"HTTP {self._whole[9:12].decode(errors='replace')}"
        body = _body(self._whole)
        if body.startswith(b'data: {"id"'):
            # The provider itself, or what passes all of it on; in a paced stream are its times.
            is_same = plan.pace > 0 or body == _whole(plan)
            return None if is_same else "the bytes are others"
        events = _events(body)
        deltas = [event["delta"] for event in events if event.get("type") in KINDS[plan.kind]]
        if len(deltas) != plan.deltas:
            return f"{len(deltas)} of {plan.deltas} deltas"
        if plan.pace == BURST and "".join(deltas) != "".join(pieces(plan.kind, plan.deltas)):
            return "the text is another"
        last = events[-1].get("type") if events else "missing"
        return None if last == "response.completed" else f"the last event is {last}"

    @functools.cached_property
    def _whole(self) -> bytes:
        return b"".join(self.reads)

    @functools.cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(map(len, self.reads)))

    def _time_at(self, offset: int) -> int:
        """Return when the byte before `offset` came."""
        return self.times[bisect.bisect_left(self._ends, offset)]


class Connection(asyncio.Protocol):
    """One connection to a subject, for one request after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer = Answer()
        self._ended: asyncio.Future[None] | None = None
        self._until: bytes | None = None

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Return a connection to `port` on loopback."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    async def ask(self, path: str, body: bytes, *, until: bytes | None = None) -> Answer:
        """POST `body`; return the answer at its end, or as soon as a read has `until` in it."""
        assert self._transport is not None
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "authorization: Bearer k\r\n\r\n"
        )
        self._until = until
        self._ended = asyncio.get_running_loop().create_future()
        self._answer = Answer()
        if self._transport.is_closing():
            self._answer.broken = True
        else:
            self._transport.write(head.encode() + body)
            await self._ended
        return self._answer

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._answer.broken = True
            self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        answer.times.append(time.monotonic_ns())
        answer.reads.append(data)
        if self._is_last(data) and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _is_last(self, data: bytes) -> bool:
        if self._until is not None:
            return self._until in data
        reads = self._answer.reads
        if len(reads) == 1:
            # An error has a length, and comes in one read; a stream has none.
            length = _LENGTH.search(data, 0, data.find(b"\r\n\r\n"))
            if length is not None:
                return True
        return data.endswith(_END) or (
            len(data) < len(_END) and b"".join(reads[-len(_END) :]).endswith(_END)
        )


@functools.lru_cache(maxsize=2)
def _whole(plan: Plan) -> bytes:
    """Return a whole stream; to make up a long one takes longer than to measure it."""
    return b"".join(stream(plan))


def _body(answer: bytes) -> bytes:
    """Return the body of a chunked answer."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    parts: list[bytes] = []
    at = 0
    while (line := rest.find(b"\r\n", at)) > 0:
        size = int(rest[at:line].partition(b";")[0], 16)
        parts.append(rest[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return b"".join(parts)


def _events(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, but for `[DONE]`."""
    data = re.findall(rb"^data: ?(\{.*)$", body, re.MULTILINE)
    return [msgspec.json.decode(event) for event in data]
