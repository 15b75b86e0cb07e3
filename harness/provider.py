"""The provider's edge on loopback: what a proxy under test is configured to call.

One component serves both jobs. In replay a transport answers from a cassette; in recording the same
transport asks the real provider, or the emulator, and the bytes pass through as they come.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from harness.server import BreakConnection, LoopbackServer, read_body
from harness.transport import Miss, difference

__all__ = ["MISS_STATUS", "Provider"]

#: No real provider's status: a request that is in no recording cannot be taken for an answer.
MISS_STATUS: Final = 599

#: Seconds that an answer under way is waited for.
_PATIENCE: Final = 10.0

#: What belongs to one hop, or is set anew by the server.
_HOP_BY_HOP: Final = frozenset(
    {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}
)


class Provider(LoopbackServer):
    """A provider under `url` + `/v1`; what it answers comes from `transport`, or from `play`."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        upstream: str = "http://provider/v1",
    ) -> None:
        super().__init__(self._app)
        self._transport = transport
        self._upstream = httpx.URL(upstream)
        self._open = 0
        self._settled = threading.Condition()
        #: Bodies of the requests that came, as JSON where they are.
        self.requests: list[Any] = []
        #: Their `authorization` headers, empty where there was none.
        self.credentials: list[str] = []
        #: What is wrong with those that are in no recording.
        self.misses: list[str] = []

    @property
    def base_url(self) -> str:
        """What the proxy under test gets as its provider's base URL."""
        return f"{self.url}/v1"

    def settle(self) -> None:
        """Wait until no answer is under way: a client may have all of it a moment before."""
        with self._settled:
            self._settled.wait_for(lambda: self._open == 0, timeout=_PATIENCE)

    def play(self, transport: httpx.AsyncBaseTransport) -> None:
        """Answer from `transport` from now on, and forget what came before."""
        self._transport = transport
        self.requests = []
        self.credentials = []
        self.misses = []

    async def _stop(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = await read_body(receive)
        self.requests.append(_parsed(body))
        self.credentials.append(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        with self._answering():
            await self._play(scope, body, send)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with self._settled:
            self._open += 1
        try:
            yield
        finally:
            with self._settled:
                self._open -= 1
                self._settled.notify_all()

    async def _play(
        self,
        scope: MutableMapping[str, Any],
        body: bytes,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        request = httpx.Request(
            scope["method"],
            self._upstream.copy_with(
                path=self._upstream.path + scope["path"].removeprefix("/v1"),
            ),
            headers=_end_to_end(scope["headers"]),
            content=body,
        )
        answer = await self._answer(request)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": _end_to_end(answer.headers.raw),
            }
        )
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        try:
            async for chunk in answer.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.TransportError as error:
            # Without the final chunk: that is how a broken stream looks on the wire.
            raise BreakConnection from error
        finally:
            await answer.stream.aclose()
        await send({"type": "http.response.body"})

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        assert self._transport is not None, "nothing to play"
        try:
            return await self._transport.handle_async_request(request)
        except Miss as miss:
            self.misses.append(difference(miss))
        except httpx.TransportError as error:
            self.misses.append(f"{request.url} cannot be reached: {error}")
        # The error of a provider, in its own shape, so that the proxy passes the reason on.
        content = {"message": self.misses[-1], "type": "conformance"}
        return httpx.Response(MISS_STATUS, json=content)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (name, value)
        for name, value in headers
        if name.lower().decode("latin-1") not in _HOP_BY_HOP
    ]
