"""What the host of a virtual machine takes of its processors, while something is measured.

A stream that waits some milliseconds for a processor tells nothing of the program that serves it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from harness.bench.rows import Measured

__all__ = ["MOST", "TRIES", "Try", "processor_times", "undisturbed"]

#: Share of all processors that may be taken. Of two, for a second, it is less than a hundredth: so
#: long, 1 % of the deltas of a paced stream may wait, and would be its p99.
MOST: Final = 0.0025

#: How many times as often something is measured at most, and the seconds after which no more.
TRIES: Final = 10
_LONG: Final = 15.0


class Try(NamedTuple):
    """What was measured, and the share of the processors that was taken meanwhile."""

    measured: Measured
    taken: float


def processor_times() -> tuple[int, int]:
    """Return the hundredths of a second that a host has taken, and all, since the system's start.

    The first line of /proc/stat, proc_stat(5); what a guest had is in the first two as well.
    """
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    times = [int(field) for field in line.split()[1:9]]
    return times[7], sum(times)


async def undisturbed(
    measure: Callable[[], Awaitable[Measured]],
    wanted: int = 1,
    times: Callable[[], tuple[int, int]] = processor_times,
    patience: float = _LONG,
) -> list[Try]:
    """Measure so often, and again where much was taken meanwhile; return what was taken least from.

    After `patience` seconds nothing is measured again. What is wrong with an answer is no matter of
    the host, and stays.
    """
    end = time.monotonic() + patience
    tries: list[Try] = []
    while True:
        taken, every = times()
        measured = await measure()
        taken_now, every_now = times()
        tries.append(Try(measured, (taken_now - taken) / max(1, every_now - every)))
        if len(tries) < wanted:
            continue
        tries.sort(key=lambda one: (one.measured.fault is None, one.taken))
        if (
            all(one.measured.fault or one.taken <= MOST for one in tries[:wanted])
            or len(tries) == TRIES * wanted
            or time.monotonic() >= end
        ):
            return tries[:wanted]
