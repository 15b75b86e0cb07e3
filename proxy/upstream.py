"""The provider's edge: one pooled HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from proxy import chat
from proxy.failures import Fault
from proxy.settings import Settings

__all__ = ["Cerebras", "ConnectionFault", "read_error"]

#: Seconds that an idle connection is kept: a turn of Codex runs tools before the next begins.
_KEPT: Final = 120

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


def _session() -> aiohttp.ClientSession:
    """Return aiohttp's side of the client: any number of connections, and no cookies.

    Whose cookie would it be? One client serves all of Codex' conversations.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEPT, ssl=httpx.create_ssl_context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class Cerebras:
    """Chat Completions at Cerebras. Of the client's headers none is sent on."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"{settings.base_url}/chat/completions"
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
            transport=AiohttpTransport(client=_session),
            timeout=httpx.Timeout(connect=10, read=settings.timeout, write=30, pool=None),
            follow_redirects=False,
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    @asynccontextmanager
    async def stream(self, request: chat.Request) -> AsyncIterator[httpx.Response]:
        """Send `request` and yield the answer, its body unread; raises `ConnectionFault`."""
        body = msgspec.json.encode(request)
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=self._headers
            ) as answer:
                yield answer
        except (httpx.TransportError, aiohttp.ClientError, UnicodeError) as error:
            # An answer that is no HTTP passes httpx-aiohttp's mapping of exceptions as it is.
            cause = error.__cause__ or error
            fault = next(
                (fault for kind, fault in _FAULTS if isinstance(cause, kind)), Fault.BROKEN
            )
            raise ConnectionFault(fault, str(cause) or type(cause).__name__) from error

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
