"""What is wanted of the figures, and whether it was reached: medians, and ratios round by round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final, NamedTuple

from harness.bench.run import Results, Values
from harness.bench.subjects import OWN, PASS_THROUGH, UPSTREAM

__all__ = ["PEER", "Judged", "judged"]

#: The fastest peer, which the others are measured by.
PEER: Final = "codex-relay"


class _Figure(NamedTuple):
    """A figure of a row, and what is wanted of it."""

    name: str
    label: str
    row: str
    #: Digits behind the point.
    digits: int
    #: What must hold, and what we are after: ratios to `against`, or figures where there is none.
    floor: float | None = None
    goal: float | None = None
    against: str | None = PEER
    #: True where more of it is better.
    more: bool = False
    #: True where it is what a subject adds to the upstream alone.
    added: bool = False
    #: Whose figure is judged.
    subject: str = OWN.name


_FIGURES: Final = (
    _Figure("burst rate", "events/s, one stream", "burst", 0, 2, 3, more=True),
    _Figure("load rate", "events/s, 32 streams", "load", 0, 1.2, 1.5, more=True),
    _Figure("burst cpu", "CPU ms per 1,000 events, one stream", "burst", 1, 1 / 2, 1 / 3),
    _Figure("load cpu", "CPU ms per 1,000 events, 32 streams", "load", 1, 1 / 2, 1 / 3),
    _Figure("first delta", "first delta, ms added", "first", 2, 1.25, 0.75, added=True),
    _Figure("latency p50", "latency at 3,000/s, p50, ms added", "paced", 3, 1.25, 1, added=True),
    _Figure("latency p99", "latency at 3,000/s, p99, ms added", "paced", 3, 1.25, 1, added=True),
    _Figure("start", "start to healthy, s", "life", 2, 0.6, against=None),
    _Figure("memory at rest", "memory at rest, MB", "life", 0, against=None),
    _Figure("memory after load", "memory after 32 x 1,000, MB", "life", 0, 80, 64, None),
    _Figure("memory idle", "memory, 1,000 idle streams, MB", "life", 0, against=None),
    _Figure("core", "core alone, events/s", "core", 0, 250_000, 350_000, None, more=True),
    *(
        _Figure(name, label, "pass", 0, floor, None, UPSTREAM, more=True, subject=PASS_THROUGH.name)
        for name, label, floor in (
            ("pass bulk", "passed through, MB/s, in chunks of 64 KB", 0.5),
            ("pass bulk again", "... into memory that the client had before", None),
            ("pass events", "passed through, MB/s, a chunk an event", None),
            ("pass events again", "... each, into memory that the client had before", None),
        )
    ),
)


class Judged(NamedTuple):
    """One figure of one kind of stream."""

    label: str
    digits: int
    #: By subject.
    medians: dict[str, float]
    #: In how many rounds each was measured.
    counts: dict[str, int]
    #: To `PEER`, and to the upstream alone: medians of the ratios in each round.
    ratios: dict[str, float]
    #: Subjects whose answers were not right: what was measured of them is another thing.
    faulty: list[str]
    #: In words.
    wanted: str
    #: "goal", "floor" or "missed"; empty where nothing is wanted, or nothing can be said.
    verdict: str


def judged(results: Results) -> Iterator[tuple[str, Judged]]:
    """Yield each kind of stream with each of its figures."""
    for kind, figures in results.figures.items():
        faults = results.faults.get(kind, {})
        for figure in _FIGURES:
            if figure.name in figures:
                yield kind, _judge(figure, figures[figure.name], list(faults.get(figure.row, {})))


def _judge(figure: _Figure, values: dict[str, Values], faulty: list[str]) -> Judged:
    if figure.added:
        alone = values.get(UPSTREAM, [])
        values = {name: _minus(each, alone) for name, each in values.items() if name != UPSTREAM}
    there = {name: [value for value in each if value is not None] for name, each in values.items()}
    medians = {name: statistics.median(each) for name, each in there.items() if each}
    counts = {name: len(each) for name, each in there.items() if each}
    own = values.get(figure.subject, [])
    ratios = {
        other: statistics.median(each)
        for other in (PEER, UPSTREAM)
        if (each := _ratios(own, values.get(other, [])))
    }
    value = medians.get(figure.subject)
    if figure.against is not None:
        value = None if figure.against in faulty else ratios.get(figure.against)
    wanted, verdict = _wanted(figure), _verdict(figure, value)
    return Judged(figure.label, figure.digits, medians, counts, ratios, faulty, wanted, verdict)


def _minus(values: Values, others: Values) -> Values:
    return [
        None if value is None or other is None else value - other
        for value, other in zip(values, others, strict=False)
    ]


def _ratios(values: Values, others: Values) -> list[float]:
    """Return the ratio of each round that has one."""
    pairs = zip(values, others, strict=False)
    return [value / other for value, other in pairs if value is not None and other and other > 0]


def _wanted(figure: _Figure) -> str:
    times = "" if figure.against is None else "x"
    bounds = (figure.floor, figure.goal)
    return ", ".join(f"{round(bound, 2):,}{times}" for bound in bounds if bound is not None)


def _verdict(figure: _Figure, value: float | None) -> str:
    if value is None or figure.floor is None:
        return ""
    sign = 1 if figure.more else -1
    if figure.goal is not None and value * sign >= figure.goal * sign:
        return "goal"
    return "floor" if value * sign >= figure.floor * sign else "missed"
