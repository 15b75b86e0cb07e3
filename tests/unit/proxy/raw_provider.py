"""A provider below HTTP libraries, which says what a test wants, byte by byte; and its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.failures import Fault
from proxy.http_client import Answer, ConnectionFault, HttpClient
from tests.unit.proxy.provider import PATIENCE

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def provider(serve: Serve) -> AsyncIterator[HttpClient]:
    """Serve each connection, and yield a client of it, with half a second of patience."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}/v1/x", patience=0.5)
        try:
            async with asyncio.timeout(PATIENCE):
                yield client
        finally:
            await client.aclose()


def saying(*wires: bytes, then_close: bool = False) -> Serve:
    """Answer each request of a connection with the next of `wires`, byte by byte."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wire in wires:
            await reader.readuntil(b"\r\n\r\n")
            for byte in wire:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
        if not then_close:
            await reader.read()

    return serve


async def body_of(answer: Answer) -> bytes:
    """Return what is left of a body."""
    body = bytearray()
    while data := await answer.read(64 * 1024):
        body += data
    return bytes(body)


async def ask(client: HttpClient, method: str = "GET") -> tuple[int, bytes]:
    """Return status and body."""
    async with client.request(method, "/", []) as answer:
        return answer.status, await body_of(answer)


def answered(*wires: bytes, method: str = "GET", then_close: bool = False) -> tuple[int, bytes]:
    """Return status and body of the answer that `wires` are."""

    async def run() -> tuple[int, bytes]:
        async with provider(saying(b"".join(wires), then_close=then_close)) as client:
            return await ask(client, method)

    return asyncio.run(run())


def failed(*wires: bytes, then_close: bool = True) -> Fault:
    """Return what goes wrong with the answer that `wires` are."""
    with pytest.raises(ConnectionFault) as caught:
        answered(*wires, then_close=then_close)
    return caught.value.fault
