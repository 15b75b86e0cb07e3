"""Routes and wiring: a plain ASGI application; each request to it is one request upstream."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import httpx

from proxy import responses
from proxy.failures import Failure, http_error
from proxy.reconstruct import ResponseStream
from proxy.settings import Settings
from proxy.translate import translate
from proxy.upstream import Cerebras, read_error

__all__ = ["App", "create_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Seconds that a provider has, after the terminal event, to end its stream; then the connection
#: can serve the next turn.
_DRAIN: Final = 1.0


def create_app(settings: Settings) -> App:
    """Return the ASGI application of one proxy."""
    return App(settings)


class App:
    """`GET /health`, `POST /responses` and `POST /v1/responses`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._upstream: Cerebras | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        client = _Client(receive, send)
        match scope["path"], scope["method"]:
            case "/health", "GET" | "HEAD":
                await client.answer(200, b'{"status":"healthy"}')
            case "/responses" | "/v1/responses", "POST":
                await self._responses(client)
            case "/health" | "/responses" | "/v1/responses" as path, method:
                await client.error(405, f"{path} does not take {method}.")
            case path, method:
                await client.error(404, f"There is no {method} {path} here.")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._upstream = Cerebras(self._settings)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._upstream.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _responses(self, client: _Client) -> None:
        """Answer one request; when the client leaves, the request upstream is cancelled."""
        body = await client.read()
        if body is None:
            return
        answering = asyncio.create_task(self._answer(body, client))
        leaving = asyncio.create_task(client.left())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.wait({answering, leaving})
        if not answering.cancelled():
            answering.result()

    async def _answer(self, body: bytes, client: _Client) -> None:
        assert self._upstream is not None, "the lifespan has not started"
        try:
            request = responses.decode_request(body)
            if not request.stream:
                raise responses.InvalidRequest(
                    'Only streams are served: send "stream": true.', "stream"
                )
            chat_request = translate(request, model=self._settings.model)
        except responses.InvalidRequest as fault:
            await client.error(400, str(fault), param=fault.param)
            return
        response = responses.Response.to(
            request,
            id=f"resp_{uuid.uuid4().hex}",
            created_at=int(time.time()),
            model=chat_request.model,
        )
        stream = ResponseStream(response)
        try:
            async with self._upstream.stream(chat_request) as answer:
                if answer.status_code != 200:
                    error = await read_error(answer)
                    failure = Failure.of_answer(answer.status_code, answer.headers, error)
                    await _fail(client, stream, failure)
                    return
                await client.send_event_stream(stream.start(), more=True)
                # To the provider's end, also where the stream was closed before it.
                async for data in answer.aiter_raw():
                    events = stream.receive_data(data)
                    await client.send_event_stream(events, more=not stream.closed)
                await client.send_event_stream(stream.receive_data(None), more=False)
        except httpx.TransportError as error:
            await _fail(client, stream, Failure.of_transport(error))


async def _fail(client: _Client, stream: ResponseStream, failure: Failure) -> None:
    if client.started:
        await client.send_event_stream(stream.fail(failure), more=False)
    elif failure.final:
        await client.error(400, failure.message, code=failure.code)
    else:
        await client.send_event_stream(stream.start() + stream.fail(failure), more=False)


class _Client:
    """The client's side of one request, in ASGI's messages."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        #: True once a status was sent: from then on a failure travels in the stream.
        self.started = False
        self._ended = False

    async def read(self) -> bytes | None:
        """Return the request's body; None where the client left before its end."""
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if not message.get("more_body"):
                return bytes(body)

    async def left(self) -> None:
        """Return when the client has left, or a while after it got all of its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._ended:
            await asyncio.sleep(_DRAIN)

    async def send_event_stream(self, data: bytes, *, more: bool) -> None:
        """Send some of an event stream, with its head before the first; after its end, nothing."""
        if self._ended:
            return
        if not self.started:
            await self._start(200, b"text/event-stream; charset=utf-8")
        if data or not more:
            self._ended = not more
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, status: int, body: bytes) -> None:
        """Send a complete JSON answer."""
        await self._start(status, b"application/json", (b"content-length", b"%d" % len(body)))
        self._ended = True
        await self._send({"type": "http.response.body", "body": body})

    async def error(
        self,
        status: int,
        message: str,
        *,
        code: str = "invalid_request",
        param: str | None = None,
    ) -> None:
        """Send a complete HTTP error."""
        await self.answer(status, http_error(message, code=code, param=param))

    async def _start(self, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        self.started = True
        headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), *more]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
