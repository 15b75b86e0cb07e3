"""The client's side of one request, in ASGI's messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from typing import Any, Final

from proxy.content_encoding import LONGEST, TooLong
from proxy.failures import STOPPED, http_error
from proxy.record import Record

__all__ = [
    "PIECES",
    "Application",
    "BrokenOff",
    "Client",
    "Headers",
    "Receive",
    "Scope",
    "Send",
    "hidden",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Names and values, in order; a name may come twice.
Headers = Sequence[tuple[bytes, bytes]]

#: The scope's extension whose `send` takes some of a body, in the pieces that it has, and whose
#: `flow` tells by `write_paused` whether that waits for the client.
PIECES: Final = "http.response.pieces"

#: Seconds that a provider has, after the terminal event, to end its stream; then the connection
#: can serve the next turn.
_DRAIN: Final = 1.0

#: What stands for the key where a provider quotes it, and the fewest characters of one.
_HIDDEN: Final = b"[the key]"
_SHORTEST: Final = 8


class BrokenOff(Exception):
    """Raised to break off an answer: the connection closes, so that it does not look complete."""


def _is_worth_logging(record: logging.LogRecord) -> bool:
    return not isinstance(record.exc_info and record.exc_info[1], BrokenOff)


# A break on purpose is no fault of this program.
logging.getLogger("uvicorn.error").addFilter(_is_worth_logging)


def hidden(data: bytes, secret: bytes) -> bytes:
    """Return `data` without the `secret`; what is too short for one is in every other word."""
    return data.replace(secret, _HIDDEN) if len(secret) >= _SHORTEST else data


class Client:
    """Reads the request of one client and sends it one answer.

    No error that it sends, and no event that went through `hide`, has the `secret` in it.
    """

    #: Seconds without a byte of the request's body after which that does not come any more.
    patience: float = 30.0

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, secret: str = "") -> None:
        self._secret = secret.encode()
        self._receive = receive
        self._send = send
        extension = scope.get("extensions", {}).get(PIECES, {})
        self._send_pieces = extension.get("send")
        self._flow = extension.get("flow")
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        #: As it came, with what is encoded in it.
        self.raw_path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        #: Their names in lower case.
        self.headers: Headers = scope["headers"]
        #: The headers by their names; of those that come twice the last.
        self.fields: Mapping[bytes, bytes] = dict(self.headers)
        #: True once a status was sent: from then on a failure travels in the stream.
        self.started = False
        #: True while some of an event stream is sent, or waits for that.
        self._is_sending = False
        #: True once the client has left.
        self.gone = False
        #: True once the proxy has stopped without waiting for the answer's end.
        self.stopped = False
        #: When something was sent last, on the loop's clock.
        self.last_sent = self._began = asyncio.get_running_loop().time()
        #: What is told of this request when it is over.
        self.record = Record(method=self.method, path=self.path)
        #: True once all of the answer was sent.
        self.ended = False
        #: Events that were on their way when whoever sent them was cancelled.
        self._unsent = b""

    @property
    def age(self) -> float:
        """The seconds since this request came."""
        return asyncio.get_running_loop().time() - self._began

    @property
    def busy(self) -> bool:
        """True while bytes wait for a client that reads slowly: what is sent now waits as well."""
        return self._is_sending or (self._flow is not None and self._flow.write_paused)

    def header(self, name: str) -> str:
        """Return a header of the request, empty where there is none."""
        return self.fields.get(name.encode(), b"").decode("latin-1")

    @property
    def asks_for_websocket(self) -> bool:
        """Tell whether this would become one; what offers HTTP/2 is a request like any other."""
        return self.method == "GET" and "websocket" in self.header("upgrade").lower()

    async def serve(self, answer: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        """Read the request's body and `answer` it; when the client leaves, that is cancelled.

        It is so too when the server cancels this, because the proxy stops: then the client is not
        `gone`, and `answer` may come to an end of its own.
        """
        try:
            body = await self.read()
        except TooLong as error:
            await self.send_error(413, str(error))
            return
        except TimeoutError:
            await self.send_error(408, f"The body of the request stopped for {self.patience:g} s.")
            raise BrokenOff from None
        except asyncio.CancelledError:
            await self._stop()
            return
        if body is None:
            self.record.outcome = "left"
            return
        leaving = asyncio.create_task(self._leave(asyncio.current_task()))
        try:
            await answer(body)
        except asyncio.CancelledError:
            if not self.gone:
                await self._stop()
            else:
                # Nobody leaves an answer that had come to its end.
                self.record.outcome = self.record.outcome or "left"
        finally:
            leaving.cancel()

    async def _leave(self, answering: asyncio.Task[Any] | None) -> None:
        await self.left()
        self.gone = True
        assert answering is not None
        answering.cancel()

    async def _stop(self) -> None:
        """End what has no end of its own, so that it does not look complete."""
        self.stopped = True
        self.record.outcome = "stopped"
        if self.started:
            raise BrokenOff
        await self.send_error(503, STOPPED)

    async def read(self) -> bytes | None:
        """Return the request's body; None where the client left before its end.

        Raises `TooLong`, and `TimeoutError` where it stops.
        """
        body = bytearray()
        while True:
            async with asyncio.timeout(self.patience):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            data: bytes = message.get("body", b"")
            if len(body) + len(data) > LONGEST:
                raise TooLong(f"the body is longer than {LONGEST} bytes")
            if not message.get("more_body"):
                return bytes(body + data) if body else data
            body += data

    async def left(self) -> None:
        """Return when the client has left, or a while after it got all of its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.ended:
            await asyncio.sleep(_DRAIN)

    def hide(self, data: bytes) -> bytes:
        """Return JSON that quotes a provider without the key, which that may have quoted."""
        return hidden(data, self._secret)

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of an answer."""
        self.started = True
        self.record.status = status
        self.record.first = self.age
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, data: bytes, *, more: bool) -> None:
        """Send some of the body of an answer."""
        self.ended = not more
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def send_pieces(self, pieces: list[bytes]) -> None:
        """Send some of the body of an answer, of which there is more; nothing is copied."""
        if self._send_pieces is None:
            await self.send(b"".join(pieces), more=True)
        else:
            await self._send_pieces(pieces)

    async def send_events(self, data: bytes, *, more: bool) -> None:
        """Send some of an event stream, with its head before the first; after its end, nothing.

        What is cancelled while it waits for a client that reads slowly comes before what is next.
        """
        if self.ended:
            return
        if not self.started:
            await self._start(200, b"text/event-stream; charset=utf-8")
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        if data or not more:
            self._is_sending = True
            try:
                await self.send(data, more=more)
            except asyncio.CancelledError:
                self._unsent, self.ended = data, False
                raise
            self._is_sending = False
            self.last_sent = asyncio.get_running_loop().time()

    async def send_json(
        self, body: bytes, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        """Send a complete answer."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, b"application/json", length, *headers)
        await self.send(body, more=False)

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
        body = self.hide(body)
        waits = () if retry_after is None else ((b"retry-after", str(retry_after).encode()),)
        await self.send_json(body, status=status, headers=waits)

    async def _start(self, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), *more]
        await self.start(status, headers)
