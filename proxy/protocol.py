"""HTTP/1.1 as uvicorn speaks it, with bounds on the head of a request: uvicorn has none."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from proxy.asgi import PIECES
from proxy.failures import http_error

__all__ = ["Protocol"]

#: Bytes of a path with its query.
_LONGEST_URL: Final = 16 * 1024

#: Bytes of a head; what Codex tells of itself in it takes a few thousand.
_LONGEST_HEAD: Final = 64 * 1024

#: Headers of a request that has a body.
_FRAMING: Final = (b"content-length", b"transfer-encoding")

_TOO_LONG: Final = f"The head of the request is longer than {_LONGEST_HEAD} bytes."


class _Refused(Exception):
    """Raised in the parser's callbacks, to end its work: the answer is sent already."""


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    #: Seconds that a head may take, and a new connection until it comes.
    patience: float = 30.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        #: Bytes of the head that came so far; the parser keeps what is no whole header to itself.
        self._came = 0
        #: Bytes of its headers.
        self._length = 0
        self._waiting: asyncio.TimerHandle | None = None
        #: What came last, and what a new parser is to have instead: the parser takes the body of a
        #: request that offers to speak HTTP/2 for HTTP/2.
        self._data = b""
        self._again = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._came += len(data)
            if self._waiting is None and not self._is_answering():
                self._wait()
        self._data = data
        super().data_received(data)
        while self._again:  # once for each such request that came at once
            self._data, self._again = self._again, b""
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            super().data_received(self._data)
        self._data = b""
        if self._in_head and self._came > _LONGEST_HEAD:
            self._refuse(431, _TOO_LONG)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._length = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _LONGEST_URL:
            self._refuse(414, f"The URL is longer than {_LONGEST_URL} bytes.")
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        self._length += len(name) + len(value)
        if self._length > _LONGEST_HEAD:
            self._refuse(431, _TOO_LONG)
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._offers_an_upgrade():
            return
        self._in_head = False
        self._came = 0
        self._stop_waiting()
        super().on_headers_complete()
        self.scope["extensions"] = {
            PIECES: {"send": partial(_send_pieces, self.cycle), "flow": self.flow}
        }

    def on_message_complete(self) -> None:
        if self._offers_an_upgrade():
            return
        super().on_message_complete()
        self._in_head = True

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """The parser has ended at the upgrade: let it go on, with a head that offers none."""
        if not self._offers_an_upgrade():
            return
        upgrade = sys.exception()
        assert isinstance(upgrade, httptools.HttpParserUpgrade)
        head = [
            b"%b %b HTTP/%b"
            % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self._again = b"\r\n".join([*head, b"", self._data[upgrade.args[0] :]])

    def _offers_an_upgrade(self) -> bool:
        """Tell whether a request would rather have another protocol, but has a body in this one.

        The offer may be declined (RFC 9110, 7.8), and is, as if it had not been made.
        """
        return (
            self.parser.should_upgrade()
            and self.parser.get_method() != b"CONNECT"
            and any(name in _FRAMING and value != b"0" for name, value in self.headers)
        )

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if self._came:
            self._refuse(408, f"The head of the request took longer than {self.patience:g} s.")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, and close: what comes next on this connection cannot be known."""
        if self.transport.is_closing():
            return
        if not self._is_answering():  # else it would get into that answer
            body = http_error(message, code="invalid_request_error", type="invalid_request_error")
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
                + b"connection: close\r\n\r\n"
                + body
            )
        self.transport.close()


async def _send_pieces(cycle: RequestResponseCycle, pieces: list[bytes]) -> None:
    """Send some of a body, of which there is more; in chunks it goes out without another copy."""
    if not cycle.chunked_encoding:
        body = b"".join(pieces)
        await cycle.send({"type": "http.response.body", "body": body, "more_body": True})
        return
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if not cycle.disconnected:
        size = sum(map(len, pieces))
        cycle.transport.writelines([b"%x\r\n" % size, *pieces, b"\r\n"])
