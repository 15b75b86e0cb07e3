"""A ChatGPT backend on loopback, the pass-through before it, and a client that sees the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.server import LoopbackServer, read_body
from harness.subject import OwnProxy
from tests.unit.proxy.provider import KEY, PATIENCE, Answer, Message, Receive, Send, reply

#: Below which path of the backend everything is.
BASE = "/backend-api/codex"


@dataclass(frozen=True, slots=True)
class Passed:
    """One request as it reached the backend."""

    method: str
    #: Path and query, as they stood on the wire.
    target: str
    #: In order, their names in lower case.
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        """Return the values of the headers of this name."""
        return [value for known, value in self.headers if known == name]


class Backend:
    """An ASGI application that gives `answer` to each request, and takes down what it saw."""

    def __init__(self) -> None:
        self.answer: Answer = reply(500)
        self.seen: list[Passed] = []
        #: Set when a request is here.
        self.asked = threading.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        target = (scope["raw_path"] + query).decode()
        self.seen.append(Passed(scope["method"], target, list(scope["headers"]), body))
        self.asked.set()
        await self.answer(receive, send)


def answers(status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes) -> Answer:
    """Answer with exactly these headers, and each of the `pieces` sent by itself."""

    async def answer(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return answer


@contextmanager
def passing_to(base_url: str) -> Iterator[OwnProxy]:
    """Run the pass-through as a process; a key of Cerebras' is set, and nobody is to see it."""
    environment = {"PROXY_BACKEND": "chatgpt", "CHATGPT_BASE_URL": base_url}
    with OwnProxy(base_url, api_key=KEY, environment=environment) as proxy:
        yield proxy
    assert proxy.said == f"codex-proxy: chatgpt ({base_url}) on {proxy.url}\n"


@contextmanager
def passing_to_new_backend() -> Iterator[tuple[Backend, OwnProxy]]:
    """Run a backend, and the pass-through to it."""
    backend = Backend()
    with LoopbackServer(backend) as server, passing_to(server.url + BASE) as proxy:
        yield backend, proxy


def connect(proxy: OwnProxy) -> socket.socket:
    """Return a bare connection to the proxy."""
    url = urlsplit(proxy.url)
    return socket.create_connection((url.hostname, url.port), PATIENCE)


def exchange(proxy: OwnProxy, request: bytes) -> tuple[bytes, bytes]:
    """Send a request as it stands; return head and body of the answer as they stand.

    The request must ask for the connection to be closed.
    """
    with connect(proxy) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body
