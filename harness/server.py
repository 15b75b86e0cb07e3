"""An ASGI application on a free loopback port, for as long as a `with` lasts."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harness.errors import HarnessError

__all__ = ["BreakConnection", "LoopbackServer", "read_body"]


class BreakConnection(Exception):
    """Raised by an application to break off its answer: the connection closes, unfinished.

    With `reset` the other side is told that it was an accident (RST), else that there is no more
    to come (FIN). Raised before the head, there is no answer at all.
    """

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


def _is_worth_logging(record: logging.LogRecord) -> bool:
    error = record.exc_info and record.exc_info[1]
    return not isinstance(error, BreakConnection | asyncio.CancelledError)


# A break on purpose is no fault, nor is an answer that the end of the server cuts off.
logging.getLogger("uvicorn.error").addFilter(_is_worth_logging)


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Makes `close` send a reset.
_AT_ONCE: Final = struct.pack("ii", 1, 0)
#: Rounds of the loop in which a connection that is at rest is closed.
_ROUNDS: Final = 3
#: Seconds that what was sent has to arrive: a reset overtakes it.
_ON_ITS_WAY: Final = 0.02


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


class _Server(uvicorn.Server):
    """A server that calls `on_stop` when its last connection is closed, in its own loop.

    It ends as soon as it is told to: uvicorn's own looks ten times a second whether it was, and
    sleeps once more. A suite that starts a hundred of them would wait for that alone.
    """

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End it, from another thread; also before it has begun."""
        self.should_exit = True
        if (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            if not self.should_exit:
                await self._told.wait()
        finally:
            self._loop = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        if state.connections or state.tasks:
            await super().shutdown(sockets)
        # uvicorn leaves those be whose clients do not take what was sent: the loop would not end.
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await self._on_stop()


class LoopbackServer:
    """Serves `app` over real HTTP/1.1, one HTTP chunk for each body message, on a free port."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], *, port: int = 0
    ) -> None:
        self._application = app
        try:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        except (OSError, OverflowError) as error:
            raise HarnessError(f"cannot listen on port {port}: {error}") from None
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config, self._stop)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, send)
        except BreakConnection as broken:
            await self._break(scope, reset=broken.reset)
            raise

    async def _break(self, scope: Scope, *, reset: bool) -> None:
        connections = self._server.server_state.connections
        own = next(
            (
                one.transport
                for one in connections
                if isinstance(one, HttpToolsProtocol) and one.client == scope["client"]
            ),
            None,
        )
        if own is None:
            return  # whoever asked left first
        if reset:
            await asyncio.sleep(_ON_ITS_WAY)
            # uvloop's own socket object takes no options; a copy is the same connection.
            with socket.socket(fileno=os.dup(own.get_extra_info("socket").fileno())) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            own.abort()
        own.close()

    async def _stop(self) -> None:
        """Let go of what belongs to the server's loop; for subclasses that hold something."""

    @property
    def url(self) -> str:
        """The server's root, without a slash at its end."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        # Connections wait in the listener's backlog until the loop runs.
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join(timeout=10)
        self._listener.close()
