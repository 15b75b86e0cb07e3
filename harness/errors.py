"""What goes wrong for reasons that a person can mend."""

from __future__ import annotations

__all__ = ["HarnessError"]


class HarnessError(Exception):
    """Something that cannot be done; its message says why, and what mends it."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would quote it
