"""A line on which a stream is drawn by its times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from harness.terminal import number

__all__ = ["bar"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def bar(times: Sequence[float], weights: Sequence[int], width: int) -> str:
    """Return a line of `width` columns, from the request to the last chunk.

    `times` are the chunks' milliseconds since the request, at least one; `weights` how much came
    with each. Where nothing came the line is dotted; where most came it is highest. Before the
    first chunk, and after the last one if it came later, stands when they came.
    """
    first = f"{number(min(times))} ms "
    last = f" {number(max(times))} ms" if max(times) > min(times) else ""
    cells = _cells(times, weights, width - len(last))
    waited = "·" * next(place for place, cell in enumerate(cells) if cell)
    if len(waited) < len(first):
        # There is no room for the first label in the wait: it goes before the line.
        cells = _cells(times, weights, width - len(first) - len(last))
        return f"{first}{_drawn(cells)}{last}"
    return f"{waited[len(first) :]}{first}{_drawn(cells[len(waited) :])}{last}"


def _cells(times: Sequence[float], weights: Sequence[int], count: int) -> list[int]:
    """Return how much came in each of `count` equal spans of time."""
    cells = [0] * max(count, 1)
    for time, weight in zip(times, weights, strict=True):
        cells[int(time / max(times) * (len(cells) - 1)) if max(times) else 0] += weight
    return cells


def _drawn(cells: list[int]) -> str:
    most = max(cells)
    return "".join(
        _BLOCKS[math.ceil(cell / most * len(_BLOCKS)) - 1] if cell else "·" for cell in cells
    )
