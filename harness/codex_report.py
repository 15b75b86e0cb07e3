"""The matrix as a page: a table, and beside it what every cell that is not `ok` is about."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from typing import Final

from harness import __version__
from harness.codex_case import Case
from harness.codex_cases import CASES
from harness.codex_matrix import Cell, numbers

__all__ = ["markdown"]

_HEAD: Final = """\
# Which Codex works

Written by `conformance codex --report` {version} on {date}, on {system}. Not by hand.

The real Codex CLI of each version, from npm, with `gpt-oss-120b`, through the proxy and the
emulator. A cell is judged by what happened: files and counters on disk, what came back to the model
in the next request, how often Codex asked, and that it did not complain. Columns `+ catalog` are
with a model catalog (`model_catalog_json`), which tells Codex about the model; failures are not
repeated there, as they have nothing to do with it.

| | |
|---|---|
| ok | all of that is as it should be |
| n/a | this version does not have what the row is about: see below |
| **FAILED** | something is wrong: see below |
| | was not run |

"""


def markdown(
    cells: Sequence[Cell], unavailable: Mapping[str, str], *, now: datetime.datetime
) -> str:
    """Return the page; `unavailable` has the versions that could not be had, and why."""
    # `0.163.0 + catalog` behind `0.163.0`.
    found = {cell.version for cell in cells} | set(unavailable)
    versions = sorted(found, key=lambda version: (numbers(version), version))
    by_place = {(cell.case, cell.version): cell for cell in cells}
    rows = [case for case in CASES if any(cell.case == case.name for cell in cells)]
    head = _HEAD.format(
        version=__version__,
        date=now.date().isoformat(),
        system=f"{platform.system()} {platform.machine()}",
    )
    lines = [
        "| | " + " | ".join(versions) + " | |",
        "|---|" + "---|" * (len(versions) + 1),
    ]
    for case in rows:
        marks = " | ".join(_mark(by_place.get((case.name, version))) for version in versions)
        lines.append(f"| `{case.name}` | {marks} | {case.title}; {_requests(case, versions)} |")
    page = head + "\n".join(lines) + "\n"
    if notes := _notes(cells, versions):
        page += "\n## What is not ok\n\n" + "\n".join(notes) + "\n"
    if explained := [f"- `{case.name}`: {case.note}" for case in rows if case.note]:
        page += "\n## Why versions differ\n\n" + "\n".join(explained) + "\n"
    if unavailable:
        reasons = [f"- {version}: {reason}" for version, reason in unavailable.items()]
        page += "\n## Versions that could not be had\n\n" + "\n".join(reasons) + "\n"
    return page


def _mark(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"**{cell.mark}**" if cell.faults else cell.mark


def _requests(case: Case, versions: Sequence[str]) -> str:
    """Return how often Codex asks: `2 requests`; `6 requests (0.45.0, 0.63.0), 1`."""
    counts: dict[int, list[str]] = {}
    for version in (each for each in versions if "+" not in each):
        counts.setdefault(case.requests(numbers(version)), []).append(version)
    if len(counts) == 1:
        (count,) = counts
        return f"{count} request{'' if count == 1 else 's'}"
    told = [f"{count} with {', '.join(those)}" for count, those in counts.items()]
    return "requests: " + "; ".join(told)


def _notes(cells: Sequence[Cell], versions: Sequence[str]) -> list[str]:
    """Return what is wrong or missing, each thing once, with the versions that it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for cell in sorted(cells, key=lambda cell: versions.index(cell.version)):
        if cell.lacks is not None:
            about.setdefault((cell.case, f"has not {cell.lacks}"), []).append(cell.version)
        for fault in cell.faults:
            about.setdefault((cell.case, fault), []).append(cell.version)
    order = [case.name for case in CASES]
    found = sorted(about.items(), key=lambda item: order.index(item[0][0]))
    return [f"- `{case}`, {', '.join(those)}: {what}" for (case, what), those in found]
