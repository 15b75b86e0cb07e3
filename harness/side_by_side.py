"""Two streams of one scenario beside each other, with what is different about them below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from typing import Final, NamedTuple

from harness.client import Event
from harness.compare import Difference, Turns, runs, type_of
from harness.page import Page
from harness.terminal import Style, columns, counted, fit, line_of, pad, wrapped

__all__ = ["render"]

_TITLES: Final = ("ours", "the ChatGPT backend")

#: What stands between two lines: which side has one.
_BOTH, _OURS, _REFERENCE = "   ", " < ", " > "

_STYLES: Final[dict[str, Style]] = {_OURS: "green", _REFERENCE: "yellow"}


class _Line(NamedTuple):
    """A line of one side."""

    #: What it is known by on the other side.
    key: str
    shown: str


def render(
    ours: Turns,
    reference: Turns,
    differences: Sequence[Difference],
    *,
    color: bool,
    width: int | None = None,
) -> str:
    """Return both conversations in two columns, event by event, then `differences`.

    A run of deltas is one line. Faults stand before what is accepted.
    """
    page = Page(width or columns(), color=color, full=True)
    lines = []
    for number, (own, theirs) in enumerate(zip_longest(ours, reference, fillvalue=()), 1):
        lines += [page.rule(f"turn {number}"), *_beside(page, own, theirs), ""]
    lines += _faults(page, [difference for difference in differences if difference.reason is None])
    lines.append("")
    lines += _accepted(page, [difference for difference in differences if difference.reason])
    return "".join(f"{line}\n" for line in lines)


# --- columns -------------------------------------------------------------------------------------


def _beside(page: Page, own: Sequence[Event], theirs: Sequence[Event]) -> Iterator[str]:
    half = (page.width - len(_BOTH)) // 2

    def row(left: str, mark: str, right: str) -> str:
        text = f"{pad(fit(left, half), half)}{mark}{fit(right, half)}".rstrip()
        return page.paint(text, _STYLES[mark]) if mark in _STYLES else text

    yield page.paint(row(_TITLES[0], _BOTH, _TITLES[1]), "dim")
    left, right = list(_grammar(own)), list(_grammar(theirs))
    matcher = SequenceMatcher(
        None, [line.key for line in left], [line.key for line in right], autojunk=False
    )
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        if what == "equal":
            pairs = zip(left[start:end], right[other_start:other_end], strict=True)
            yield from (row(a.shown, _BOTH, b.shown) for a, b in pairs)
        else:
            yield from (row(line.shown, _OURS, "") for line in left[start:end])
            yield from (row("", _REFERENCE, line.shown) for line in right[other_start:other_end])
    for label, told in (("reasoning", _reasoning), ("usage", _usage)):
        cells = (wrapped(f"{label}: {told(events)}", half) for events in (own, theirs))
        for a, b in zip_longest(*cells, fillvalue=""):
            yield page.paint(row(a, _BOTH, b), "dim")


def _grammar(events: Sequence[Event]) -> Iterator[_Line]:
    """Yield a line for each event, those about an item together below a line with its type."""
    all_runs = runs(events)
    pieces = Counter(index for index, _ in groupby(run.index for run in all_runs if run.is_item))
    told = set()
    for run in all_runs:
        if not run.is_item:
            yield from _lines(run.events, "")
        elif run.index not in told:
            told.add(run.index)
            count = pieces[run.index]
            shown = line_of(run.type) + (f" (in {count} pieces)" if count > 1 else "")
            yield _Line(f"item {run.type}", shown)
            same = (event for one in all_runs if one.index == run.index for event in one.events)
            yield from _lines(same, "  ")


def _lines(events: Iterable[Event], indent: str) -> Iterator[_Line]:
    for type, same in groupby(events, type_of):
        count = len(list(same))
        name = line_of(type.removeprefix("response."))
        yield _Line(f"event {type}", f"{indent}{name}" + (f" ({count})" if count > 1 else ""))


def _reasoning(events: Sequence[Event]) -> str:
    """Return in which forms there is reasoning in a turn."""
    items = [
        event["item"]
        for event in events
        if event.type == "response.output_item.done"
        and isinstance(event["item"], dict)
        and event["item"].get("type") == "reasoning"
    ]
    forms = [
        form
        for form in ("summary", "content", "encrypted_content")
        if any(item.get(form) for item in items)
    ]
    return ", ".join(forms) or ("empty" if items else "none")


def _usage(events: Sequence[Event]) -> str:
    """Return which tokens the end of a turn counts."""
    response = events[-1]["response"] if events else None
    usage = response.get("usage") if isinstance(response, dict) else None
    if not isinstance(usage, dict):
        return "none"
    names = [
        name
        for field, value in usage.items()
        for name in (value if isinstance(value, dict) else [field])
    ]
    return line_of(", ".join(name.removesuffix("_tokens") for name in names))


# --- differences ---------------------------------------------------------------------------------


def _faults(page: Page, faults: Sequence[Difference]) -> Iterator[str]:
    if not faults:
        yield page.paint("no fault", "green")
    else:
        yield page.paint(counted(len(faults), "fault"), "red")
    for fault in faults:
        yield from page.row("", fault.id, style="red", label_width=0)
        yield from page.row("", fault.where, style="dim", indent=4, label_width=0)


def _accepted(page: Page, accepted: Sequence[Difference]) -> Iterator[str]:
    yield counted(len(accepted), "accepted difference")
    reasons: dict[str, list[str]] = {}
    for difference in accepted:
        reasons.setdefault(difference.reason or "", []).append(difference.id)
    for reason, ids in reasons.items():
        for id in _joined(ids):
            yield from page.row("", id, label_width=0)
        yield from page.row("", reason, style="dim", indent=4, label_width=0)


def _joined(ids: Iterable[str]) -> Iterator[str]:
    """Yield ids; those that say the same of several subjects of a kind are one."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for id in ids:
        subject, _, what = id.partition(": ")
        kind, _, name = subject.partition(" ")
        subjects.setdefault((kind, what), []).append(name)
    for (kind, what), names in subjects.items():
        yield f"{kind} {', '.join(names)}".rstrip() + f": {what}"
