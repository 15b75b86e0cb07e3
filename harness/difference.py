"""How one JSON value differs from another, by path: for a request that is in no recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["differences"]

#: Characters of a value that are shown, from a little before the place where two texts part.
_SHOWN: Final = 60
_BEFORE: Final = 15


def differences(recorded: Any, asked: Any, path: str = "$") -> Iterator[str]:
    """Yield a line for each place where `asked` is not what was `recorded`."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for name in dict.fromkeys([*recorded, *asked]):
            place = f"{path}.{name}"
            if name not in asked:
                yield f"{place}: recorded as {_short(recorded[name])}, not asked"
            elif name not in recorded:
                yield f"{place}: not recorded, asked as {_short(asked[name])}"
            else:
                yield from differences(recorded[name], asked[name], place)
    elif isinstance(recorded, list) and isinstance(asked, list):
        for number, (one, other) in enumerate(zip(recorded, asked, strict=False)):
            yield from differences(one, other, f"{path}[{number}]")
        for number in range(len(asked), len(recorded)):
            yield f"{path}[{number}]: recorded as {_short(recorded[number])}, not asked"
        for number in range(len(recorded), len(asked)):
            yield f"{path}[{number}]: not recorded, asked as {_short(asked[number])}"
    elif type(recorded) is not type(asked) or recorded != asked:
        parting = _parting(recorded, asked)
        yield f"{path}: recorded as {_short(recorded, parting)}, asked as {_short(asked, parting)}"


def _parting(one: Any, other: Any) -> int:
    """Return where two texts part; 0 where they are no texts."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((at for at, (left, right) in pairs if left != right), shorter)


def _short(value: Any, parting: int = 0) -> str:
    """Return the start of a value, or of a text what stands around the place where it parts."""
    if not isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False, default=repr)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    start = max(0, parting - _BEFORE) if len(value) > _SHOWN else 0
    shown = json.dumps(value[start : start + _SHOWN], ensure_ascii=False)
    before = "..." if start else ""
    return f"{before}{shown}{'...' if start + _SHOWN < len(value) else ''}"
