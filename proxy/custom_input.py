"""Reads one string out of JSON that is still arriving: the input of a custom tool.

The provider streams `{"input": "*** Begin Patch\\n..."}` in pieces that may cut an escape anywhere;
the client gets the text that the escapes stand for, as soon as it is certain.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Final

from proxy.tools import CUSTOM_ARGUMENT

__all__ = ["CustomInput"]

#: What stands before the text, and each of its beginnings.
_OPENING: Final = re.compile(rf'\s*{{\s*"{CUSTOM_ARGUMENT}"\s*:\s*"')

_LONGEST_OPENING: Final = 256

_HEX: Final = "[0-9a-fA-F]"
_HIGH: Final = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW: Final = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
#: Text up to the first thing that is not certain yet: the end of the string, or an escape that
#: what comes next may complete. A backslash that begins no escape is what models mean it to be.
_CERTAIN: Final = re.compile(
    rf'(?:[^"\\]+|{_HIGH}{_LOW}|{_HIGH}(?=[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])'
    rf"|\\u(?![dD][89abAB]){_HEX}{{4}}|\\[^u]|\\u(?=.{{0,3}}[^0-9a-fA-F]))*",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(rf"{_HIGH}{_LOW}|\\u{_HEX}{{4}}|\\[^u]", re.DOTALL)
_SPACE: Final = re.compile(r"\s*")
_PLAIN: Final = {
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    '"': '"',
    "\\": "\\",
    "/": "/",
}


class _State(Enum):
    #: Before the text.
    OPENING = auto()
    TEXT = auto()
    #: Behind it.
    CLOSED = auto()
    #: This is not the JSON that was asked for: it is judged as a whole, at its end.
    OTHER = auto()


class CustomInput:
    """Takes the arguments piece by piece and gives the input out of them."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = _State.OPENING
        self._held = ""

    @property
    def is_plain(self) -> bool:
        """True while arguments that have no quote and no backslash in them are text as they are."""
        return self._state is _State.TEXT and not self._held

    def receive(self, arguments: str) -> str:
        """Return the text that some more of the arguments adds."""
        if self._state is _State.CLOSED:
            return ""
        if self.is_plain and '"' not in arguments and "\\" not in arguments:
            return arguments
        self._held += arguments
        if self._state is _State.OPENING:
            if (opening := _OPENING.match(self._held)) is not None:
                self._held = self._held[opening.end() :]
                self._state = _State.TEXT
            elif not _may_open(self._held):
                self._state = _State.OTHER
        return self._text() if self._state is _State.TEXT else ""

    def _text(self) -> str:
        """Return what is certain of the text, and hold the rest."""
        held, end, pieces = self._held, 0, []
        while True:
            certain = _CERTAIN.match(held, end)
            assert certain is not None
            pieces.append(certain[0])
            end = certain.end()
            if not held.startswith('"', end):
                break
            # The end of the string, if what JSON has behind one comes next: models forget to
            # escape, and half of a patch must not be taken for all of it.
            behind = _SPACE.match(held, end + 1)
            assert behind is not None
            following = held[behind.end() : behind.end() + 1]
            if not following and len(behind[0]) < _LONGEST_OPENING:
                break
            if following in ("", "}", ","):
                self._state = _State.CLOSED
                break
            pieces.append('\\"')
            end += 1
        self._held = held[end:]
        return _unescaped("".join(pieces))

    def end(self) -> str:
        """Return the text that is left at the end of the arguments."""
        if self._state is _State.CLOSED:
            return ""
        if self._state is _State.TEXT:
            # Cut: what is there is passed on, but for a quote that nothing follows.
            is_end = self._held.startswith('"') and not self._held[1:].strip()
            return "" if is_end else _unescaped(self._held)
        # Half of a surrogate pair stands for no character, and could not be sent.
        return _text_of(self._held).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _may_open(held: str) -> bool:
    """Tell whether more text could make `held` the opening."""
    if len(held) > _LONGEST_OPENING:
        return False  # a model that has lost itself in white space
    squeezed = "".join(held.split())
    return f'{{"{CUSTOM_ARGUMENT}":"'.startswith(squeezed)


def _text_of(arguments: str) -> str:
    """Return the text in arguments of another form; as they are, where it is not clear."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    match parsed:
        case str():
            return parsed
        case {"input": str(text)}:
            return text
        case dict() if len(parsed) == 1 and isinstance(text := next(iter(parsed.values())), str):
            return text
    return arguments


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_meaning, text) if "\\" in text else text


def _meaning(escape: re.Match[str]) -> str:
    text = escape[0]
    if text[1] != "u":
        return _PLAIN.get(text[1], text)
    units = bytes.fromhex(text.replace("\\u", ""))
    # Half of a pair stands for no character, and could not be sent.
    return units.decode("utf-16-be", errors="replace")
