"""A run of the bench as tables in Markdown, as JSON, and as the measured part of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.bench.growth import Growth
from harness.bench.host import MOST, TRIES
from harness.bench.judge import PEER, Judged, judged
from harness.bench.run import BUDGET, Results
from harness.bench.subjects import PASS_THROUGH, RELAY, SUBJECTS, UPSTREAM
from harness.errors import HarnessError

__all__ = ["MARKS", "as_json", "page", "tables"]

#: What stands before and behind the part of a page that is written here.
MARKS: Final = ("<!-- measured: python -m harness.bench page -->", "<!-- end of measured -->")


def as_json(results: Results) -> bytes:
    """Return all that was measured, and what is made of it."""
    by_kind: dict[str, dict[str, Any]] = {}
    for kind, figure in judged(results):
        by_kind.setdefault(kind, {})[figure.label] = figure._asdict()
    whole = {**msgspec.to_builtins(results), "judged": by_kind}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def tables(results: Results) -> str:
    """Return a table for each kind of stream, and what was wrong with answers."""
    by_kind: dict[str, list[Judged]] = {}
    for kind, figure in judged(results):
        by_kind.setdefault(kind, []).append(figure)
    lines = [line for kind, figures in by_kind.items() for line in _table(results, kind, figures)]
    return "\n".join([*lines, *(f"- {note}" for note in _notes(results))]) + "\n"


def page(old: str, results: Results, grown: Growth, picture: str) -> str:
    """Return the page `old` with new measurements; `picture` is where the plot of growth is.

    Raises `HarnessError` where the page has no place for them.
    """
    before, start, rest = old.partition(MARKS[0])
    _, end, behind = rest.partition(MARKS[1])
    if not start or not end:
        raise HarnessError(f"the page has no part between {MARKS[0]} and {MARKS[1]}")
    curves = [f"- {curve}" for curve in grown.curves]
    measured = [
        start,
        "",
        tables(results),
        f"![What growth costs]({picture})",
        "",
        *curves,
        "",
        f"Growth: {grown.date}; {', '.join(grown.machine.values())}",
        "",
        end,
    ]
    return before + "\n".join(measured) + behind


def _table(results: Results, kind: str, figures: list[Judged]) -> Iterator[str]:
    measured = {name for figure in figures for name in figure.medians}
    known = (*results.subjects, PASS_THROUGH.name, RELAY.name, UPSTREAM)
    subjects = [name for name in known if name in measured]
    yield _line(kind, *subjects, f"to {PEER}", "to upstream", "floor, goal", "reached")
    yield "|---" + "|--:" * (len(subjects) + 2) + "|---|---|"
    for figure in figures:
        cells = [_cell(figure, name) for name in subjects]
        ratios = [_ratio(figure, name) for name in (PEER, UPSTREAM)]
        yield _line(figure.label, *cells, *ratios, figure.wanted, figure.verdict)
    yield ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(figure: Judged, subject: str) -> str:
    if subject not in figure.medians:
        return ""
    mark = " (!)" if subject in figure.faulty else ""
    return f"{figure.medians[subject]:,.{figure.digits}f}{mark}"


def _ratio(figure: Judged, other: str) -> str:
    is_said = other in figure.ratios and other not in figure.faulty
    return f"{figure.ratios[other]:.2f}x" if is_said else ""


def _notes(results: Results) -> Iterator[str]:
    """Yield what a reader of the tables must know."""
    for kind, rows in results.faults.items():
        for row, faults in rows.items():
            for subject, fault in faults.items():
                yield f"(!) {kind}, {row}, {subject}: {fault}"
    for subject, reason in results.left_out.items():
        yield f"{subject} is left out: {reason}"
    for subject in results.subjects:
        counts = (figure.counts.get(subject, results.rounds) for _, figure in judged(results))
        if (fewest := min(counts, default=results.rounds)) < results.rounds:
            yield (
                f"{subject} is in {fewest} rounds or more, not in all of them: what has taken it "
                f"{BUDGET:.0f} s is not measured again"
            )
    packages = [each.package for each in SUBJECTS if each.name in results.subjects and each.package]
    if packages:
        yield f"peers: {', '.join(packages)}"
    if results.disturbed:
        yield (
            f"the host took more than {MOST:.2%} of the processors while {results.disturbed} of "
            f"{results.measured} were measured, the quietest of at most {TRIES} each"
        )
    load = ", ".join(f"{each:.1f}" for each in results.load)
    machine = ", ".join(results.machine.values())
    yield f"{results.rounds} rounds on {results.date}; {machine}; load before and after: {load}"
