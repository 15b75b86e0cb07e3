"""Drift: what others changed since this repository was last right.

`sdk` holds the schemas against the installed `openai` SDK, `streams` a recording against a newer
one of the same scenario. What is found is told, and never mended by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Drift", "Level"]

#: Good to know; to be looked at; the repository is wrong now.
Level = Literal["info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is no longer as it was."""

    level: Level
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.level:<6}{self.what} ({self.where})"
