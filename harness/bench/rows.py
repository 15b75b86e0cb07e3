"""The rows of the bench: each measures one subject, once, with one kind of stream."""

from __future__ import annotations

import asyncio
import gc
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final, NamedTuple

import uvloop

from harness.bench.client import Answer, Connection
from harness.bench.subjects import Running
from harness.bench.traffic import BULK, BURST, HOLD, Plan, request, stream
from harness.errors import HarnessError

__all__ = ["ROWS", "Measured", "Row", "life", "middle", "passed"]

#: Deltas of a stream, but of a paced one.
_DELTAS: Final = 1000

#: Streams at once.
_STREAMS: Final = 32
_IDLE: Final = 1000

#: What Cerebras streams to one client, in deltas a second; for a second.
_PACE: Final = 3000

#: Of a stream that is passed through: 4.7 MB.
_BULK: Final = 20_000

#: Bytes that stay with a client once they were free, and twice as many at the end of its memory:
#: the most that glibc takes from a block (mallopt(3), M_MMAP_THRESHOLD), less what it adds to one.
_ROOM: Final = 31 * 1024 * 1024

#: One stream after the other, until there were so many, or so many seconds have passed.
_MANY: Final = 20
_MANY_SHORT: Final = 100
_LONG: Final = 1.0

#: Seconds that all idle streams together may take to begin.
_PATIENCE: Final = 60.0


class Measured(NamedTuple):
    """What one measurement gave: figures by their name, and what was wrong with the answers."""

    figures: dict[str, float]
    fault: str | None = None


class Row(NamedTuple):
    """How something is measured once, and how many times in a round."""

    measure: Callable[[Running, str], Awaitable[Measured]]
    times: int = 1


def middle(measured: Iterable[Measured]) -> Measured:
    """Return the medians of what was measured several times, and the first fault."""
    measured = list(measured)
    values: dict[str, list[float]] = {}
    for each in measured:
        for name, value in each.figures.items():
            values.setdefault(name, []).append(value)
    figures = {name: statistics.median(each) for name, each in values.items()}
    return Measured(figures, next((each.fault for each in measured if each.fault), None))


async def _burst(subject: Running, kind: str) -> Measured:
    """One stream at a time, each as fast as it goes."""
    plan = Plan(kind, _DELTAS)
    first = await _ask(subject, plan)
    cpu = subject.cpu_seconds()
    answers = await _ask_often(subject, plan, _MANY)
    cpu = subject.cpu_seconds() - cpu
    median = statistics.median(answer.seconds for answer in answers)
    figures = {"burst rate": _DELTAS / median, "burst cpu": cpu * 1e6 / _DELTAS / len(answers)}
    return Measured(figures, _fault([first, *answers], plan))


async def _load(subject: Running, kind: str) -> Measured:
    """Many streams at once, each over a connection of its own."""
    plan = Plan(kind, _DELTAS)
    body = request(plan)
    connections = [await Connection.to(subject.port) for _ in range(_STREAMS)]
    cpu, start = subject.cpu_seconds(), time.perf_counter()
    answers = await asyncio.gather(*(each.ask(subject.path, body) for each in connections))
    seconds, cpu = time.perf_counter() - start, subject.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    deltas = _DELTAS * _STREAMS
    figures = {"load rate": deltas / seconds, "load cpu": cpu * 1e6 / deltas}
    return Measured(figures, _fault(answers, plan))


async def _first(subject: Running, kind: str) -> Measured:
    """How long the first delta takes, from the request."""
    plan = Plan(kind, 1)
    answers = await _ask_often(subject, plan, _MANY_SHORT)
    times = [answer.first_delta for answer in answers if answer.first_delta is not None]
    figures = {"first delta": statistics.median(times)} if times else {}
    return Measured(figures, _fault(answers, plan))


async def _paced(subject: Running, kind: str) -> Measured:
    """How long each delta is under way, from the provider to the client."""
    plan = Plan(kind, _PACE, _PACE)
    answer = await _ask(subject, plan)
    figures: dict[str, float] = {}
    if len(latencies := answer.latencies()) > 1:
        hundredths = statistics.quantiles(latencies, n=100)
        figures = {"latency p50": hundredths[49], "latency p99": hundredths[98]}
    return Measured(figures, answer.fault(plan))


