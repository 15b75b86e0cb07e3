"""Providers on loopback that do what a test says, and a client that takes down what it gets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.cassette import Cassette
from harness.server import LoopbackServer
from harness.transport import CassetteTransport, Pace, at_once

#: Sends one chunk of an answer.
Say = Callable[[bytes], Awaitable[None]]
#: What an upstream does for each request, once it has sent the head.
Play = Callable[[Say], Awaitable[None]]

JSON = {"content-type": "application/json"}


def saying(*chunks: bytes) -> Play:
    """Send these chunks, one after the other."""

    async def play(say: Say) -> None:
        for chunk in chunks:
            await say(chunk)

    return play


@dataclass(frozen=True)
class Received:
    """A request as it reached an upstream."""

    path: str
    headers: dict[str, str]
    body: bytes


class Upstream(LoopbackServer):
    """Answers each request as it was last told to."""

    def __init__(self) -> None:
        super().__init__(self._app)
        self.does(saying())

    def does(
        self, play: Play, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with what `play` sends from now on, and forget what came before."""
        self._play = play
        self._status = status
        self._headers = {"content-type": "text/event-stream"} if headers is None else headers
        self.requests: list[Received] = []

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append(Received(scope["path"], headers, body))

        async def say(chunk: bytes) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

        # One connection a request, so that no pool keeps any when the test is over.
        head = [(b"connection", b"close")]
        head += [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": head})
        await self._play(say)
        await send({"type": "http.response.body"})


@dataclass
class Seen:
    """What a client got for one request."""

    status: int
    headers: httpx.Headers
    chunks: list[bytes] = field(default_factory=list)
    #: Milliseconds from the request to each chunk.
    at: list[float] = field(default_factory=list)
    #: What broke the stream, if anything did.
    broken: Exception | None = None


def fetch(
    cassette: Cassette,
    url: str,
    *,
    record: bool = False,
    content: bytes = b"{}",
    headers: Mapping[str, str] = JSON,
    pace: Callable[[], Pace] = lambda: at_once,
    timeout: float = 10,
    on_chunk: Callable[[bytes], None] = lambda chunk: None,
) -> Seen:
    """POST once through a transport over `cassette`, and read the answer chunk by chunk."""
    fetching = _fetch(cassette, url, record, content, headers, pace, timeout, on_chunk)
    return asyncio.run(asyncio.wait_for(fetching, 30))


async def _fetch(
    cassette: Cassette,
    url: str,
    record: bool,
    content: bytes,
    headers: Mapping[str, str],
    pace: Callable[[], Pace],
    timeout: float,  # noqa: ASYNC109 - it is httpx' own
    on_chunk: Callable[[bytes], None],
) -> Seen:
    inner = httpx.AsyncHTTPTransport(verify=False) if record else None
    transport = CassetteTransport(cassette, inner, pace=pace)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as http:
        start = time.perf_counter()
        async with http.stream("POST", url, content=content, headers=headers) as answer:
            seen = Seen(answer.status_code, answer.headers)
            try:
                async for chunk in answer.aiter_raw():
                    seen.at.append((time.perf_counter() - start) * 1000)
                    seen.chunks.append(chunk)
                    on_chunk(chunk)
            except httpx.TransportError as error:
                seen.broken = error
    return seen


def raw_answer(url: str, body: bytes = b"{}") -> bytes:
    """POST `body` over a socket; return the answer as it stands on the wire, head and all."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def closed_url() -> str:
    """Return the URL of a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
