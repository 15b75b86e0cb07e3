"""The client's edge: sends a request as Codex does and takes down the answer, event by event."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx

__all__ = ["CREDENTIAL", "PATIENCE", "Answer", "Event", "EventReader", "read_events", "send"]

#: What the client holds itself out with; it must not get any further than the proxy.
CREDENTIAL: Final = "the-clients-own-credential"

#: Seconds after which a proxy that has not answered counts as hanging.
PATIENCE: Final = 30.0

#: Bytes, and events, after which a proxy floods: the longest recording takes 1 MB, or 400 events.
_MOST_BYTES: Final = 16_000_000
_MOST_EVENTS: Final = 50_000

#: What ends an event, beside the end of its own last line: lines end in LF or in CRLF.
_BLANK: Final = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a Responses stream as it stood on the wire."""

    #: Counted from 0, as events, not as the stream itself numbers them.
    number: int
    #: The `event:` line; None where there was none.
    name: str | None
    #: The parsed `data:`; None where it is no JSON object.
    data: dict[str, Any] | None
    #: Its bytes, without the blank line.
    raw: bytes
    #: Milliseconds from the request to its last byte.
    at: float = 0.0
    #: The blank line that ended it, with the end of its own last line.
    end: bytes = b"\n\n"

    @property
    def type(self) -> str:
        return str((self.data or {}).get("type", ""))

    def __getitem__(self, name: str) -> Any:
        return (self.data or {}).get(name)


@dataclass(slots=True)
class Answer:
    """What came back for one request."""

    status: int
    content_type: str
    events: list[Event] = field(default_factory=list)
    #: Bytes after the last blank line: an event that was cut.
    rest: bytes = b""
    #: What broke the connection, if anything did.
    broken: str | None = None
    #: Whether it was the client that ended it, because it took too long.
    gave_up: bool = False
    #: By name in small letters; the values of one that came twice are joined by a comma.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: When the request was sent, by `time.perf_counter`.
    began: float = 0.0

    @property
    def body(self) -> bytes:
        """All of it, as it came."""
        return b"".join(event.raw + event.end for event in self.events) + self.rest

    @property
    def text(self) -> str:
        """The start of the body, for a message about an answer that is no stream."""
        return self.body[:2000].decode(errors="replace")


def send(
    url: str,
    body: object,
    *,
    path: str = "/v1/responses",
    headers: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
    on_events: Callable[[list[Event]], None] = lambda events: None,
) -> Answer:
    """POST `body` as JSON to `url` + `path`, and take the answer down.

    `on_events` gets the events as they come. Raises `httpx.TransportError` where nothing answers at
    all; a connection that breaks later, or an answer that has no end after `timeout` seconds, 16 MB
    or 50,000 events, is told in the answer, with what had come by then.
    """
    sent = {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "authorization": f"Bearer {CREDENTIAL}",
        **(headers or {}),
        "accept-encoding": "identity",  # what comes is read as it stands on the wire
    }
    content = json.dumps(body, ensure_ascii=False).encode()
    start = time.perf_counter()
    with (
        _Deadline(timeout) as deadline,
        httpx.Client(timeout=timeout, trust_env=False, verify=_ssl_context()) as http,
        _stream(http, url + path, content, sent, deadline) as response,
    ):
        content_type = response.headers.get("content-type", "")
        answer = Answer(
            response.status_code, content_type, headers=dict(response.headers), began=start
        )
        reader, size = EventReader(), 0
        try:
            for data in response.iter_raw():
                milliseconds = (time.perf_counter() - start) * 1000
                events = reader.feed(data, milliseconds)
                answer.events += events
                on_events(events)
                size += len(data)
                if size > _MOST_BYTES or len(answer.events) > _MOST_EVENTS:
                    answer.broken = (
                        f"it went on after {size:,} bytes and {len(answer.events):,} events"
                    )
                    break
        except httpx.TransportError as error:
            answer.broken = f"{type(error).__name__}: {error}"
            if isinstance(error, httpx.ReadTimeout):
                deadline.pass_()
        if deadline.is_over:
            answer.gave_up = True
            answer.broken = f"it had not ended after {timeout:g} s"
        answer.rest = reader.rest
    return answer


class _Deadline:
    """Shuts a connection down when its time is over, however slowly its bytes come.

    The timeouts of httpx are for each read: a byte now and then keeps it waiting for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._stream: Any = None
        self._timer = threading.Timer(seconds, self.pass_)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def pass_(self) -> None:
        """Let the time be over."""
        self.is_over = True
        if self._stream is not None:
            # It may be closed by now, or, while TLS begins, have given its socket away.
            with contextlib.suppress(OSError):
                connection = self._stream.get_extra_info("socket")
                # Below TLS, which another thread is reading.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Take the connection, as httpx tells of it."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._stream = info["return_value"]
            if self.is_over:
                self.pass_()


@contextlib.contextmanager
def _stream(
    http: httpx.Client, url: str, content: bytes, headers: Mapping[str, str], deadline: _Deadline
) -> Iterator[httpx.Response]:
    """POST, and yield the answer once its head is there.

    Raises `httpx.TransportError`; `httpx.ReadTimeout` where it is not there in time.
    """
    extensions = {"trace": deadline.trace}
    request = http.build_request(
        "POST", url, content=content, headers=headers, extensions=extensions
    )
    try:
        response = http.send(request, stream=True)
    except httpx.TransportError as error:
        if deadline.is_over:
            raise httpx.ReadTimeout("timed out before the head of the answer was whole") from error
        raise
    with contextlib.closing(response):
        yield response


class EventReader:
    """Cuts a stream into its events, as its bytes come."""

    def __init__(self) -> None:
        self._count = 0
        self._buffer = bytearray()

    @property
    def rest(self) -> bytes:
        """The bytes after the last blank line."""
        return bytes(self._buffer)

    def cut_off(self) -> Event:
        """Return the rest as an event."""
        return _event(self._count, self.rest, 0.0, b"")

    def feed(self, data: bytes, at: float = 0.0) -> list[Event]:
        """Return the events that `data` completes, which came after so many milliseconds."""
        # What was there is not searched again: a line may be long, and come in many pieces.
        begin, look = 0, max(0, len(self._buffer) - 2)
        self._buffer += data
        events: list[Event] = []
        for blank in _BLANK.finditer(self._buffer, look):
            block, end = bytes(self._buffer[begin : blank.start()]), blank[0]
            if block.endswith(b"\r"):
                block, end = block[:-1], b"\r" + end
            events.append(_event(self._count, block, at, end))
            self._count += 1
            begin = blank.end()
        del self._buffer[:begin]
        return events


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    """Return the one context; to make one takes as long as to play a cassette."""
    return httpx.create_ssl_context()


def read_events(stream: bytes) -> list[Event]:
    """Return the events of a whole Responses stream; the last one may lack its blank line."""
    reader = EventReader()
    events = [event for event in reader.feed(stream) if event.raw]
    return [*events, reader.cut_off()] if reader.rest else events


def _event(number: int, block: bytes, at: float, end: bytes) -> Event:
    """Return the event of a block of lines, as the specification of such streams reads them."""
    name: str | None = None
    data: dict[str, Any] | None = None
    for line in block.split(b"\n"):
        field_name, _, value = line.removesuffix(b"\r").partition(b":")
        value = value.removeprefix(b" ")
        if field_name == b"event":
            name = value.decode(errors="replace")
        elif field_name == b"data":
            try:
                parsed = json.loads(value)
            except (ValueError, RecursionError):
                continue
            data = parsed if isinstance(parsed, dict) else None
    return Event(number, name, data, block, at, end)