async def life(subject: Running, kind: str) -> Measured:
    """Start and memory: of a fresh process, after a load, and while many streams are idle."""
    figures = {"start": subject.start_seconds, "memory at rest": subject.memory_mb()}
    load = await _load(subject, kind)
    figures["memory after load"] = subject.memory_mb()
    plan = Plan(kind, 1, HOLD)
    body = request(plan)
    connections = [await Connection.to(subject.port) for _ in range(_IDLE)]
    asked = [
        asyncio.ensure_future(each.ask(subject.path, body, until=b"data:")) for each in connections
    ]
    _, late = await asyncio.wait(asked, timeout=_PATIENCE)
    figures["memory idle"] = subject.memory_mb()
    for waiting in late:
        waiting.cancel()
    for connection in connections:
        connection.close()
    fault = f"{len(late)} of {_IDLE} idle streams did not begin" if late else load.fault
    return Measured(figures, fault)


async def passed(subject: Running) -> Measured:
    """How fast a body passes through, by the size of its HTTP chunks.

    A process of its own asks, a new one each time: a client that has memory from before is twice as
    fast as one that gets it from the system page by page, and would be that for one subject alone.
    """
    figures: dict[str, float] = {}
    faults: list[str | None] = []
    for name, pace in (("pass bulk", BULK), ("pass events", BURST)):
        plan = Plan("text", _BULK, pace)
        megabytes = sum(map(len, stream(plan))) / 1e6
        with ProcessPoolExecutor(
            1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL)
        ) as client:
            loop = asyncio.get_running_loop()
            try:
                asked = loop.run_in_executor(client, _seconds_of_bulk, subject, plan)
                new, used, fault = await asked
            except BrokenProcessPool as error:
                raise HarnessError(f"the client that asked {subject.name} was killed") from error
        if fault is None:
            figures |= {name: megabytes / new, f"{name} again": megabytes / used}
        faults.append(fault)
    return Measured(figures, next(filter(None, faults), None))


def _seconds_of_bulk(subject: Running, plan: Plan) -> tuple[float, float, str | None]:
    """Return how long a client takes that keeps its answers, and one that has room for the next."""

    async def ask() -> tuple[float, float, str | None]:
        gc.disable()
        bytes(_ROOM)  # freed at once; the largest such block says what is kept
        answers = [await _ask(subject, plan)]
        answers += await _ask_often(subject, plan, _MANY)
        new = statistics.median(answer.seconds for answer in answers[1:])
        fault = _fault(answers, plan)
        answers.clear()
        again: list[float] = []
        for _ in range(_MANY):
            answer = await _ask(subject, plan)
            again.append(answer.seconds)
            # All of it would take as long again, in which a subject could catch up.
            if answer.broken or not answer.reads[0].startswith(b"HTTP/1.1 200"):
                fault = fault or answer.fault(plan)
        fault = fault or answer.fault(plan)
        return new, statistics.median(again), fault

    return uvloop.run(ask())


#: What is measured of each subject and each kind of stream, in processes that go on running.
ROWS: Final = {
    "burst": Row(_burst),
    "load": Row(_load),
    "first": Row(_first),
    # What else the machine does spoils one stream, and not three.
    "paced": Row(_paced, times=3),
}


async def _ask(subject: Running, plan: Plan) -> Answer:
    """Return the answer to one request, over a connection of its own.

    On one that is kept, some subjects wait for an acknowledgement that the kernel delays by 40 ms.
    """
    connection = await Connection.to(subject.port)
    answer = await connection.ask(subject.path, request(plan))
    connection.close()
    return answer


async def _ask_often(subject: Running, plan: Plan, most: int) -> list[Answer]:
    """Return the answers to so many requests, one after the other, or to those of a second."""
    end = time.monotonic() + _LONG
    answers = [await _ask(subject, plan)]
    while len(answers) < most and time.monotonic() < end:
        answers.append(await _ask(subject, plan))
    return answers


def _fault(answers: Iterable[Answer], plan: Plan) -> str | None:
    """Return the first thing that is wrong with one of `answers`."""
    return next((fault for answer in answers if (fault := answer.fault(plan))), None)
