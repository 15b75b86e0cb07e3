"""The clock of a replay: when each chunk is sent, and that the proxy has time to pass it on.

At some chunks of a stream the provider waits before it sends the next: until the client has what is
due, which a good proxy makes a matter of a millisecond, or in vain.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.cassette import chunks_of
from harness.chat_stream import read_chat_stream
from harness.client import Answer, Event
from harness.rules import Exchange
from harness.rules.timing import owed
from harness.transport import Pace

__all__ = ["Watch"]

#: Seconds that are waited for what is due, once for each answer.
_PATIENCE: Final = 1.0
#: Chunks of each answer that are waited for, besides the last one.
_FIRST: Final = 8

#: Chunks that were sent: when, by `time.perf_counter`, and the bytes.
_Sent = list[tuple[float, bytes]]


class Watch:
    """Paces the answers to one request after the other; `begin` tells of each new request.

    `given` makes the pace of each stream, if there is one; then nothing is waited for.
    """

    def __init__(self, given: Callable[[], Pace] | None = None) -> None:
        self._given = given
        self._request: Mapping[str, Any] = {}
        self._answers: Sequence[Mapping[str, Any]] = ()
        self._come: list[Event] = []
        self._streams: list[_Sent] = []
        #: Called when events have come, by the client's thread.
        self._waiting: set[Callable[[], object]] = set()

    def begin(
        self, request: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]
    ) -> Callable[[list[Event]], None]:
        """Expect `answers` to `request`; return what is to be called with the client's events."""
        self._request = request
        self._answers = answers
        come: list[Event] = []
        self._come = come
        self._streams = []

        def take(events: list[Event]) -> None:
            come.extend(events)
            for tell in list(self._waiting):
                tell()

        return take

    def chunks(self, began: float) -> list[tuple[float, bytes]]:
        """Return what was sent in this turn, each chunk with its milliseconds from `began`."""
        return [((at - began) * 1000, data) for stream in self._streams for at, data in stream]

    def sent(self, began: float) -> list[tuple[float, int]]:
        """Return when each chunk of the last answer was sent, and how many bytes before it."""
        last = self._streams[-1] if self._streams else []
        before = itertools.accumulate((len(data) for _, data in last), initial=0)
        return [((at - began) * 1000, size) for (at, _), size in zip(last, before, strict=False)]

    def pace(self) -> Pace:
        """Return the pace of the next answer; the last one may be asked for once more."""
        answer = self._answers[min(len(self._streams), len(self._answers) - 1)]
        chunks = [data for _, data in chunks_of(answer)]
        expected = Exchange(
            Answer(200, ""), read_chat_stream(b"".join(chunks)), request=self._request
        )
        given = None if self._given is None else self._given()
        sent: _Sent = []
        self._streams.append(sent)
        patient = given is None and answer["status"]["code"] == 200

        async def pace(number: int, milliseconds: float) -> None:
            nonlocal patient
            if given is not None:
                await given(number, milliseconds)
            elif patient and number and (number <= _FIRST or number == len(chunks) - 1):
                patient = await self._wait(expected, len(b"".join(chunks[:number])))
            sent.append((time.perf_counter(), chunks[number]))

        return pace

    async def _wait(self, expected: Exchange, size: int) -> bool:
        """Wait until the client has what is due after `size` bytes; return whether it has."""
        news = asyncio.Event()
        tell = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        self._waiting.add(tell)
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._come or owed(expected, size, self._come):
                    await news.wait()
                    news.clear()
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(tell)
        return True
