"""What goes wrong for reasons that a person can mend."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["HarnessError", "nearest"]


class HarnessError(Exception):
    """Something that cannot be done; its message says why, and what mends it."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would quote it


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the question whether the one of `names` was meant that is most like `name`, if any."""
    import difflib

    near = difflib.get_close_matches(name, sorted(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""
