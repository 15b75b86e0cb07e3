"""The provider of the bench, as a process of its own: it prints its port, and serves until it ends.

Below HTTP libraries, so that it is never what is measured: a stream is rendered once, each event an
HTTP chunk of its own as at Cerebras, and written in one go. A paced stream is written by a thread,
because timers of an event loop know whole milliseconds only; each of its deltas says when it was
sent, on the clock that all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import threading
import time
from typing import Final, cast

import uvloop

from harness.bench.traffic import BULK, HOLD, Plan, chunk, closing, opening, stream

__all__ = ["main"]

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_BULK: Final = 64 * 1024
_END: Final = b"0\r\n\r\n"
_HEALTHY: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One connection: takes a request after the other, and answers each by its plan."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._gone = threading.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or not _is_whole(bytes(head).lower(), body):
            return
        self._received.clear()
        assert self._transport is not None
        if not head.startswith(b"POST"):
            self._transport.write(_HEALTHY if head.startswith(b"GET /health ") else _NOT_FOUND)
            return
        plan = Plan.of(bytes(body))
        if plan.pace > 0:
            fd = self._transport.get_extra_info("socket").fileno()
            threading.Thread(target=_pace, args=(plan, fd, self._gone), daemon=True).start()
        else:
            self._transport.write(_rendered(plan))


def _is_whole(head: bytes, body: bytearray) -> bool:
    _, has_length, length = head.partition(b"content-length:")
    if has_length:
        return len(body) >= int(length.split(b"\r\n", 1)[0])
    return b"transfer-encoding: chunked" not in head or body.endswith(_END)


@functools.lru_cache(maxsize=16)
def _rendered(plan: Plan) -> bytes:
    parts = stream(plan)
    if plan.pace == BULK:
        whole = b"".join(parts)
        parts = [whole[at : at + _BULK] for at in range(0, len(whole), _BULK)]
    return _HEAD + b"".join(map(_http_chunk, parts)) + (b"" if plan.pace == HOLD else _END)


def _pace(plan: Plan, fd: int, gone: threading.Event) -> None:
    """Write a stream at its pace; nothing else writes to `fd` meanwhile."""
    os.write(fd, _HEAD + b"".join(map(_http_chunk, opening(plan.kind))))
    start = time.monotonic()
    for number in range(plan.deltas):
        time.sleep(max(0.0, start + number / plan.pace - time.monotonic()))
        if gone.is_set():
            return
        os.write(fd, _http_chunk(chunk(plan.kind, f"@{time.monotonic_ns()}@")))
    os.write(fd, b"".join(map(_http_chunk, closing(plan.kind))) + _END)


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
