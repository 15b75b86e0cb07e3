"""A provider on loopback whose every answer a test writes itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.schema import SchemaFault, check
from harness.server import BreakConnection

#: Seconds after which something that a test waits for counts as never happening.
PATIENCE = 10.0

#: What the proxy is told to send; no client knows it.
KEY = "csk-the-configured-key"

#: What every body must say that it is.
JSON = {"content-type": "application/json"}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = Callable[[Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the provider saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    #: Which of its connections the proxy used, by its port.
    port: int


class Provider:
    """An ASGI application that gives `answer` to each request, and takes down what it saw."""

    def __init__(self) -> None:
        self.answer: Answer = reply(500)
        self.seen: list[Seen] = []
        #: What Cerebras would not have taken.
        self.rejected: list[SchemaFault] = []
        #: Set when a request is here.
        self.asked = threading.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append(
            Seen(scope["method"], scope["path"], headers, json.loads(body), scope["client"][1])
        )
        self.rejected += check(self.seen[-1].body, "chat/request.json")
        self.asked.set()
        await self.answer(receive, send)


# --- answers -------------------------------------------------------------------------------------


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with `body`, complete; an underscore in a header's name stands for a hyphen."""

    async def answer(receive: Receive, send: Send) -> None:
        await _start(send, status, **headers)
        await send({"type": "http.response.body", "body": body})

    return answer


def stream(*pieces: bytes) -> Answer:
    """Answer with an event stream, each of the `pieces` sent by itself."""

    async def answer(receive: Receive, send: Send) -> None:
        await _start(send, 200, content_type="text/event-stream")
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    return answer


def stream_and_break(*pieces: bytes) -> Answer:
    """Answer with an event stream, and break the connection where it should go on."""

    async def answer(receive: Receive, send: Send) -> None:
        await _start(send, 200, content_type="text/event-stream")
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        raise BreakConnection

    return answer


def stream_until(event: threading.Event, first: bytes, last: bytes) -> Answer:
    """Answer with `first`, and with `last` once the test has set `event`; without it, break."""

    async def answer(receive: Receive, send: Send) -> None:
        await _start(send, 200, content_type="text/event-stream")
        await send({"type": "http.response.body", "body": first, "more_body": True})
        if not await asyncio.to_thread(event.wait, PATIENCE):
            raise BreakConnection
        await send({"type": "http.response.body", "body": last})

    return answer


def hold(left: threading.Event, *pieces: bytes, status: int = 200) -> Answer:
    """Answer with `pieces`, then say nothing; set `left` when whoever asked has left."""

    async def answer(receive: Receive, send: Send) -> None:
        if pieces:
            await _start(send, status)
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give each of these answers once, and the last one for good."""
    left = iter(answers[:-1])

    async def answer(receive: Receive, send: Send) -> None:
        await next(left, answers[-1])(receive, send)

    return answer


def once(event: threading.Event, then: Answer) -> Answer:
    """Say nothing until the test has set `event`, not even a status, and answer `then`."""

    async def answer(receive: Receive, send: Send) -> None:
        assert await asyncio.to_thread(event.wait, PATIENCE)
        await then(receive, send)

    return answer


# --- below HTTP ----------------------------------------------------------------------------------


@contextmanager
def bare_provider(
    wire: bytes, *later: bytes, reset: bool = False
) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each connection with `wire`, and close or reset it; yield URL and what was asked.

    Each of what comes `later` is sent a moment after what came before it.
    """
    asked: list[bytes] = []
    linger = struct.pack("ii", 1, 0)

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the end of the test
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(wire)
                for more in later:
                    time.sleep(0.2)
                    connection.sendall(more)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            answering.join(PATIENCE)


async def _start(send: Send, status: int, **headers: str) -> None:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
