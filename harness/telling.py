"""What a run says in a terminal: a line for each case, and what it takes to mend its faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from harness.gaps import GAPS_RULE
from harness.rules import RULES, Fault
from harness.terminal import Paint, Style, line_of, safe
from harness.verdicts import Case, Line, Verdict

__all__ = ["Teller"]

#: Faults of one rule in one case that are told; a report has more.
_SHOWN: Final = 3


class Teller:
    """Says of each case, as soon as it is over, what came of it."""

    def __init__(self, say: Callable[[str], None], paint: Paint, *, strict: bool) -> None:
        self._say = say
        self._paint = paint
        self._strict = strict
        self._case: Case | None = None
        self._rows: list[Verdict] = []
        self.cases = 0
        self.failed = 0

    def listen(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield `lines`, and say what they tell, also where they end early."""
        try:
            for line in lines:
                if isinstance(line, Case):
                    self._tell_case()
                    self._case = line
                elif isinstance(line, Verdict):
                    self._rows.append(line)
                yield line
        finally:
            self._tell_case()

    def _tell_case(self) -> None:
        if (case := self._case) is None:
            return
        own = [row for row in self._rows if row.rule != GAPS_RULE]
        faults = [row for row in own if row.verdict == "fault"]
        gaps = [row for row in own if row.verdict == "gap"]
        fails = any(self._strict or row.level == "MUST" for row in faults)
        self.cases += 1
        self.failed += fails
        name = case.cassette if case.variant == "recorded" else f"{case.cassette}, {case.variant}"
        word, style = self._word(fails=fails, notes=bool(faults or gaps))
        self._say(f"{self._paint(f'{word:<8}', style)}{line_of(name)}")
        for row in gaps:
            self._say(f"        known gap, {row.rule}: {line_of(row.reason)}")
        for text in _shown(faults):
            self._say(f"\n{text}")
        if faults:
            self._say("")
        for row in self._rows:
            if row.rule == GAPS_RULE:
                self._say(f"\n{_text(row)}\n")
        self._case, self._rows = None, []

    @staticmethod
    def _word(*, fails: bool, notes: bool) -> tuple[str, Style]:
        if fails:
            return "FAILED", "red"
        return ("noted", "yellow") if notes else ("ok", "green")


def _shown(faults: list[Verdict]) -> Iterator[str]:
    for rule, rows in itertools.groupby(faults, lambda row: row.rule):
        first = list(rows)
        yield from map(_text, first[:_SHOWN])
        if (more := len(first) - _SHOWN) > 0:
            yield f"{rule}  and {more} more"


def _text(row: Verdict) -> str:
    requirement = f"{row.level}: {row.requirement}"
    if (rule := RULES.get(row.rule)) is not None:
        requirement += f" (breaks: {rule.breaks})"
    fault = Fault(row.rule, requirement, row.expected, row.actual, row.where)
    return safe(str(fault))
