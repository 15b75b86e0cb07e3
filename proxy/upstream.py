"""The provider's edge: what Cerebras is asked, and how much of an error is read."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import urlsplit

from proxy.http_client import Answer, ConnectionFault, HttpClient
from proxy.settings import Settings

__all__ = ["Cerebras", "read_error"]

#: An answer that is no stream is an error of a few hundred bytes; this much of it is read.
_LONGEST_ERROR: Final = 64 * 1024

#: Seconds that it may take: the status says the most of it.
_ERROR_PATIENCE: Final = 5


class Cerebras:
    """Chat Completions at Cerebras. Of the client's headers none is sent on."""

    def __init__(self, settings: Settings) -> None:
        self._target = urlsplit(settings.chat_url).path
        self._headers = [
            (b"authorization", f"Bearer {settings.api_key}".encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"text/event-stream"),
            # A compressed stream is held back by its compressor.
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"codex-proxy"),
        ]
        self._client = HttpClient(settings.chat_url, patience=settings.timeout)

    def stream(self, body: bytes) -> AbstractAsyncContextManager[Answer]:
        """Send a request and yield the answer, its body unread; raises `ConnectionFault`."""
        return self._client.request("POST", self._target, self._headers, body)

    async def aclose(self) -> None:
        await self._client.aclose()


async def read_error(answer: Answer) -> bytes:
    """Return the body of an error, up to a bound; what is known is enough where it breaks off."""
    body = bytearray()
    with contextlib.suppress(TimeoutError, ConnectionFault):
        async with asyncio.timeout(_ERROR_PATIENCE):
            while (left := _LONGEST_ERROR - len(body)) and (data := await answer.read(left)):
                body += data
    return bytes(body)
