"""A server that hands each request on, and the answer back chunk by chunk as it comes.

It sits on one of the proxy's edges: on the provider's, where a cassette answers or what answers is
recorded (`provider.py`), and on the client's, where what the client says is taken down.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from harness.server import BreakConnection, LoopbackServer, Receive, Scope, Send, read_body

__all__ = ["Asked", "ClientEdge", "Edge", "end_to_end"]

#: Seconds that an answer under way is waited for.
_PATIENCE: Final = 10.0

#: What belongs to one hop, or is set anew by the server.
_HOP_BY_HOP: Final = frozenset(
    {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: httpx.Headers
    body: bytes


class Edge(LoopbackServer):
    """Hands requests on to `transport`, below the base URL `upstream`."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None,
        *,
        upstream: str,
        timeout: float | None = None,
        port: int = 0,
        leaves: bool = False,
    ) -> None:
        super().__init__(self._app, port=port)
        #: Whether an answer is broken off when whoever asked for it leaves.
        self._leaves = leaves
        #: Seconds of the upstream's silence.
        self._timeout = httpx.Timeout(timeout, connect=_PATIENCE)
        self._transport = transport
        self._upstream = httpx.URL(upstream)
        #: The answers under way.
        self._open: set[asyncio.Task[None]] = set()
        self._settled = threading.Condition()

    def settle(self, patience: float = _PATIENCE) -> None:
        """Wait until no answer is under way: a client may have all of it a moment before.

        One that still is after `patience` seconds is broken off, before it meets what comes next.
        """
        with self._settled:
            if not self._settled.wait_for(lambda: not self._open, timeout=patience):
                for answer in self._open:
                    answer.get_loop().call_soon_threadsafe(answer.cancel)
                self._settled.wait_for(lambda: not self._open, timeout=_PATIENCE)

    def _asked(self, asked: Asked) -> None:
        """Take down a request; for subclasses."""

    def _answered(self, asked: Asked) -> None:
        """Take down that the answer to a request is over; for subclasses."""

    def _passed(self, chunk: bytes) -> None:
        """Take down a chunk of an answer; for subclasses."""

    def _path(self, path: str) -> str:
        """Return where a path of this server is below the upstream."""
        return path

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        assert self._transport is not None, "there is nothing to play"
        return await self._transport.handle_async_request(request)

    async def _stop(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        asked = Asked(scope["method"], scope["path"], httpx.Headers(scope["headers"]), body)
        self._asked(asked)
        path = self._upstream.path.rstrip("/") + self._path(scope["path"])
        query = scope["query_string"]
        request = httpx.Request(
            scope["method"],
            self._upstream.copy_with(path=path, query=query or None),
            headers=end_to_end(scope["headers"]),
            content=body,
            extensions={"timeout": self._timeout.as_dict()},
        )
        with self._answering():
            playing = asyncio.create_task(self._play(request, receive, send))
            leaving = asyncio.create_task(_left(receive)) if self._leaves else None
            try:
                tasks = {playing} if leaving is None else {playing, leaving}
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                self._answered(asked)
        if not playing.cancelled():
            playing.result()

    async def _play(self, request: httpx.Request, receive: Receive, send: Send) -> None:
        answer: httpx.Response | None = None
        try:
            answer = await self._answer(request)
            headers = end_to_end(answer.headers.raw)
            status = answer.status_code
            await send({"type": "http.response.start", "status": status, "headers": headers})
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for chunk in answer.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._passed(chunk)
        except httpx.ReadTimeout:
            # That is how silence looks on the wire.
            await (asyncio.Event().wait() if self._leaves else _left(receive))
        except httpx.TransportError as error:
            raise BreakConnection(reset=isinstance(error, httpx.ReadError)) from error
        finally:
            if answer is not None:
                assert isinstance(answer.stream, httpx.AsyncByteStream)
                await answer.stream.aclose()
        await send({"type": "http.response.body"})

    @contextmanager
    def _answering(self) -> Iterator[None]:
        answer = asyncio.current_task()
        assert answer is not None
        with self._settled:
            self._open.add(answer)
        try:
            yield
        finally:
            with self._settled:
                self._open.remove(answer)
                self._settled.notify_all()


async def _left(receive: Receive) -> None:
    """Return when whoever asked has left, or has all of the answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that are not about one hop."""
    return [
        (name, value)
        for name, value in headers
        if name.lower().decode("latin-1") not in _HOP_BY_HOP
    ]


class ClientEdge(Edge):
    """The client's edge: stands in front of the proxy at `url`, and takes down what it is asked."""

    def __init__(
        self,
        url: str,
        *,
        on_request: Callable[[Asked], None],
        on_answered: Callable[[Asked], None] = lambda asked: None,
        on_chunk: Callable[[bytes], None] = lambda chunk: None,
        port: int = 0,
    ) -> None:
        super().__init__(httpx.AsyncHTTPTransport(), upstream=url, port=port, leaves=True)
        self._on_request = on_request
        self._on_answered = on_answered
        self._on_chunk = on_chunk

    def _asked(self, asked: Asked) -> None:
        self._on_request(asked)

    def _answered(self, asked: Asked) -> None:
        self._on_answered(asked)

    def _passed(self, chunk: bytes) -> None:
        self._on_chunk(chunk)
