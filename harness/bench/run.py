"""One run of the bench: every subject, row and kind of stream, in alternating rounds.

Round by round and row by row one subject follows the other, each time another one first, so that
whatever the machine does meanwhile falls on all of them; a ratio is taken within a round. Where the
host of a virtual machine took some of its processors meanwhile, that is measured again.
"""

from __future__ import annotations

import datetime
import gc
import os
import platform
import re
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from harness.bench.core import rate
from harness.bench.host import MOST, undisturbed
from harness.bench.rows import ROWS, Measured, life, middle, passed
from harness.bench.subjects import (
    OWN,
    PASS_THROUGH,
    RELAY,
    SUBJECTS,
    Running,
    Subject,
    Unavailable,
    install,
    running,
    running_upstream,
)
from harness.bench.traffic import KINDS

__all__ = ["BUDGET", "Progress", "Results", "allow_many_files", "is_chosen", "machine", "run"]

#: Seconds that a subject may spend on one row and kind: what is that slow needs no more rounds.
#: Seven rounds of what is measured again for as long as it may be are within it.
BUDGET: Final = 130.0

#: Tells what is being measured.
Progress = Callable[[str], None]

#: By round; None where there was nothing to measure.
Values = list[float | None]


class Results(msgspec.Struct):
    """What one run gave. All of it goes into the JSON."""

    rounds: int
    #: When it began.
    date: str
    machine: dict[str, str]
    #: Processes that wanted a processor, on average over the last minute: at the start, at the end.
    load: list[float] = []
    subjects: list[str] = []
    #: Why a subject is not among them.
    left_out: dict[str, str] = {}
    #: By kind of stream, figure and subject.
    figures: dict[str, dict[str, dict[str, Values]]] = {}
    #: What was wrong with answers, by kind, row and subject.
    faults: dict[str, dict[str, dict[str, str]]] = {}
    #: While how many measurements the host took much, each time, and how many there were.
    disturbed: int = 0
    measured: int = 0

    def add(self, round: int, subject: str, row: str, kind: str, measured: Measured) -> None:
        """Enter what was measured in a round."""
        for name, value in measured.figures.items():
            by_subject = self.figures.setdefault(kind, {}).setdefault(name, {})
            by_subject.setdefault(subject, [None] * self.rounds)[round] = value
        if measured.fault is not None:
            self.faults.setdefault(kind, {}).setdefault(row, {})[subject] = measured.fault


def is_chosen(only: list[str], *what: str) -> bool:
    """Tell whether a subject, a row of it, or that of one kind, is among the patterns of `only`."""
    return not only or any(all(map(fnmatchcase, what, pattern.split("/"))) for pattern in only)


async def run(rounds: int, only: list[str], progress: Progress) -> Results:
    """Measure, and return what came of it; `only` are patterns: SUBJECT, SUBJECT/ROW/KIND."""
    allow_many_files()
    results = Results(
        rounds, datetime.date.today().isoformat(), machine(), load=[os.getloadavg()[0]]
    )
    with ExitStack() as stack:
        bench = _Bench(results, only, progress, stack.enter_context(running_upstream()))
        for subject in SUBJECTS:
            if is_chosen(only, subject.name):
                progress(f"starting {subject.name}")
                try:
                    install(subject)
                    bench.add(subject, stack.enter_context(running(subject, bench.upstream)))
                except Unavailable as reason:
                    results.left_out[subject.name] = str(reason)
        # Garbage is collected between measurements, not in them.
        gc.disable()
        try:
            for round in range(rounds):
                for kind in KINDS:
                    await bench.measure(round, kind)
                await bench.measure_pass_through(round)
        finally:
            gc.enable()
    results.load.append(os.getloadavg()[0])
    return results


class _Bench:
    """What is running, and what came of it so far."""

    def __init__(
        self, results: Results, only: list[str], progress: Progress, upstream: Running
    ) -> None:
        self.upstream = upstream
        self._results = results
        self._only = only
        self._progress = progress
        self._there: list[tuple[Subject, Running]] = []
        #: Seconds, by subject, row and kind.
        self._spent: dict[tuple[str, str, str], float] = {}

    def add(self, subject: Subject, process: Running) -> None:
        """Take in one more subject."""
        self._there.append((subject, process))
        self._results.subjects.append(subject.name)

    async def measure(self, round: int, kind: str) -> None:
        """Measure one kind of stream once: row by row, in each of them every subject."""
        first = round % max(1, len(self._there))
        there = self._there[first:] + self._there[:first]
        for row, (measure, times) in ROWS.items():
            chosen = [process for subject, process in there if self._wants(subject.name, row, kind)]
            for process in (self.upstream, *chosen) if chosen else ():
                with self._entering(round, process.name, row, kind) as enter:
                    enter(await self._undisturbed(partial(measure, process, kind), times))
        for subject, _ in there:
            if self._wants(subject.name, "life", kind):
                entering = self._entering(round, subject.name, "life", kind)
                with entering as enter, running(subject, self.upstream) as process:
                    enter(await life(process, kind))
        if self._wants(OWN.name, "core", kind):
            with self._entering(round, OWN.name, "core", kind) as enter:
                enter(Measured({"core": rate(kind)}))

    async def measure_pass_through(self, round: int) -> None:
        """Measure what the backend `chatgpt` passes through."""
        if self._wants(PASS_THROUGH.name, "pass", "text"):
            with (
                running(PASS_THROUGH, self.upstream) as process,
                running(RELAY, self.upstream) as relay,
            ):
                asked = (self.upstream, relay, process)
                first = round % len(asked)
                for subject in asked[first:] + asked[:first]:
                    with self._entering(round, subject.name, "pass", "text") as enter:
                        enter(await self._undisturbed(partial(passed, subject)))

    async def _undisturbed(
        self, measure: Callable[[], Awaitable[Measured]], times: int = 1
    ) -> Measured:
        tries = await undisturbed(measure, times)
        self._results.measured += len(tries)
        self._results.disturbed += sum(each.taken > MOST for each in tries)
        return middle(each.measured for each in tries)

    def _wants(self, subject: str, row: str, kind: str) -> bool:
        return (
            is_chosen(self._only, subject, row, kind)
            and self._spent.get((subject, row, kind), 0.0) < BUDGET
        )

    @contextmanager
    def _entering(
        self, round: int, subject: str, row: str, kind: str
    ) -> Iterator[Callable[[Measured], None]]:
        """Hand out what enters a measurement into the results; note how long it took."""
        self._progress(f"round {round + 1} of {self._results.rounds}: {kind}, {row}, {subject}")
        gc.collect()
        start = time.monotonic()
        yield lambda measured: self._results.add(round, subject, row, kind, measured)
        spent = self._spent.get((subject, row, kind), 0.0)
        self._spent[subject, row, kind] = spent + time.monotonic() - start


def allow_many_files() -> None:
    """Allow what is started from here a thousand streams: each takes descriptors of a proxy."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def machine() -> dict[str, str]:
    """Return what the figures depend on, in words."""
    found = re.search(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processors": f"{os.cpu_count()} x {found[1] if found else platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"Python {platform.python_version()}",
    }
