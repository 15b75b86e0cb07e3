"""What a terminal needs: whether it takes colour, text that cannot act on it, lines that fit.

How wide a character stands is data, renewed with every Unicode: wcwidth has it.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Final, Literal, TextIO

import wcwidth

__all__ = [
    "Paint",
    "Style",
    "age",
    "columns",
    "counted",
    "fit",
    "line_of",
    "number",
    "pad",
    "painter",
    "safe",
    "shorten",
    "size",
    "wants_color",
    "width_of",
    "wrapped",
]

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

#: Puts a text into a style.
Paint = Callable[[str, Style], str]

_CODES: Final[Mapping[Style, int]] = {
    "bold": 1,
    "dim": 2,
    "red": 31,
    "green": 32,
    "yellow": 33,
    "cyan": 36,
}

#: Columns of a tab in what is shown.
_TAB: Final = 4

#: What acts on a terminal, or hides in one: control characters (not the line feed), separators of
#: lines, what turns the direction of writing, what has no width, halves of surrogate pairs. The
#: joiners U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def wants_color(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to write colour to `stream`: on a terminal, if it is not to be dumb.

    NO_COLOR (https://no-color.org) forbids it and FORCE_COLOR asks for it, whatever they are set
    to, unless they are empty; where both are set, NO_COLOR counts, as it does for Python itself.
    """
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return environment.get("TERM") != "dumb" and stream.isatty()


def columns() -> int:
    """Return the width of the terminal: COLUMNS, else what it says itself, else 80."""
    return shutil.get_terminal_size().columns


def painter(color: bool) -> Paint:
    """Return what puts text into styles, or leaves it as it is where there is no `color`."""

    def paint(text: str, style: Style) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text else ""

    return paint if color else lambda text, style: text


# --- text ----------------------------------------------------------------------------------------


def safe(text: str) -> str:
    r"""Return `text` so that it can do nothing to a terminal: an escape is shown as `\x1b`.

    Line feeds stay, a tab is four columns, and the carriage return of a Windows line is dropped.
    """
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n").expandtabs(_TAB))


def line_of(text: str) -> str:
    """Return safe text that is one line."""
    return safe(text).replace("\n", "\\n")


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width_of(text: str) -> int:
    """Return how many columns a line of safe text takes."""
    return wcwidth.width(text)


def wrapped(line: str, width: int) -> list[str]:
    """Return one line of safe text as lines of at most `width` columns, broken between words.

    Nothing but the spaces at a break is lost.
    """
    if line.isascii() and len(line) <= width:
        return [line]
    # The time that wcwidth takes grows with the square of the length of a word, and an image in
    # base64 is one word: a long line is taken in pieces, which end at a space where they can.
    most = 16 * max(width, 2)
    return [
        part
        for piece in re.findall(rf".{{1,{most}}}(?:\s|$)|.{{1,{most}}}", line)
        for part in wcwidth.wrap(
            piece,
            max(width, 2),
            break_on_hyphens=False,
            expand_tabs=False,
            replace_whitespace=False,
        )
    ] or [""]


def shorten(text: str, width: int, most: int | None = None) -> tuple[list[str], str]:
    """Return safe `text` as lines of at most `width` columns, and the rest that is not shown.

    `most` is how many lines there may be; one line more is shown rather than left out. Empty lines
    before and after the text do not count.
    """
    text = text.strip("\n")
    if most is None:
        return [part for line in text.split("\n") for part in wrapped(line, width)], ""
    lines: list[str] = []
    ends: list[int] = []  # where in `text` each of them ends
    start = 0
    while start <= len(text) and len(lines) <= most + 1:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        # However long a line is, what may be shown of it is mostly short.
        enough = min(end, start + (most + 2) * max(width, 2))
        place = start
        for part in wrapped(text[start:enough], width):
            place = text.index(part, place) + len(part)
            lines.append(part)
            ends.append(place)
        start = end + 1 if enough == end else enough
    if len(lines) <= most + 1:
        return lines, ""
    return lines[:most], text[ends[most - 1] :].lstrip("\n")


def fit(text: str, width: int) -> str:
    """Return safe `text` in at most `width` columns: its end is left out where it is wider."""
    if width_of(text) <= width:
        return text
    return wcwidth.clip(text, 0, max(width - 1, 0)).rstrip() + "…"


def pad(text: str, width: int, filler: str = " ") -> str:
    """Return safe `text` filled up to `width` columns."""
    return text + filler * (width - width_of(text))


# --- figures -------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Return a whole number as a person reads it: `12,345`."""
    return f"{round(value):,}"


def counted(count: int, thing: str) -> str:
    """Return a number of things, whose plural ends with an s: `1 turn`, `2 turns`."""
    return f"{number(count)} {thing}" if count == 1 else f"{number(count)} {thing}s"


def size(count: int) -> str:
    """Return a number of bytes as a person reads it: `12.3 KB`; a KB has 1000."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("KB", "MB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} GB"


def age(then: datetime.datetime, now: datetime.datetime) -> str:
    """Return how long ago it was, in its largest unit: `3 d`, `5 mo`; `0 min` where it is not."""
    minutes = max(int((now - then).total_seconds() // 60), 0)
    days = minutes // 1440
    # An average month has 30.44 days, and the twelfth ends a year.
    for count, unit in (
        (days // 365, "y"),
        (int(days / 30.44), "mo"),
        (days, "d"),
        (minutes // 60, "h"),
    ):
        # Days are told up to 60, months from then on: "1 mo" says too little.
        if count and (unit != "mo" or days >= 60):
            return f"{count} {unit}"
    return f"{minutes} min"
