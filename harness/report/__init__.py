"""The reports of a run: JUnit XML for machines, Markdown for a CI job, one HTML page for people.

All are made from `verdicts.jsonl` alone, so that one can be made anew without a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.report.html import html_of
from harness.report.junit import junit_of
from harness.report.results import read_results
from harness.report.summary import summary_of

__all__ = ["FILES", "write"]

#: Each report, and what makes it.
FILES: Final = {"junit.xml": junit_of, "summary.md": summary_of, "index.html": html_of}


def write(folder: Path) -> None:
    """Write the reports of `folder/verdicts.jsonl` beside it.

    Raises `HarnessError` where that is no file of verdicts, and `OSError`.
    """
    results = read_results(folder / "verdicts.jsonl")
    for name, made in {name: make(results) for name, make in FILES.items()}.items():
        # What a proxy says may hold halves of surrogate pairs, which are no UTF-8.
        (folder / name).write_text(made, encoding="utf-8", errors="replace", newline="\n")
