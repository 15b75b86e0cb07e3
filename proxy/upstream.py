"""The provider's edge: one pooled HTTP client for each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from proxy import chat
from proxy.settings import Settings

__all__ = ["Cerebras", "read_error"]

#: Seconds. Codex itself gives up after 300 s without an event; a provider that is silent for
#: longer than `read` has failed.
_TIMEOUT: Final = httpx.Timeout(connect=10, read=240, write=30, pool=None)

#: `None` would fall back to aiohttp's 100 connections.
_LIMITS: Final = httpx.Limits(max_connections=100_000)

#: An answer that is no stream is an error of a few hundred bytes; this much of it is read.
_LONGEST_ERROR: Final = 64 * 1024


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
        # aiohttp's C parser carries seven times the events per second of httpx' own transport.
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(limits=_LIMITS), timeout=_TIMEOUT, follow_redirects=False
        )

    @asynccontextmanager
    async def stream(self, request: chat.Request) -> AsyncIterator[httpx.Response]:
        """Send `request` and yield the answer, its body unread; raises `httpx.TransportError`."""
        body = msgspec.json.encode(request)
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=self._headers
            ) as answer:
                yield answer
        except aiohttp.ClientError as error:
            # An answer that is no HTTP passes httpx-aiohttp's mapping of exceptions as it is.
            raise httpx.RemoteProtocolError(str(error)) from error

    async def aclose(self) -> None:
        await self._client.aclose()


async def read_error(answer: httpx.Response) -> bytes:
    """Return the body of an error, up to a bound."""
    body = bytearray()
    async for data in answer.aiter_raw():
        body += data
        if len(body) >= _LONGEST_ERROR:
            break
    return bytes(body)
