"""A page of labelled rows for a terminal: each a label, and text that is wrapped beside it.

All text that comes in is made safe; only what is made here is in colour.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from harness.terminal import Style, fit, line_of, number, pad, painter, safe, shorten, width_of

__all__ = ["Page", "as_text"]

#: Fewer columns than these are taken for these.
_NARROWEST: Final = 40

#: Columns before a label, and of a label.
_INDENT: Final = 2
_LABEL: Final = 11

#: The same of what is in an object; a longer name has a line of its own.
_NAME: Final = 12

#: Columns of who speaks to whom.
_HEADING: Final = 19

_PATCH: Final = "*** Begin Patch"
_STYLES_OF_A_PATCH: Final[Mapping[str, Style]] = {
    "+": "green",
    "-": "red",
    "@": "cyan",
    "*": "bold",
}


class Page:
    """Makes the lines of a page that is `width` columns wide.

    On a `full` page nothing is left out; otherwise each row says how many lines it may have.
    """

    def __init__(self, width: int, *, color: bool, full: bool) -> None:
        self.width = max(width, _NARROWEST)
        self.paint = painter(color)
        self._full = full

    def rule(self, title: str) -> str:
        """Return a line across the page, with a title."""
        start = f"── {fit(line_of(title), self.width - 6)} "
        return self.paint(pad(start, self.width, "─"), "bold")

    @property
    def text_width(self) -> int:
        """Columns that the text of a row has."""
        return self.width - _INDENT - _LABEL

    def heading(self, who: str, what: str, *, style: Style = "bold") -> str:
        """Return the line above the rows of a section."""
        told = fit(line_of(what), self.width - _HEADING)
        return self.paint(pad(who, _HEADING), "cyan") + self.paint(told, style)

    def row(
        self,
        label: str,
        text: str,
        *,
        most: int | None = None,
        style: Style | Callable[[str], Style | None] | None = None,
        indent: int = _INDENT,
        label_width: int = _LABEL,
    ) -> Iterator[str]:
        """Yield `text` beside `label`, in at most `most` lines; what is left out is counted."""
        label = line_of(label)
        start = indent + label_width
        if label and width_of(label) >= label_width:
            yield " " * indent + self.paint(fit(label, self.width - indent), "dim")
            label = ""
        head = " " * indent + self.paint(label, "dim") + " " * (label_width - width_of(label))
        limit = None if self._full else most
        lines, rest = shorten(safe(text), self.width - start, limit)
        for line in map(str.rstrip, lines):
            chosen = style(line) if callable(style) else style
            yield (head + (self.paint(line, chosen) if chosen else line)).rstrip()
            head = " " * start
        if rest:
            yield head + self.paint(f"… {number(len(rest))} more characters", "dim")

    def data(self, label: str, text: str, *, most: int) -> Iterator[str]:
        """Yield a text that may be a JSON object: then a row for each thing in it.

        Text in it stands there as its lines, a command as it would be typed, a patch in colour.
        """
        value = _parsed(text)
        if not isinstance(value, dict) or not value:
            yield from self.row(label, text, most=most, style=_patch_style(text))
            return
        if label:
            yield from self.row(label, "")
        shown = list(value.items())[: None if self._full else most]
        label_width = min(max(width_of(line_of(name)) for name, _ in shown) + 2, _NAME)
        indent = _INDENT + _LABEL
        for name, item in shown:
            told = _as_typed(item)
            yield from self.row(
                name,
                told,
                most=most,
                style=_patch_style(told),
                indent=indent,
                label_width=label_width,
            )
        if len(shown) < len(value):
            more = f"… {number(len(value) - len(shown))} more"
            yield " " * indent + self.paint(more, "dim")


def as_text(value: Any) -> str:
    """Return a text as it is, nothing for null, and JSON for all else."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _as_typed(value: Any) -> str:
    """Return a value of JSON as a person would write it: a list of words is a command."""
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        if "\n" in value[-1]:
            return f"{shlex.join(value[:-1])}\n{value[-1]}"
        return shlex.join(value)
    return "null" if value is None else as_text(value)


def _patch_style(text: str) -> Callable[[str], Style | None] | None:
    if _PATCH not in text:
        return None
    return lambda line: _STYLES_OF_A_PATCH.get(line[:1])
