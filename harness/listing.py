"""All cassettes as a table: what each is, where it is from, and how old."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.cassette import Cassette, InvalidCassette, open_cassette, provenance
from harness.replay import case_name
from harness.terminal import (
    Style,
    age,
    counted,
    fit,
    line_of,
    number,
    pad,
    painter,
    size,
    width_of,
    wrapped,
)

__all__ = ["OLD", "table"]

#: A recording that is older than this may no longer be what the provider does.
OLD: Final = datetime.timedelta(days=90)

#: The columns, in their order.
_COLUMNS: Final = (
    "cassette",
    "model",
    "from",
    "client",
    "turns",
    "size",
    "recorded",
    "age",
    "ends",
)

#: Those of figures, which stand at the right of their column.
_FIGURES: Final = ("turns", "size", "age")

#: What is left out where the lines would be too wide, one after the other.
_GIVE_WAY: Final = ("recorded", "client", "model", "from")

_GAP: Final = "  "

#: What stands for something that a cassette does not tell.
_UNTOLD: Final = "?"


@dataclass(slots=True)
class _Row:
    """One cassette."""

    cells: dict[str, str]
    styles: dict[str, Style] = field(default_factory=dict)
    #: Why it cannot be opened, if it cannot.
    reason: str = ""
    turns: int = 0
    size: int = 0
    upstream: str = ""


def table(
    paths: Iterable[Path], *, now: datetime.datetime, color: bool, width: int | None = None
) -> str:
    """Return the cassettes at `paths` as a table: a header, a line for each, a total.

    Where there is a `width`, the least important columns give way until the lines fit. A file that
    cannot be opened has a line with the reason.
    """
    paint = painter(color)
    rows = [_row(path, now) for path in paths]
    names = _columns(rows, width)
    widths = {name: _width(rows, name) for name in names}

    def line(cells: dict[str, str], styles: dict[str, Style]) -> str:
        texts = []
        for name in names:
            text = cells.get(name, "")
            space = " " * (widths[name] - width_of(text))
            painted = paint(text, styles[name]) if name in styles else text
            texts.append(space + painted if name in _FIGURES else painted + space)
        return _GAP.join(texts)

    lines = [line({name: name for name in names}, dict.fromkeys(names, "dim"))]
    for row in rows:
        if row.reason:
            start = pad(row.cells["cassette"], widths["cassette"]) + _GAP
            room = None if width is None else width - width_of(start)
            reason = row.reason if room is None else fit(row.reason, room)
            lines.append(start + paint(reason, "red"))
        else:
            lines.append(line(row.cells, row.styles))
    total = _total(rows)
    lines += ["", *([total] if width is None else wrapped(total, width))]
    return "".join(f"{text.rstrip()}\n" for text in lines)


def _row(path: Path, now: datetime.datetime) -> _Row:
    cells = {"cassette": line_of(case_name(path))}
    try:
        with open_cassette(path) as cassette:
            row = _Row(cells, turns=len(cassette))
            _describe(row, cassette, now)
    except Exception as error:  # whatever is wrong with one, the others are listed
        reason = str(error).removeprefix(f"{path}: ") or type(error).__name__
        return _Row(cells, reason=line_of(" ".join(reason.split())))
    return row


def _describe(row: _Row, cassette: Cassette, now: datetime.datetime) -> None:
    """Fill in what `cassette` tells."""
    row.size = sum(len(response["body"]["string"]) for response in cassette.responses)
    row.cells |= {"turns": number(row.turns), "size": size(row.size)}
    ends = Counter(response["stream"]["end"] for response in cassette.responses)
    del ends["complete"]
    if ends:
        row.cells["ends"] = ", ".join(
            end if count == 1 else f"{count} {end}" for end, count in ends.items()
        )
        row.styles["ends"] = "red"
    untold = dict.fromkeys(("model", "from", "client", "recorded", "age"), _UNTOLD)
    try:
        origin = provenance(cassette)
    except InvalidCassette:
        row.cells |= untold
        return
    row.upstream = origin["upstream"]
    row.cells |= {
        **untold,
        "model": line_of(origin["model"]),
        "from": origin["upstream"],
        # What it says in many words, in few.
        "client": line_of(origin["client"].replace(" in the shape of ", ", ")),
    }
    try:
        then = datetime.datetime.fromisoformat(origin["recorded_at"])
    except ValueError:
        return
    then = then.replace(tzinfo=then.tzinfo or datetime.UTC)
    row.cells |= {"recorded": f"{then:%Y-%m-%d}", "age": age(then, now)}
    if now - then > OLD:
        row.styles["age"] = "yellow"


# --- layout --------------------------------------------------------------------------------------


def _columns(rows: list[_Row], width: int | None) -> list[str]:
    """Return the names of the columns that there is something in, and room for."""
    names = [
        name for name in _COLUMNS if name != "ends" or any("ends" in row.cells for row in rows)
    ]
    for name in _GIVE_WAY:
        if width is None or sum(_width(rows, one) + len(_GAP) for one in names) <= width + len(
            _GAP
        ):
            break
        names.remove(name)
    return names


def _width(rows: list[_Row], name: str) -> int:
    return max([len(name), *(width_of(row.cells.get(name, "")) for row in rows)])


def _total(rows: list[_Row]) -> str:
    def told() -> Iterator[str]:
        yield counted(len(rows), "cassette")
        for upstream in ("live", "emulator"):
            if count := sum(row.upstream == upstream for row in rows):
                yield f"{number(count)} {upstream}"
        yield counted(sum(row.turns for row in rows), "turn")
        yield size(sum(row.size for row in rows))
        if old := sum("age" in row.styles for row in rows):
            yield f"{number(old)} older than {OLD.days} d"
        if broken := sum(bool(row.reason) for row in rows):
            yield f"{number(broken)} cannot be opened"

    return ", ".join(told())
