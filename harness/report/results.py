"""The lines of a run, put together: its subjects, cases and rules, and which verdict counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.verdicts import Case, Outcome, Run, Verdict, read_lines

__all__ = ["WORST_FIRST", "Judged", "Results", "read_results", "section_of", "worst"]

#: Of several verdicts the first of these counts.
WORST_FIRST: Final[tuple[Outcome, ...]] = ("fault", "gap", "skipped", "pass")


@dataclass(slots=True)
class Judged:
    """A case, and what each rule says of it."""

    case: Case
    #: By rule, in order of their ids; a rule has more than one where it is violated more than once.
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)

    @property
    def found(self) -> list[Verdict]:
        """All faults, then all gaps."""
        every = [verdict for verdicts in self.verdicts.values() for verdict in verdicts]
        return [one for outcome in WORST_FIRST[:2] for one in every if one.verdict == outcome]


@dataclass(slots=True)
class Results:
    """What came of a run."""

    #: By subject.
    runs: dict[str, Run] = field(default_factory=dict)
    cases: list[Judged] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        """In the order in which they ran."""
        return list(dict.fromkeys([*self.runs, *(judged.case.subject for judged in self.cases)]))

    @property
    def variants(self) -> list[str]:
        """In the order in which they were first played."""
        return list(dict.fromkeys(judged.case.variant for judged in self.cases))

    @property
    def rules(self) -> list[str]:
        """The ids of all rules, sorted."""
        return sorted({rule for judged in self.cases for rule in judged.verdicts})

    def fails(self, verdict: Verdict) -> bool:
        """Return whether this verdict fails the run."""
        run = self.runs.get(verdict.subject)
        must = verdict.level == "MUST" or (run is not None and run.strict)
        return verdict.verdict == "fault" and must

    def counts(self) -> dict[tuple[str, str], Counter[Outcome]]:
        """Count the cases of each subject and section by their worst verdict."""
        counts: defaultdict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
        for judged in self.cases:
            sections: defaultdict[str, list[Verdict]] = defaultdict(list)
            for rule, verdicts in judged.verdicts.items():
                sections[section_of(rule)] += verdicts
            for section, verdicts in sections.items():
                counts[judged.case.subject, section][worst(verdicts)] += 1
        return counts


def read_results(path: Path) -> Results:
    """Return what is in the file; raises `HarnessError`."""
    results = Results()
    cases: dict[tuple[str, str, str], Judged] = {}
    for line in read_lines(path):
        match line:
            case Run():
                results.runs[line.subject] = line
            case Case():
                judged = Judged(line)
                cases[line.subject, line.cassette, line.variant] = judged
                results.cases.append(judged)
            case Verdict():
                key = (line.subject, line.cassette, line.variant)
                if key not in cases:
                    raise HarnessError(
                        f"{path}: a verdict of {line.rule} is about {' '.join(key)}, of which "
                        "there is no case before it; 'conformance run --report DIR' writes it anew"
                    )
                cases[key].verdicts.setdefault(line.rule, []).append(line)
    for judged in results.cases:
        judged.verdicts = dict(sorted(judged.verdicts.items()))
    return results


def section_of(rule: str) -> str:
    """Return the section of a rule's id: `items` of `items/2`."""
    return rule.partition("/")[0]


def worst(verdicts: Iterable[Verdict]) -> Outcome:
    """Return the verdict that counts."""
    outcomes = {verdict.verdict for verdict in verdicts}
    return next(outcome for outcome in WORST_FIRST if outcome in outcomes)
