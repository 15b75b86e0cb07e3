"""The curves of growth: when one rises, and its picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from harness.bench.growth import Curve
from harness.bench.plot import plot

SVG = "{http://www.w3.org/2000/svg}"


def curve(*costs: float) -> Curve:
    points = [(10 ** (number + 1), cost) for number, cost in enumerate(costs)]
    return Curve("Length of a stream", "events of the stream", "µs an event", points)


@pytest.mark.parametrize("costs", [(5, 5, 5), (9, 4, 4), (4.4, 4.1, 4.0, 3.5)])
def test_a_cost_that_stays_or_falls_does_not_rise(costs: tuple[float, ...]) -> None:
    assert not curve(*costs).rises


@pytest.mark.parametrize("costs", [(4, 4, 4, 6.5), (1, 2, 4, 8, 16), (9, 3, 3, 3, 5)])
def test_a_cost_that_rises_is_told(costs: tuple[float, ...]) -> None:
    assert curve(*costs).rises
    assert str(curve(*costs)).endswith("RISES")


def test_a_curve_says_what_it_is() -> None:
    assert str(curve(4, 4.4)) == (
        "Length of a stream, µs an event by events of the stream: 10: 4.0, 100: 4.4; "
        "at most 1.05 times the median up to there, 1.50 is allowed: ok"
    )


def test_the_picture_has_every_point_within_its_panel() -> None:
    image = ElementTree.fromstring(plot([curve(3, 4, 50), curve(0.01, 0.02)]))  # noqa: S314 - ours
    panels = image.findall(f"{SVG}g")

    assert [len(panel.findall(f"{SVG}circle")) for panel in panels] == [3, 2]
    for panel in panels:
        ticks = [float(text.text or "") for text in panel.findall(f"{SVG}text[@text-anchor='end']")]
        assert ticks[0] == 0
        for point in panel.findall(f"{SVG}circle"):
            assert 40 < float(point.attrib["cy"]) < 200
            assert 40 < float(point.attrib["cx"]) < 310


def test_the_picture_is_for_light_and_dark() -> None:
    assert "prefers-color-scheme: dark" in plot([curve(1, 2)])


def test_a_title_is_text() -> None:
    odd = curve(1, 2)
    odd.title = "<b> & more"

    assert "&lt;b&gt; &amp; more" in plot([odd])
