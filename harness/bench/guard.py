"""The guard of the core's speed: ratios and not seconds, so that it holds on any machine.

Beside the core runs a bare loop of the least that must be done: decode a chunk, encode an event.
The two take turns in slices of a millisecond or two of processor time; the median of the ratios of
neighbours counts, so whatever else the machine does falls on both.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from harness.bench.core import new_stream, reads, seconds
from harness.bench.traffic import HOLD, Plan, chunk, pieces, stream

__all__ = ["COSTS", "Guarded", "guard"]

#: What each kind of stream costs on Python 3.11, in costs of the bare loop. To be set anew when the
#: core was made faster, or a dependency was: `tox -e bench-guard` prints what it costs now.
COSTS: Final[Mapping[str, float]] = {
    "text": 0.74,
    "reasoning": 0.74,
    "function": 0.8,
    "custom": 1.6,
}

#: From 3.13 on the interpreter's part of it, which is larger here than in the bare loop, is faster.
_NEWER: Final = 1.0 if sys.version_info < (3, 13) else 0.87

#: How much more than that is too slow: three times the spread of runs on a machine under load.
_TOLERANCE: Final = 1.15

#: Deltas of a slice, and slices of each.
_DELTAS: Final = 1000
_SLICES: Final = 150


class Guarded(NamedTuple):
    """What one kind of stream costs, and may cost, in costs of the bare loop."""

    kind: str
    cost: float
    limit: float

    @property
    def is_too_slow(self) -> bool:
        return self.cost > self.limit

    def __str__(self) -> str:
        verdict = "TOO SLOW" if self.is_too_slow else "ok"
        limit = f"at most {self.limit:.2f}"
        return f"{self.kind:<10} {self.cost:.2f} times the bare loop, {limit}: {verdict}"


def guard() -> Iterator[Guarded]:
    """Measure each kind of stream."""
    gc.disable()
    try:
        for kind, cost in COSTS.items():
            yield Guarded(kind, _cost(kind), cost * _NEWER * _TOLERANCE)
    finally:
        gc.enable()


def _cost(kind: str) -> float:
    plan = Plan(kind, _DELTAS, HOLD)
    arriving = reads(stream(plan))
    chunks = [chunk("text", piece).removeprefix(b"data: ") for piece in pieces("text", _DELTAS)]
    return statistics.median(
        seconds(new_stream(plan), arriving) / _bare(chunks) for _ in range(_SLICES)
    )


class _Bare:
    """The least that must be done, in three steps: so the interpreter has a part in it as well."""

    def __init__(self) -> None:
        self._number = 0
        self._outgoing: list[bytes] = []

    def receive(self, data: bytes) -> None:
        for choice in msgspec.json.decode(data)["choices"]:
            if choice["index"] == 0:
                self._take(choice["delta"])

    def _take(self, delta: dict[str, str]) -> None:
        if text := delta.get("content"):
            self._emit({"type": "delta", "sequence_number": 0, "item_id": "msg_0", "delta": text})

    def _emit(self, event: dict[str, Any]) -> None:
        event["sequence_number"] = self._number
        self._number += 1
        self._outgoing.append(msgspec.json.encode(event))


def _bare(chunks: list[bytes]) -> float:
    """Return the processor time that the least takes that must be done."""
    start = time.thread_time()
    bare = _Bare()
    for data in chunks:
        bare.receive(data)
    return time.thread_time() - start
