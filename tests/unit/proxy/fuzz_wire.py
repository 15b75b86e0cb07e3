"""Both ends of a proxy below HTTP: bytes in, bytes out, and what HTTP makes of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools

from tests.unit.proxy.provider import PATIENCE

__all__ = ["Answered", "Asked", "WireProvider", "exchange", "read_requests"]


@dataclass(slots=True)
class Asked:
    """One request as a strict parser sees it; httptools calls the `on_...`."""

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    method: bytes = b""
    is_whole: bool = False


class _Requests:
    """Parses what comes on one connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.asked: list[Asked] = []
        #: What is wrong with it, in the parser's words.
        self.fault = ""

    def receive(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # what follows is another protocol, which nobody here speaks
        except httptools.HttpParserError as error:
            self.fault = self.fault or f"{error} in {data!r}"

    def on_message_begin(self) -> None:
        self.asked.append(Asked())

    def on_url(self, url: bytes) -> None:
        self.asked[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.asked[-1].headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.asked[-1].method = self._parser.get_method()

    def on_body(self, data: bytes) -> None:
        self.asked[-1].body += data

    def on_message_complete(self) -> None:
        self.asked[-1].is_whole = True


def read_requests(wire: bytes) -> tuple[list[Asked], str]:
    """Return the requests in some bytes, and what is wrong with them."""
    requests = _Requests()
    requests.receive(wire)
    return requests.asked, requests.fault


class WireProvider:
    """A provider on loopback: sends `wire` to each request, closes, and judges what it heard."""

    def __init__(self) -> None:
        self.wire = b""
        #: What each connection has brought so far.
        self.asked: list[Asked] = []
        self.faults: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the end of the test
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        requests = _Requests()
        while not any(asked.is_whole for asked in requests.asked) and not requests.fault:
            data = connection.recv(1 << 20)
            if not data:
                break
            requests.receive(data)
        self.asked += requests.asked
        self.faults += [requests.fault] if requests.fault else []
        connection.sendall(self.wire)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass  # closed before that, it would be reset

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


class Answered:
    """The first answer that comes; httptools calls the `on_...`."""

    def __init__(self, *, is_bare: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        #: True for the answer to HEAD.
        self._is_bare = is_bare
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_whole = False

    def receive(self, data: bytes) -> None:
        """Take some bytes; raises `HttpParserError` where they are no HTTP."""
        if not self.is_whole:
            self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_whole:  # else it is of another answer
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.is_whole:
            self.status = status
            self.is_whole = self._is_bare

    def on_body(self, data: bytes) -> None:
        if not self.is_whole:
            self.body += data

    def on_message_complete(self) -> None:
        self.is_whole = self.status > 0


def exchange(url: str, wire: bytes, *, half: bool = False, is_bare: bool = False) -> Answered:
    """Send bytes to a proxy and return what it answers; with `half`, tell it that this is all.

    Raises `TimeoutError` where neither an answer nor an end comes.
    """
    parts = urlsplit(url)
    answered = Answered(is_bare=is_bare)
    with socket.create_connection((parts.hostname, parts.port), PATIENCE) as connection:
        # A proxy that has heard enough may close while this is still speaking.
        with contextlib.suppress(ConnectionError):
            connection.sendall(wire)
            if half:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while not answered.is_whole and (data := connection.recv(1 << 20)):
                answered.receive(data)
    return answered
