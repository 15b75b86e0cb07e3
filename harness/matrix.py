"""Subjects side by side: in how many cases each of them is at fault, by section and by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.terminal import line_of, pad, width_of
from harness.verdicts import Line, Run, Verdict

__all__ = ["Matrix"]


_LEGEND: Final = """\
A number is that of the cases at fault, of those that could be judged; *(should)*: only by what a
proxy should do, not by what it must.
"""


@dataclass(slots=True)
class _Cell:
    """One rule, or one section, of one subject."""

    #: Cases, as cassette and variant: those that were judged; at fault by a MUST; or any.
    judged: set[tuple[str, str]] = field(default_factory=set)
    musts: set[tuple[str, str]] = field(default_factory=set)
    faulty: set[tuple[str, str]] = field(default_factory=set)
    first: Verdict | None = None

    def add(self, row: Verdict) -> None:
        case = (row.cassette, row.variant)
        if row.verdict in ("pass", "fault"):
            self.judged.add(case)
        if row.verdict == "fault":
            self.faulty.add(case)
            self.first = self.first or row
            if row.level == "MUST":
                self.musts.add(case)

    def __str__(self) -> str:
        if not self.judged:
            return "-"
        if not self.faulty:
            return "ok"
        note = "" if self.musts else " (should)"
        return f"{len(self.faulty)}/{len(self.judged)}{note}"


class Matrix:
    """What the lines of several runs say."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._runs: dict[str, Run] = {}
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._rules: dict[str, None] = {}
        for line in lines:
            if isinstance(line, Run):
                self._runs[line.subject] = line
            elif isinstance(line, Verdict):
                self._rules.setdefault(line.rule)
                for name in (line.rule, _section(line.rule), ""):
                    self._cells.setdefault((line.subject, name), _Cell()).add(line)

    @property
    def table(self) -> str:
        """As text: a line a section, a column a subject."""
        rows = self._rows()
        widths = [max(width_of(row[number]) for row in rows) for number in range(len(rows[0]))]
        lines = [
            "  ".join(pad(text, width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "".join(f"{line}\n" for line in lines)

    def page(self, introduction: str, absent: Mapping[str, str]) -> str:
        """Return it as Markdown, with each rule that is violated and an example."""
        head, *rows = self._rows()
        parts = [introduction, _markdown([head, *rows]), _LEGEND]
        parts += [f"{name} is not in it: {reason}\n" for name, reason in absent.items()]
        for subject in self._runs:
            faults = self._faults(subject)
            parts.append(f"## {self._title(subject)}\n")
            if faults:
                parts.append(_markdown([["rule", "cases", "required", "for example"], *faults]))
            else:
                parts.append("No fault.\n")
        return "\n".join(parts)

    def _title(self, subject: str) -> str:
        return f"{subject} {self._runs[subject].version}".strip()

    def _rows(self) -> list[list[str]]:
        sections = list(dict.fromkeys(_section(rule) for rule in self._rules))
        head = ["", *map(self._title, self._runs)]
        rows = [[name, *(self._cell(one, name) for one in self._runs)] for name in sections]
        return [head, *rows, ["all", *(self._cell(one, "") for one in self._runs)]]

    def _cell(self, subject: str, name: str) -> str:
        return str(self._cells.get((subject, name), _Cell()))

    def _faults(self, subject: str) -> list[list[str]]:
        rows = []
        for rule in self._rules:
            cell = self._cells.get((subject, rule))
            if cell is not None and (first := cell.first) is not None:
                case = f"{first.cassette}, {first.variant}"
                came = f"{_short(first.actual)}; expected: {_short(first.expected)}"
                rows.append([rule, str(cell), _short(first.requirement), f"{case}: {came}"])
        return rows


def _section(rule: str) -> str:
    return rule.partition("/")[0]


def _short(text: str, most: int = 120) -> str:
    line = line_of(text)
    return line if len(line) <= most else f"{line[:most]}…"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        return f"| {' | '.join(escaped)} |\n"

    return line(rows[0]) + line(["---"] * len(rows[0])) + "".join(map(line, rows[1:]))
