"""A run of the bench as tables in Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from harness.bench.judge import PEER, Judged, judged
from harness.bench.run import Results
from harness.bench.subjects import PASS_THROUGH, RELAY, UPSTREAM

__all__ = ["as_json", "tables"]


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
    return "\n".join([*lines, *_notes(results)]) + "\n"


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
    load = ", ".join(f"{each:.1f}" for each in results.load)
    machine = ", ".join(results.machine.values())
    yield f"{results.rounds} rounds on {results.date}; {machine}; load before and after: {load}"
