"""Markdown for the summary of a CI job: how each subject did, section by section."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from harness.report.results import Results, section_of
from harness.verdicts import Outcome, Verdict

__all__ = ["summary_of"]

#: Faults that are told; GitHub shows no summary of more than 1 MiB.
_MOST: Final = 50

#: Characters of one cell: an answer can be a whole page.
_LONGEST: Final = 300

#: What Markdown would take for its own.
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")

_SIGNS: Final[dict[Outcome, str]] = {"fault": "❌", "gap": "🔶", "skipped": "⏭️", "pass": "✅"}


def summary_of(results: Results) -> str:
    """Return the document."""
    return "".join(f"{line}\n" for line in _lines(results))


def _lines(results: Results) -> Iterator[str]:
    yield "## Conformance"
    yield ""
    if not results.cases:
        yield "No case was run."
        return
    yield from _table(
        ("subject", "cases", "MUST faults", "SHOULD faults", "known gaps", "skipped", ""),
        [_subject(results, subject) for subject in results.subjects],
    )
    sections = dict.fromkeys(map(section_of, results.rules))
    counts = results.counts()
    yield "Cases with a fault, by section:"
    yield ""
    yield from _table(
        ("section", *map(_text, results.subjects)),
        [
            (_text(section), *(_cell(counts[subject, section]) for subject in results.subjects))
            for section in sections
        ],
    )
    faults = [one for judged in results.cases for one in judged.found if one.verdict == "fault"]
    if faults:
        yield f"<details><summary>{_counted(len(faults), 'fault')}</summary>"
        yield ""
        yield from _table(
            ("rule", "where", "expected", "actual"), [_fault(fault) for fault in faults[:_MOST]]
        )
        if len(faults) > _MOST:
            yield f"And {len(faults) - _MOST} more: see `index.html` in the report."
            yield ""
        yield "</details>"


def _subject(results: Results, subject: str) -> Sequence[str]:
    own = [judged for judged in results.cases if judged.case.subject == subject]
    verdicts = [one for judged in own for many in judged.verdicts.values() for one in many]
    must, should = (
        sum(one.verdict == "fault" and one.level == level for one in verdicts)
        for level in ("MUST", "SHOULD")
    )
    gaps, skipped = (
        sum(one.verdict == outcome for one in verdicts) for outcome in ("gap", "skipped")
    )
    sign = "❌ fails" if any(map(results.fails, verdicts)) else "✅ conforms"
    run = results.runs.get(subject)
    name = f"{subject} {run.version}".rstrip() if run else subject
    return (_text(name), *map(str, (len(own), must, should, gaps, skipped)), sign)


def _cell(counts: Counter[Outcome]) -> str:
    for outcome, sign in _SIGNS.items():
        if counts[outcome]:
            return sign if outcome == "pass" else f"{sign} {counts[outcome]}"
    return ""


def _fault(fault: Verdict) -> Sequence[str]:
    where = f"{fault.subject}, {fault.variant}: {fault.where}"
    return (
        _text(f"{fault.rule} {fault.level}"),
        *map(_text, (where, fault.expected, fault.actual)),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def _text(text: str) -> str:
    """Return text as one cell, which nothing in it can leave."""
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return _SPECIAL.sub(r"\\\1", " ".join(short.split()))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
