"""HTTP/1.1 to one origin, over a pool of connections: what this proxy asks its provider with.

A provider streams thousands of HTTP chunks a second, each a few hundred bytes. General clients
handle every one of them in Python, at more than the cost of all else that is done with it; here the
parser of the server's side (httptools) takes them apart, and what one read has brought comes out in
one piece. There are no redirects, cookies, proxies and no compression: a provider has one address,
and its answers pass as they are.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from proxy.failures import ConnectionFault, Fault
from proxy.sockets import connected_to, is_silent, quiet_for, verifying

__all__ = ["Answer", "ConnectionFault", "HttpClient"]

Headers = Sequence[tuple[bytes, bytes]]

#: Seconds that a host has to accept a connection, and to agree on TLS.
_CONNECT: Final = 10

#: Seconds that an idle connection is kept: a turn of Codex runs tools before the next begins.
_KEPT: Final = 120

#: Methods whose requests say how long their body is, even where it is empty (RFC 9110, 8.6).
_WITH_BODY: Final = ("POST", "PUT", "PATCH")

#: Bytes of the head of an answer.
_LONGEST_HEAD: Final = 64 * 1024

#: Heads that may announce an answer (1xx); each of them is a sign of life.
_MOST_ANNOUNCED: Final = 32

#: Bytes of a read, into one buffer for all connections, which the processor's cache keeps.
_READ: Final = 64 * 1024

#: Bytes of a piece of a body that are too many for a copy.
_LARGE: Final = 8 * 1024

#: Bytes of a body that wait for who reads it slowly.
_LONGEST_QUEUE: Final = 256 * 1024


class Answer:
    """The answer to one request: its head, and its body as it comes."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.status = 0
        #: As they came, in order.
        self.headers: list[tuple[bytes, bytes]] = []
        #: What has come and was not read, and whether it came with what was.
        self._rest = b""
        self._is_part = False

    @property
    def fields(self) -> dict[str, str]:
        """The headers by their names in lower case; of those that come twice the last."""
        return {name.lower().decode(): value.decode("latin-1") for name, value in self.headers}

    async def read(self, most: int) -> bytes:
        """Return what has come, at most so many bytes of it; none at its end.

        Others have their turn after each part of what is more. Where it breaks off, raises
        `ConnectionFault` after all of that.
        """
        if self._is_part:
            await asyncio.sleep(0)
        data = self._rest or b"".join(await self._connection.read())
        self._is_part = bool(self._rest) or len(data) > most
        self._rest = data[most:]
        return data[:most]

    def read_pieces(self) -> Awaitable[list[bytes]]:
        """Return all that has come, without putting together what is large; none at its end."""
        return self._connection.read()


