"""How the cost grows: by the length of a stream, by streams at a time, by what was said before.

Costs are the processor time of the proxy's process, all threads of it, so that it matters little
what else the machine does. What a request costs by itself is measured beside it and left out of the
cost of an event.
"""

from __future__ import annotations

import asyncio
import datetime
import statistics
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from harness.bench.client import Connection
from harness.bench.run import Progress, allow_many_files, machine
from harness.bench.subjects import OWN, Running, running, running_upstream
from harness.bench.traffic import Plan, request

__all__ = ["HIGHEST", "Curve", "Growth", "measure"]

#: How much a point of a curve may cost, to the median of those up to it: a fall is no growth.
HIGHEST: Final = 1.5

#: Events of a stream; how many one after the other, and how often: ten events cost a thirtieth of
#: their request, whose cost they are told from.
_EVENTS: Final = {10: (20, 60), 100: (20, 20), 1000: (5, 10), 10_000: (2, 4), 100_000: (1, 3)}

#: Streams at a time, how often so many, and events of each.
_STREAMS: Final = {1: 40, 10: 8, 100: 3, 1000: 2}
_EVENTS_EACH: Final = 200

#: Bytes of a conversation, and how often each is asked about.
_HISTORY: Final = {200_000: 40, 500_000: 20, 1_000_000: 15, 2_500_000: 10, 5_000_000: 8}

#: Seconds that the proxy has to write its log of what was answered.
_AFTERWARDS: Final = 0.1


class Curve(msgspec.Struct):
    """What one thing costs, by how much there is of it."""

    title: str
    #: What is counted along the curve, and in what its cost is told.
    by: str
    unit: str
    points: list[tuple[int, float]]

    @property
    def rise(self) -> float:
        """What a point costs at most, to the median of those up to it."""
        costs = [cost for _, cost in self.points]
        return max(cost / statistics.median(costs[: at + 1]) for at, cost in enumerate(costs))

    @property
    def rises(self) -> bool:
        return self.rise > HIGHEST

    def __str__(self) -> str:
        verdict = "RISES" if self.rises else "ok"
        costs = ", ".join(f"{count:,}: {cost:.1f}" for count, cost in self.points)
        limit = f"at most {self.rise:.2f} times the median up to there, {HIGHEST:.2f} is allowed"
        return f"{self.title}, {self.unit} by {self.by}: {costs}; {limit}: {verdict}"


class Growth(msgspec.Struct):
    """All curves of one run."""

    date: str
    machine: dict[str, str]
    curves: list[Curve]


async def measure(progress: Progress) -> Growth:
    """Measure this proxy."""
    allow_many_files()
    with running_upstream() as upstream, running(OWN, upstream) as proxy:
        curves = [
            Curve(
                "Length of a stream",
                "events of the stream",
                "µs an event",
                [point async for point in _by_events(proxy, progress)],
            ),
            Curve(
                "Streams at a time",
                "streams",
                "µs an event",
                [point async for point in _by_streams(proxy, progress)],
            ),
            Curve(
                "Length of the conversation",
                "bytes of the request",
                "ms a MB",
                [point async for point in _by_history(proxy, progress)],
            ),
        ]
    return Growth(datetime.date.today().isoformat(), machine(), curves)


async def _by_events(proxy: Running, progress: Progress) -> AsyncIterator[tuple[int, float]]:
    """Yield the microseconds of an event, by the events of a stream.

    Short streams take turns with those of one event, as their cost is nearly all the request's.
    """
    one = request(Plan("text", 1))
    for events, (streams, times) in _EVENTS.items():
        progress(f"growth: streams of {events:,} events")
        many = request(Plan("text", events))
        await _cost(proxy, many)  # the provider makes it up once
        more = [
            await _cost(proxy, many, times=streams) - await _cost(proxy, one, times=streams)
            for _ in range(times)
        ]
        yield events, statistics.median(more) * 1e6 / (events - 1)


async def _by_streams(proxy: Running, progress: Progress) -> AsyncIterator[tuple[int, float]]:
    """Yield the microseconds of an event, by the streams that there are at a time."""
    one, many = request(Plan("text", 1)), request(Plan("text", _EVENTS_EACH))
    for streams, times in _STREAMS.items():
        progress(f"growth: {streams:,} streams")
        await _cost(proxy, many, streams=streams)
        more = [
            await _cost(proxy, many, streams=streams) - await _cost(proxy, one, streams=streams)
            for _ in range(times)
        ]
        yield streams, statistics.median(more) * 1e6 / streams / (_EVENTS_EACH - 1)


async def _by_history(proxy: Running, progress: Progress) -> AsyncIterator[tuple[int, float]]:
    """Yield the milliseconds of each MB that the conversation has, by the bytes of a request."""
    plan = Plan("text", 1)
    empty = request(plan, history=0)
    for history, times in _HISTORY.items():
        progress(f"growth: {history:,} bytes of conversation")
        body = request(plan, history=history)
        await _cost(proxy, body)
        more = [await _cost(proxy, body) - await _cost(proxy, empty) for _ in range(times)]
        yield len(body), statistics.median(more) * 1e3 / ((len(body) - len(empty)) / 1e6)


async def _cost(proxy: Running, body: bytes, *, streams: int = 1, times: int = 1) -> float:
    """Return the processor seconds of the proxy for so many answers; of each time, if several."""
    before = proxy.cpu_seconds()
    for _ in range(times):
        connections = [await Connection.to(proxy.port) for _ in range(streams)]
        answers = await asyncio.gather(*(each.ask(proxy.path, body) for each in connections))
        for connection in connections:
            connection.close()
        assert not any(answer.broken for answer in answers), "an answer broke off"
    await asyncio.sleep(_AFTERWARDS)
    return (proxy.cpu_seconds() - before) / times
