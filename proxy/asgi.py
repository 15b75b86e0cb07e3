"""The client's side of one request, in ASGI's messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from proxy.content_encoding import LONGEST, TooLong
from proxy.failures import http_error

__all__ = ["Client", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Seconds that a provider has, after the terminal event, to end its stream; then the connection
#: can serve the next turn.
_DRAIN: Final = 1.0


class Client:
    """Reads the request of one client and sends it one answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        #: True once a status was sent: from then on a failure travels in the stream.
        self.started = False
        #: True while bytes wait for a client that reads slowly.
        self.busy = False
        #: When something was sent last, on the loop's clock.
        self.last_sent = asyncio.get_running_loop().time()
        self._ended = False

    def header(self, name: str) -> str:
        """Return a header of the request, empty where there is none."""
        return self._headers.get(name.encode(), b"").decode("latin-1")

    async def read(self) -> bytes | None:
        """Return the request's body; None where the client left before its end."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > LONGEST:
                raise TooLong(f"the body is longer than {LONGEST} bytes")
            if not message.get("more_body"):
                return bytes(body)

    async def left(self) -> None:
        """Return when the client has left, or a while after it got all of its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._ended:
            await asyncio.sleep(_DRAIN)

    async def send_events(self, data: bytes, *, more: bool) -> None:
        """Send some of an event stream, with its head before the first; after its end, nothing."""
        if self._ended:
            return
        if not self.started:
            await self._start(200, b"text/event-stream; charset=utf-8")
        if data or not more:
            self._ended = not more
            self.busy = True
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
            self.busy = False
            self.last_sent = asyncio.get_running_loop().time()

    async def send_json(
        self, body: bytes, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Send a complete answer."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, b"application/json", length, *headers)
        self._ended = True
        await self._send({"type": "http.response.body", "body": body})

    async def send_error(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Send a complete HTTP error."""
        type = "invalid_request_error" if status < 500 and status != 429 else "server_error"
        body = http_error(message, code=code or type, type=type, param=param)
        waits = () if retry_after is None else ((b"retry-after", str(retry_after).encode()),)
        await self.send_json(body, status=status, headers=waits)

    async def _start(self, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        self.started = True
        headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), *more]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
