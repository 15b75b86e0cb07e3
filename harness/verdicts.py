"""What came of a run, as JSON lines: the one source of every report.

A file is a line for each run (a subject), then its cases (a cassette in a variant) with what was
on the wire, each followed by its verdicts: a line for each rule, and for each fault of a rule.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from harness.errors import HarnessError

__all__ = [
    "Case",
    "Level",
    "Line",
    "Outcome",
    "Run",
    "Turn",
    "Verdict",
    "read_lines",
    "write_lines",
]

Level = Literal["MUST", "SHOULD"]

#: A rule holds; is violated; is violated for a reason that is known; could not be looked at.
Outcome = Literal["pass", "fault", "gap", "skipped"]


@dataclass(slots=True)
class Run:
    """One subject, from its first case to its last; stands before them."""

    #: ISO 8601, with its offset.
    started_at: str
    #: The version of this harness.
    suite: str
    #: The proxy under test, as a person names it.
    subject: str
    #: Its version, where it is known.
    version: str = ""
    #: Where it was reached; empty for one that the harness started.
    target: str = ""
    #: Whether a SHOULD that is violated fails the run.
    strict: bool = False


@dataclass(slots=True)
class Turn:
    """What was on the wire in one turn, on both edges; times are ms since the client's request."""

    #: The provider's: ms, bytes, text; of all answers that it took.
    chunks: list[tuple[float, int, str]] = field(default_factory=list)
    #: The proxy's: ms, type, and the parsed data (None where it is no JSON object).
    events: list[tuple[float, str, dict[str, Any] | None]] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    """One cassette in one variant."""

    subject: str
    #: `cerebras/hello`
    cassette: str
    variant: str
    turns: list[Turn] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """What one rule says of a case; a rule that is violated twice has two."""

    subject: str
    cassette: str
    variant: str
    #: Section and number, `items/2`; or `schema`.
    rule: str
    level: Level
    verdict: Outcome
    #: The place, for a person; empty where the rule holds.
    where: str = ""
    expected: str = ""
    actual: str = ""
    #: Counted from 1; None where it is not about one.
    turn: int | None = None
    #: Index in the turn's events, from 0; None where it is not about one.
    event: int | None = None
    #: What is required, in one sentence; empty where the rule holds.
    requirement: str = ""
    #: Why it is a gap, or was skipped.
    reason: str = ""


Line = Run | Case | Verdict

_KINDS: Final[dict[str, type[Line]]] = {"run": Run, "case": Case, "verdict": Verdict}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


def write_lines(lines: Iterable[Line], path: Path) -> None:
    """Write `lines` to `path`, and the folders above it: whole, or not at all. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{_encoded(line)}\n" for line in lines)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_lines(path: Path) -> Iterator[Line]:
    """Yield what `write_lines` wrote; fields that a newer suite added are passed over.

    Raises `HarnessError`, which names the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                try:
                    yield _decoded(text)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise HarnessError(
                        f"{path}, line {number}: is no line of a report ({error}); "
                        "'conformance run --report DIR' writes it anew"
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path}: cannot be read: {error}") from None


def _encoded(line: Line) -> str:
    content = {"kind": _NAMES[type(line)], **_shallow(line)}
    # ASCII: what a proxy under test says may hold halves of surrogate pairs.
    return json.dumps(content, separators=(",", ":"), default=_shallow)


def _shallow(line: Line | Turn) -> dict[str, Any]:
    """Return the fields as they are; `asdict` would copy every event."""
    return {one.name: getattr(line, one.name) for one in fields(line)}


def _decoded(text: str) -> Line:
    content = json.loads(text)
    kind = _KINDS[content["kind"]]
    known = {one.name: content[one.name] for one in fields(kind) if one.name in content}
    if kind is Case:
        known["turns"] = [_turn(turn) for turn in known.get("turns", ())]
    line = kind(**known)
    if isinstance(line, Verdict) and line.verdict not in get_args(Outcome):
        raise ValueError(f"{line.verdict!r} is no verdict")
    return line


def _turn(content: dict[str, Any]) -> Turn:
    return Turn(
        [(ms, size, text) for ms, size, text in content["chunks"]],
        [(ms, type, data) for ms, type, data in content["events"]],
    )
