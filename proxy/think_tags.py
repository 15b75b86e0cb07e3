"""Takes apart content that opens with `<think>...</think>`, the way some models mark reasoning."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

__all__ = ["Piece", "ThinkTags"]

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"

#: White space before the tag, at most.
_LONGEST_START: Final = 256


class Piece(NamedTuple):
    is_reasoning: bool
    text: str


class _State(Enum):
    #: Nothing but white space and the beginning of a tag so far.
    START = auto()
    THINKING = auto()
    #: White space behind the tag, which belongs to neither.
    GAP = auto()
    TEXT = auto()


class ThinkTags:
    """Takes content piece by piece, cut anywhere, and tells reasoning from text."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""

    def receive(self, content: str) -> list[Piece]:
        """Return what is certain once `content` has come as well."""
        if self._state is _State.TEXT:
            return [Piece(False, content)]
        self._held += content
        pieces: list[Piece] = []
        if self._state is _State.START:
            opening = self._held.lstrip()
            if opening.startswith(_OPEN):
                self._state = _State.THINKING
                self._held = opening.removeprefix(_OPEN)
            elif not _OPEN.startswith(opening) or len(self._held) > _LONGEST_START:
                self._state = _State.TEXT
                pieces.append(Piece(False, self._take(len(self._held))))
        if self._state is _State.THINKING:
            thought, tag, text = self._held.partition(_CLOSE)
            if tag:
                self._state, self._held = _State.GAP, text
                pieces.append(Piece(True, thought))
            else:
                pieces.append(Piece(True, self._take(len(self._held) - _overlap(self._held))))
        if self._state is _State.GAP:
            text, self._held = self._held.lstrip(), ""
            if text:
                self._state = _State.TEXT
                pieces.append(Piece(False, text))
        return [piece for piece in pieces if piece.text]

    def end(self) -> list[Piece]:
        """Return what was held back, at the end of the content."""
        held = self._take(len(self._held))
        return [Piece(self._state is _State.THINKING, held)] if held else []

    def _take(self, size: int) -> str:
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def _overlap(text: str) -> int:
    """Return how much of the end of `text` may be the beginning of the closing tag."""
    return next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
