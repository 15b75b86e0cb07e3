"""What the host of a virtual machine takes of its processors, while something is measured.

A stream that waits some milliseconds for a processor tells nothing of the program that serves it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from harness.bench.rows import Measured

__all__ = ["MOST", "TRIES", "processor_times", "undisturbed"]

#: Share of all processors that may be taken; of two, for a second: two hundredths.
MOST: Final = 0.01

#: How often something is measured at most, and the seconds after which it is not once more.
TRIES: Final = 3
_LONG: Final = 15.0


def processor_times() -> tuple[int, int]:
    """Return the hundredths of a second that a host has taken, and all, since the system's start.

    The first line of /proc/stat, proc_stat(5); what a guest had is in the first two as well.
    """
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    times = [int(field) for field in line.split()[1:9]]
    return times[7], sum(times)


async def undisturbed(
    measure: Callable[[], Awaitable[Measured]],
    times: Callable[[], tuple[int, int]] = processor_times,
    patience: float = _LONG,
) -> tuple[Measured, float]:
    """Measure, and again where much was taken meanwhile; return what was taken least from.

    With it the share that was taken. After `patience` seconds nothing is begun again.
    """
    end = time.monotonic() + patience
    tries: list[tuple[float, Measured]] = []
    while True:
        taken, every = times()
        measured = await measure()
        taken_now, every_now = times()
        tries.append(((taken_now - taken) / max(1, every_now - every), measured))
        if tries[-1][0] <= MOST or len(tries) == TRIES or time.monotonic() >= end:
            share, measured = min(tries, key=lambda one: one[0])
            return measured, share
