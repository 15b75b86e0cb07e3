"""An httpx transport that records through a cassette, or replays from it, without buffering.

Bytes pass on as they come, in either direction: whoever reads the stream sees the chunks and the
times of the wire. What ends a stream early is recorded as well, and replayed.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
from vcr.errors import CannotOverwriteExistingCassetteException as Miss
from vcr.request import Request as RecordedRequest

from harness.cassette import NO_ANSWER, Cassette, chunks_of, nearest, play
from harness.redact import request_headers, response_headers

__all__ = [
    "CassetteTransport",
    "Finish",
    "Interaction",
    "Miss",
    "Pace",
    "RecordedRequest",
    "Unreached",
    "as_recorded",
    "at_once",
    "difference",
    "replayed",
    "unchanged",
]

#: Awaited before each chunk, with its number and its milliseconds since the request.
Pace = Callable[[int, float], Awaitable[None]]

#: Differences that are told of a request; whoever sees more of them looks for another cause.
_MOST_TOLD: Final = 10

_ERRORS: Final[Mapping[str, type[httpx.TransportError]]] = {
    "cut": httpx.RemoteProtocolError,
    "reset": httpx.ReadError,
    "timeout": httpx.ReadTimeout,
    "abandoned": httpx.RemoteProtocolError,
}


async def at_once(number: int, milliseconds: float) -> None:
    """Replay without waiting."""


def as_recorded(*, speed: float = 1.0) -> Pace:
    """Return a pace that replays one stream at its recorded times, divided by `speed`."""
    start = time.perf_counter()

    async def pace(number: int, milliseconds: float) -> None:
        await asyncio.sleep(start + milliseconds / 1000 / speed - time.perf_counter())

    return pace


#: A request and its answer, as a cassette has them.
Interaction = tuple[RecordedRequest, dict[str, Any]]

#: Takes a request and its answer, and returns what is kept of them, if anything is.
Finish = Callable[[RecordedRequest, dict[str, Any]], Interaction | None]

#: The connection did not come about: there is nothing to record.
Unreached: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


def unchanged(request: RecordedRequest, answer: dict[str, Any]) -> Interaction:
    """Keep a request and its answer as they are."""
    return request, answer


class CassetteTransport(httpx.AsyncBaseTransport):
    """Answers from `cassette`; what is not in it goes to `inner`, and into the cassette.

    `pace` is asked for each replayed stream anew; `begin`, at each request, for what makes of it
    what is kept; `recorded` is called when something was. Where there is no `inner`, a request that
    is in no recording that is left raises `Miss`; `difference` says how it differs.
    """

    def __init__(
        self,
        cassette: Cassette,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        pace: Callable[[], Pace] = lambda: at_once,
        begin: Callable[[RecordedRequest], Finish] = lambda request: unchanged,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._cassette = cassette
        self._inner = inner
        self._pace = pace
        self._begin = begin
        self._recorded = recorded

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        recorded = RecordedRequest(
            request.method,
            str(request.url),
            body,
            request_headers(request.headers),
        )
        if request.method != "POST" and self._inner is not None:
            # What a client asks beside the conversation.
            return await self._inner.handle_async_request(request)
        finish = self._begin(recorded)
        if self._cassette.can_play_response_for(recorded):
            return replayed(play(self._cassette, recorded), self._pace())
        if self._inner is None:
            raise Miss(cassette=self._cassette, failed_request=recorded)
        return await self._record(self._inner, request, recorded, finish)

    async def _record(
        self,
        inner: httpx.AsyncBaseTransport,
        request: httpx.Request,
        recorded: RecordedRequest,
        finish: Finish,
    ) -> httpx.Response:
        start = time.perf_counter()

        def append(head: dict[str, Any], body: bytes, chunks: list[list[float]], end: str) -> None:
            stream = {"chunks": chunks, "end": end}
            answer = {**head, "body": {"string": body}, "stream": stream}
            if (kept := finish(recorded, answer)) is not None:
                self._cassette.append(*kept)
                self._recorded()

        try:
            answer = await inner.handle_async_request(request)
        except Unreached:
            raise
        except httpx.TransportError as error:
            status = {"code": NO_ANSWER, "message": "no answer"}
            append({"status": status, "headers": {}}, b"", [], _end(error))
            raise
        reason = answer.extensions.get("reason_phrase", b"").decode("latin-1")
        headers = response_headers(answer.headers)
        head = {
            "status": {"code": answer.status_code, "message": reason},
            "headers": {name: [value] for name, value in headers.items()},
        }
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _Recording(answer.stream, start, functools.partial(append, head))
        return answer

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()


class _Recording(httpx.AsyncByteStream):
    """A stream that passes on what it reads, and remembers it."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        start: float,
        append: Callable[[bytes, list[list[float]], str], None],
    ) -> None:
        self._stream = stream
        self._start = start
        self._append = append
        self._body = bytearray()
        self._chunks: list[list[float]] = []
        self._end = "abandoned"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                milliseconds = round((time.perf_counter() - self._start) * 1000, 1)
                self._chunks.append([milliseconds, len(chunk)])
                self._body += chunk
                yield chunk
            self._end = "complete"
        except httpx.TransportError as error:
            self._end = _end(error)
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._append(bytes(self._body), self._chunks, self._end)


def _end(error: httpx.TransportError) -> str:
    return next((end for end, kind in _ERRORS.items() if isinstance(error, kind)), "cut")


def replayed(response: Mapping[str, Any], pace: Pace) -> httpx.Response:
    """Return a recorded answer, streaming; raises what a request without an answer raises."""
    status = response["status"]["code"]
    if status == NO_ANSWER:
        raise _ERRORS[response["stream"]["end"]]("the recording has no answer")
    return httpx.Response(
        status,
        headers=[(name, value) for name, values in response["headers"].items() for value in values],
        stream=_Replay(response, pace),
    )


class _Replay(httpx.AsyncByteStream):
    """A recorded stream, chunk by chunk, with its end."""

    def __init__(self, response: Mapping[str, Any], pace: Pace) -> None:
        self._response = response
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, (milliseconds, chunk) in enumerate(chunks_of(self._response)):
            await self._pace(number, milliseconds)
            yield chunk
        end = self._response["stream"]["end"]
        if end != "complete":
            raise _ERRORS[end](f"the recorded stream ends here: {end}")


def difference(miss: Miss) -> str:
    """Return what tells the request of `miss` from the recording that is nearest to it."""
    request = miss.failed_request
    what = f"{request.method} {request.path}"
    if miss.reason == "already_played":
        return f"{what} came once more than it was recorded"
    if (found := nearest(miss.cassette, request)) is None:
        return f"{what} is in no recording, and nothing is like it"
    number, differing = found
    lines = differing[:_MOST_TOLD]
    if len(differing) > _MOST_TOLD:
        lines.append(f"... and {len(differing) - _MOST_TOLD} more")
    told = "".join(f"\n  {line}" for line in lines)
    return f"{what} is in no recording; interaction {number} is the nearest, but for:{told}"
