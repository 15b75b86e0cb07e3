"""The least that can stand between a client and a provider: it copies bytes, and looks at none.

What a pass through Python and its event loop costs on a machine, before anything is done for it.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import cast

import uvloop

__all__ = ["main"]


class _Side(asyncio.Protocol):
    """One of the two connections; what comes on it goes out on the other."""

    def __init__(self, other: _Side | None = None) -> None:
        self._transport: asyncio.Transport | None = None
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._other is not None:
            self._other.transport.close()

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def other(self) -> _Side:
        assert self._other is not None
        return self._other

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()


class _Client(_Side):
    """The client's connection; what comes before the other one is there waits for that."""

    def __init__(self, upstream: int) -> None:
        super().__init__()
        self._upstream = upstream
        self._early: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
        else:
            super().data_received(data)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(partial(_Side, self), "127.0.0.1", self._upstream)
        _, self._other = await connecting
        self._other.transport.writelines(self._early)


async def _serve(port: int, upstream: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(_Client, upstream), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve on the port named first, from the one named second, until the process is ended."""
    port, upstream = map(int, sys.argv[1:])
    uvloop.run(_serve(port, upstream))


if __name__ == "__main__":
    main()
