"""The table of rules and mutants, as a document; made of verdicts alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from harness.rules import RULES
from tests.conformance.mutants.judge import Broken, Judged

__all__ = ["table_of", "uncaught"]

_HEAD = """\
# Which mutant each rule catches

Written from the JSON lines of `conformance run --target`, not by hand. The gate fails where they
say otherwise, and where a rule has no mutant. After a change:
`tox -e conformance -- tests/conformance/test_mutants.py --snapshot-update`

A mutant is this proxy with a real HTTP server in front of it, or behind it, which spoils one thing
that passes: see `tests/conformance/mutants/`. Each is judged as anybody's proxy is, on one
cassette. What follows are the rules that are broken because that one is; no other finds a fault.

{rules} rules, {mutants} mutants.
"""

_COLUMNS = ("rule", "requires that", "and catches a proxy that", "on", "what follows")


def uncaught(judged: Iterable[Judged], rules: Iterable[str] = RULES) -> list[str]:
    """Return the rules that no mutant breaks."""
    return sorted({*rules} - {rule for one in judged for rule in one.faults})


def table_of(judged: Sequence[tuple[Broken, Judged]]) -> str:
    """Return the document, in the order of the mutants."""
    return "".join(f"{line}\n" for line in _lines(judged))


def _lines(judged: Sequence[tuple[Broken, Judged]]) -> Iterator[str]:
    rules = {rule for _, one in judged for rule in one.faults}
    yield _HEAD.format(rules=len(rules), mutants=len(judged)).rstrip("\n")
    sections = list(dict.fromkeys(_section(broken) for broken, _ in judged))
    ordered = sorted(judged, key=lambda one: sections.index(_section(one[0])))
    for section, found in itertools.groupby(ordered, lambda one: _section(one[0])):
        yield ""
        yield f"## {section}"
        yield ""
        yield from map(_row, (_COLUMNS, ["---"] * len(_COLUMNS)))
        for rule, mutants in itertools.groupby(found, lambda one: one[0].rule):
            for number, (broken, one) in enumerate(mutants):
                fault = one.faults[rule]
                # Said once, above all of its mutants.
                head = (f"`{rule}` {fault.level}", fault.requirement) if number == 0 else ("", "")
                follows = ", ".join(f"`{other}`" for other in one.faults if other != rule)
                yield _row((*head, broken.what, broken.cassette, follows))


def _section(broken: Broken) -> str:
    return broken.rule.partition("/")[0]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
