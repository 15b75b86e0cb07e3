"""The provider's edge: one pooled HTTP client, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import aiohttp
import httpx
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport

from proxy.failures import Fault
from proxy.settings import Settings

__all__ = ["Cerebras", "ConnectionFault", "connection_faults", "open_session", "read_error"]

#: Seconds that a host has to accept a connection.
_CONNECT: Final = 10

#: Seconds that an idle connection is kept: a turn of Codex runs tools before the next begins.
_KEPT: Final = 120

#: Bytes of one header of an answer; aiohttp itself stops at 8190.
_LONGEST_HEADER: Final = 64 * 1024

#: An answer that is no stream is an error of a few hundred bytes; this much of it is read.
_LONGEST_ERROR: Final = 64 * 1024

#: Seconds that it may take: the status says the most of it.
_ERROR_PATIENCE: Final = 5

#: httpx-aiohttp calls most of them `ConnectTimeout`: what happened is aiohttp's to say. The first
#: that fits counts.
_FAULTS: Final[tuple[tuple[type[BaseException], Fault], ...]] = (
    (aiohttp.ClientConnectorDNSError, Fault.UNRESOLVED),
    (aiohttp.ClientSSLError, Fault.TLS),
    (aiohttp.ClientConnectorError, Fault.REFUSED),
    (aiohttp.ConnectionTimeoutError, Fault.CONNECT_TIMEOUT),
    (aiohttp.ServerTimeoutError, Fault.SILENT),
    (aiohttp.ClientPayloadError, Fault.BROKEN),
    (aiohttp.ClientConnectionError, Fault.DISCONNECTED),
)


class ConnectionFault(Exception):
    """The connection to the provider failed."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault.name}: {detail}")
        self.fault = fault
        self.detail = detail


@contextmanager
def connection_faults() -> Iterator[None]:
    """Raise `ConnectionFault` where the block fails because of its connection."""
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError, UnicodeError) as error:
        # Below httpx lies aiohttp's; an answer that is no HTTP passes httpx-aiohttp as it is.
        cause = error if isinstance(error, aiohttp.ClientConnectionError) else error.__cause__
        cause = cause or error
        fault = next((fault for kind, fault in _FAULTS if isinstance(cause, kind)), Fault.BROKEN)
        raise ConnectionFault(fault, str(cause) or type(cause).__name__) from error


class _Answer(aiohttp.ClientResponse):
    """An answer whose reader is told when the connection is lost.

    aiohttp leaves it waiting where what comes in the middle of a body is no HTTP.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head of the answer."""
        await super().start(connection)
        if connection.protocol is not None and not self.content.is_eof():
            closed = connection.protocol.closed
            if closed is None:
                self._lose()
            else:
                closed.add_done_callback(self._lose)
                # The connection will serve other answers.
                self.content.on_eof(partial(self._keep, closed))
        return self

    def _keep(self, closed: asyncio.Future[None]) -> None:
        closed.remove_done_callback(self._lose)

    def _lose(self, closed: asyncio.Future[None] | None = None) -> None:
        if closed is not None:
            closed.exception()  # is told to the reader by aiohttp, and would be logged here
        if not self.content.is_eof() and self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientPayloadError("what came is no HTTP"))


def open_session() -> aiohttp.ClientSession:
    """Return aiohttp's side of the client: any number of connections, and no cookies.

    Whose cookie would it be? One client serves all of Codex' conversations.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEPT, ssl=httpx.create_ssl_context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_Answer,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )


class Cerebras:
    """Chat Completions at Cerebras. Of the client's headers none is sent on."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.chat_url
        self._headers = {
            "authorization": f"Bearer {settings.api_key}",
            "content-type": "application/json",
            "accept": "text/event-stream",
            # A compressed stream is held back by its compressor.
            "accept-encoding": "identity",
            "user-agent": "codex-proxy",
        }
        # aiohttp's C parser carries several times the events per second of httpx' own transport.
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=open_session),
            timeout=httpx.Timeout(connect=_CONNECT, read=settings.timeout, write=30, pool=None),
            follow_redirects=False,
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    @asynccontextmanager
    async def stream(self, body: bytes) -> AsyncIterator[httpx.Response]:
        """Send a request and yield the answer, its body unread; raises `ConnectionFault`."""
        with connection_faults():
            async with self._client.stream(
                "POST", self._url, content=body, headers=self._headers
            ) as answer:
                yield answer

    async def aclose(self) -> None:
        await self._client.aclose()


async def read_error(answer: httpx.Response) -> bytes:
    """Return the body of an error, up to a bound; what is known is enough where it breaks off."""
    body = bytearray()
    with contextlib.suppress(TimeoutError, httpx.TransportError, aiohttp.ClientError):
        async with asyncio.timeout(_ERROR_PATIENCE):
            async for data in answer.aiter_raw():
                body += data
                if len(body) >= _LONGEST_ERROR:
                    break
    return bytes(body)