class HttpClient:
    """Asks one origin, over as many connections as there are requests at a time."""

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        """`url` is anything at the origin; `patience` are the seconds that it may be silent."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = verifying() if parts.scheme == "https" else None
        self._port = parts.port or (80 if self._tls is None else 443)
        self._authority = parts.netloc.rpartition("@")[2].encode()
        self._patience = patience
        #: The one that was used last is used next: the others grow old.
        self._idle: dict[_Connection, None] = {}
        self._buffer = memoryview(bytearray(_READ))

    @asynccontextmanager
    async def request(
        self, method: str, target: str, headers: Headers, body: bytes = b""
    ) -> AsyncIterator[Answer]:
        """Send a request and yield the answer, its body unread; raises `ConnectionFault`.

        `headers` are all of them but `Host`; the length of the body is this client's to say. A
        request is never sent twice: the provider may have worked.
        """
        connection = await self._connection()
        try:
            yield await connection.ask(method, self._head(method, target, headers, body) + body)
        finally:
            if connection.is_free():
                connection.keep()
                self._idle[connection] = None
            else:
                connection.close()

    async def aclose(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.popitem()[0].close()

    def _head(self, method: str, target: str, headers: Headers, body: bytes) -> bytes:
        lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: " + self._authority]
        # What is said is what is sent, whatever a client has announced: else the provider would
        # take the head of the next request for the rest of this one.
        length = b"%d" % len(body)
        is_said = False
        for name, value in headers:
            is_length = name.lower() == b"content-length"
            lines.append(name + b": " + (length if is_length else value))
            is_said |= is_length
        if not is_said and (body or method in _WITH_BODY):
            lines.append(b"content-length: " + length)
        return b"\r\n".join([*lines, b"", b""])

    async def _connection(self) -> _Connection:
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_open():
                return connection
            connection.close()
        try:
            async with asyncio.timeout(_CONNECT):
                return await self._connect()
        except TimeoutError:
            raise ConnectionFault(Fault.CONNECT_TIMEOUT, "") from None
        except (socket.gaierror, UnicodeError) as error:
            raise ConnectionFault(Fault.UNRESOLVED, f"{self._host}: {error}") from error
        except ssl.SSLError as error:
            raise ConnectionFault(Fault.TLS, str(error)) from error
        except OSError as error:
            why = f"Cannot connect to host {self._host}:{self._port}: {error.strerror or error}"
            raise ConnectionFault(Fault.REFUSED, why) from error

    async def _connect(self) -> _Connection:
        connected = await connected_to(self._host, self._port)
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._patience, self._idle, self._buffer),
                sock=connected,
                ssl=self._tls,
                server_hostname=self._host if self._tls is not None else None,
            )
        except BaseException:
            connected.close()
            raise
        return connection


class _Connection(asyncio.BufferedProtocol):
    """One connection, for one request at a time; httptools calls its `on_...`."""

    def __init__(
        self, patience: float | None, idle: dict[_Connection, None], buffer: memoryview
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._idle = idle
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        #: What went wrong, in words: an exception would keep all that waited for this connection.
        self._fault: tuple[Fault, str] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: Answer | None = None
        #: What has come of a body, and how many bytes that came with it.
        self._pieces: list[bytes] = []
        self._queued = 0
        # The parser calls this for each HTTP chunk: nothing of ours lies between.
        self.on_body = self._pieces.append
        #: When something came last, on the loop's clock.
        self._heard = 0.0
        self._is_reading = True
        self._head_length = 0
        self._announced = 0
        self._has_head = False
        #: True where the request is one that gets no body.
        self._is_bare = False
        self._is_complete = False
        #: True where the provider has said that it sends no more; under TLS uvloop takes nobody
        #: else's word for it.
        self._has_ended = False
        #: True where the provider is ready for another request.
        self._is_kept = False

    # --- what the client does --------------------------------------------------------------------

    async def ask(self, method: str, request: bytes) -> Answer:
        """Send a request and return the answer, as soon as its head is here."""
        assert self._transport is not None
        self._stop_timer()
        answer = self._answer = Answer(self)
        self._parser = httptools.HttpResponseParser(self)
        self._head_length = self._announced = 0
        self._is_bare = method == "HEAD"
        self._has_head = self._is_complete = self._is_kept = False
        self._transport.write(request)
        self._heard = self._loop.time()
        self._listen()
        while not self._has_head:
            await self._news()
        return answer

    async def read(self) -> list[bytes]:
        """Return the pieces of the body that have come, small ones as one; none at its end."""
        while not self._pieces:
            if self._is_complete:
                return []
            self._read_on()
            await self._news()
        pieces = self._pieces.copy()
        if self._queued < len(pieces) * _LARGE:
            pieces = [b"".join(pieces)]
        self._pieces.clear()
        self._queued = 0
        return pieces

    def is_open(self) -> bool:
        """Tell whether there is still somebody at the other end, who says nothing unasked."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and is_silent(transport)

    def is_free(self) -> bool:
        """Tell whether the answer is complete, and another request may follow."""
        return self._is_complete and self._is_kept and self.is_open()

    def keep(self) -> None:
        """Forget the answer, and wait for a while for another request."""
        self._stop_timer()
        self._timer = self._loop.call_later(_KEPT, self.close)
        self._answer = self._parser = None
        self._pieces.clear()
        self._queued = 0
        self._read_on()

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._stop_timer()
        self._idle.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    def _news(self) -> Awaitable[None]:
        """Return what waits until something has happened; raises where that was the last."""
        if self._fault is not None:
            raise ConnectionFault(*self._fault)
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what comes ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._parser is None or self._is_complete:
            self.close()  # nobody asked for that
            return
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            self._is_kept = False
        except httptools.HttpParserError:
            self._fail(Fault.BROKEN, "what came is no HTTP")
        self._queued += nbytes
        if self._queued > _LONGEST_QUEUE and self._is_reading and self._transport is not None:
            if self._pieces:
                self._is_reading = False
                self._transport.pause_reading()
            else:  # nobody could read it, and so make place for more
                self._fail(Fault.BROKEN, f"{self._queued} bytes have nothing of a body in them")
        self._wake()

    def eof_received(self) -> None:
        self._has_ended = True

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        self._idle.pop(self, None)
        self._transport = None
        if self._answer is None or self._fault is not None:
            return
        why = getattr(error, "strerror", None) or str(error or "")
        if not self._has_head:
            self._fail(Fault.DISCONNECTED, why)
        elif self._has_ended and error is None and self._ends_with_the_connection():
            self._is_complete = True
        else:
            self._fail(Fault.BROKEN, why or "the connection was closed")
        self._wake()

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise ValueError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_length += len(name) + len(value)
        if self._head_length > _LONGEST_HEAD:
            raise ValueError(f"a head of more than {_LONGEST_HEAD} bytes")
        if not self._has_head and self._answer is not None:
            self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        assert self._answer is not None
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._answer.headers.clear()  # the answer is still to come
            self._announced += 1
            if self._announced > _MOST_ANNOUNCED:
                self._fail(Fault.BROKEN, f"it was announced {self._announced} times")
                raise ValueError("an answer that does not come")
            return
        self._answer.status = status
        self._has_head = True
        self._is_kept = self._parser.should_keep_alive()
        if self._is_bare:
            self.on_message_complete()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._is_complete = True
            self._stop_timer()

    def _ends_with_the_connection(self) -> bool:
        assert self._answer is not None
        framing = (b"content-length", b"transfer-encoding")
        return not any(name.lower() in framing for name, _ in self._answer.headers)

    # --- what goes wrong -------------------------------------------------------------------------

    def _fail(self, fault: Fault, detail: str = "") -> None:
        """End the connection; whoever waits for the rest of an answer is told."""
        if self._is_complete:
            self._is_kept = False
        elif self._fault is None:
            self._fault = (fault, detail)
        self.close()
        self._wake()

    def _listen(self) -> None:
        """See to it that the provider is not silent for too long."""
        if self._patience is None:
            return
        now = self._loop.time()
        if not self._is_reading:
            self._heard = now  # the silence is ours
        elif self._heard + self._patience <= now:
            sent = now - quiet_for(self._transport)
            self._heard = max(self._heard, sent)  # it is, until all is sent
        if self._heard + self._patience <= now:
            self._fail(Fault.SILENT)
        else:
            self._timer = self._loop.call_at(self._heard + self._patience, self._listen)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read_on(self) -> None:
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._heard = self._loop.time()
            self._transport.resume_reading()
