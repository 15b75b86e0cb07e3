"""The curves of growth as one SVG, readable on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from harness.bench.growth import Curve

__all__ = ["plot"]

#: Of one panel, and of what is drawn in it.
_WIDTH: Final = 320
_HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 44, 48

#: How much higher than its highest point an axis goes.
_ROOM: Final = 1.5

_STYLE: Final = """\
svg { font: 12px system-ui, sans-serif; --text: #1f2328; --line: #d1d9e0; --curve: #0550ae }
@media (prefers-color-scheme: dark) {
  svg { --text: #f0f6fc; --line: #3d444d; --curve: #79c0ff }
}
text { fill: var(--text) }
.title { font-weight: 600 }
.axis { stroke: var(--line) }
.curve { fill: none; stroke: var(--curve); stroke-width: 2 }
.point { fill: var(--curve) }"""


def plot(curves: Sequence[Curve]) -> str:
    """Return an SVG with a panel for each curve: the axis of counts is logarithmic."""
    width = _WIDTH * len(curves)
    size = f'viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<style>\n{_STYLE}\n</style>",
    ]
    for number, curve in enumerate(curves):
        lines += [f'<g transform="translate({number * _WIDTH} 0)">', *_panel(curve), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(curve: Curve) -> Iterator[str]:
    counts = [math.log10(count) for count, _ in curve.points]
    least, most = min(counts), max(counts)
    step = _step(max(cost for _, cost in curve.points) * _ROOM / 4)
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def x(count: float) -> float:
        return _LEFT + (math.log10(count) - least) / (most - least) * (right - _LEFT - 16) + 8

    def y(cost: float) -> float:
        return bottom - cost / (4 * step) * (bottom - _TOP)

    yield f'<text class="title" x="{_LEFT}" y="18">{escape(curve.title)}</text>'
    yield f'<text x="{_LEFT}" y="34">{escape(curve.unit)}</text>'
    for tick in range(5):
        at = y(tick * step)
        yield f'<path class="axis" d="M{_LEFT} {at:.1f}H{right}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick * step:g}</text>'
    for count, _ in curve.points:
        label = _short(count)
        yield f'<text x="{x(count):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle}" y="{bottom + 38}" text-anchor="middle">{escape(curve.by)}</text>'
    places = [(x(count), y(cost)) for count, cost in curve.points]
    yield f'<polyline class="curve" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in places)}"/>'
    for (a, b), (count, cost) in zip(places, curve.points, strict=True):
        told = f"<title>{count:,} {escape(curve.by)}: {cost:.2f} {escape(curve.unit)}</title>"
        yield f'<circle class="point" cx="{a:.1f}" cy="{b:.1f}" r="3.5">{told}</circle>'


def _step(least: float) -> float:
    """Return the distance of ticks: 1, 2, 2.5 or 5 times a power of ten, at least `least`."""
    power: float = 10 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 2.5, 5, 10) if times * power >= least * 0.999)


def _short(count: int) -> str:
    """Return a count in three places at most: 200k, 2.5M."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            return f"{round(count / size, 1 if count < 10 * size else 0):g}{unit}"
    return str(count)
