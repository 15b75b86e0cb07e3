"""Subjects side by side."""

from __future__ import annotations

from harness.matrix import Matrix
from harness.verdicts import Level, Line, Outcome, Run, Verdict


def verdict(
    subject: str, rule: str, outcome: Outcome, case: str = "a", level: Level = "MUST"
) -> Verdict:
    about = (subject, case, "recorded", rule, level, outcome)
    return Verdict(*about, expected="z", actual="<x> | y", requirement="It is so.")


LINES: list[Line] = [
    Run("2026-11-22T20:00:00+00:00", "0.1.0", "ours", version="0.1"),
    verdict("ours", "items/1", "pass"),
    verdict("ours", "items/2", "pass"),
    verdict("ours", "text/1", "skipped"),
    Run("2026-11-22T20:00:00+00:00", "0.1.0", "theirs"),
    verdict("theirs", "items/1", "pass"),
    verdict("theirs", "items/2", "fault"),
    verdict("theirs", "items/2", "fault"),
    verdict("theirs", "items/2", "pass", "b"),
    verdict("theirs", "text/1", "fault", level="SHOULD"),
]


def test_a_table_counts_the_cases_at_fault() -> None:
    assert Matrix(LINES).table.splitlines() == [
        "       ours 0.1  theirs",
        "items  ok        1/2",
        "text   -         1/1 (should)",
        "all    ok        1/2",
    ]


def test_a_page_has_an_example_of_each_fault_and_who_is_not_in_it() -> None:
    page = Matrix(LINES).page("# Peers\n", {"another 1.0": "it cannot be installed"})

    assert page.startswith("# Peers\n\n|  | ours 0.1 | theirs |\n| --- | --- | --- |\n")
    assert "\nanother 1.0 is not in it: it cannot be installed\n" in page
    assert "\n## ours 0.1\n\nNo fault.\n" in page
    assert "| items/2 | 1/2 | It is so. | a, recorded: &lt;x> \\| y; expected: z |\n" in page
