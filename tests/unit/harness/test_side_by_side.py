"""Two streams beside each other, as a person reads them."""

from __future__ import annotations

import re
from itertools import zip_longest

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from harness.client import Event, read_events
from harness.compare import Difference, compare
from harness.scenarios import Call
from harness.side_by_side import render
from harness.terminal import width_of
from tests.unit.harness.chatgpt_streams import events
from tests.unit.harness.handmade import Json, sse, turn
from tests.unit.harness.test_compare import read, streams


def turns(*all_events: list[Json]) -> list[list[Event]]:
    return [read_events(sse(*turn)) for turn in all_events]


def calls() -> list[Json]:
    """Return a turn with reasoning and two calls."""
    two = [Call(id="1a2", name="shell", arguments={"cmd": cmd}) for cmd in ("ls", "pwd")]
    return events(turn(reasoning="Hm.", calls=two), newer=False)


def text() -> list[Json]:
    return events(turn("Hello, world!"), newer=False)


def ours() -> list[Json]:
    """Return the same turn, but for what is different in ours: reasoning, and calls in turns."""
    changed = calls()
    part = {"output_index": 0, "item_id": "rs_1", "summary_index": 0}
    changed.insert(3, {"type": "response.reasoning_summary_text.delta", **part})
    changed.insert(3, {"type": "response.reasoning_summary_text.delta", **part})
    second = next(
        event
        for event in changed
        if event.get("output_index") == 2 and event["type"] == "response.output_item.added"
    )
    changed.remove(second)
    changed.insert(7, second)
    return changed


def test_grammars_stand_beside_each_other(snapshot: SnapshotAssertion) -> None:
    own, theirs = turns(ours(), text()), turns(calls(), text())

    assert render(own, theirs, compare(own, theirs), color=False, width=80) == snapshot


def test_faults_stand_before_what_is_accepted_with_their_places() -> None:
    differences = [
        Difference("item a added: field x missing", "reference, turn 1", "Because."),
        Difference("item b added: field y missing", "ours, turn 2, event 3 (b)"),
        Difference("item a done: field x missing", "reference, turn 1", "Because."),
    ]

    shown = render([], [], differences, color=False, width=80)

    assert shown == (
        "1 fault\n"
        "  item b added: field y missing\n"
        "    ours, turn 2, event 3 (b)\n"
        "\n"
        "2 accepted differences\n"
        "  item a added, a done: field x missing\n"
        "    Because.\n"
    )


def test_without_a_fault_it_says_so() -> None:
    assert render([], [], [], color=True, width=80).startswith("\x1b[32mno fault\x1b[0m\n")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_and_colour_changes_nothing_else(width: int) -> None:
    own, theirs = turns(ours()), turns(calls(), text())
    differences = compare(own, theirs)

    plain = render(own, theirs, differences, color=False, width=width)
    colored = render(own, theirs, differences, color=True, width=width)

    assert [line for line in plain.splitlines() if width_of(line) > width] == []
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain
    assert colored != plain


def test_what_only_one_side_has_is_marked() -> None:
    lines = render(turns(ours()), turns(calls()), [], color=True, width=80).splitlines()

    marked = [line for line in lines if "reasoning_summary_text.delta (2)" in line]
    assert len(marked) == 1
    assert marked[0].startswith("\x1b[32m")
    assert marked[0].endswith(" <\x1b[0m")


def test_no_type_of_an_event_can_act_on_the_terminal() -> None:
    attack = "response.\x1b[2J\n"
    own = turns([{"type": attack}, {"type": attack, "item": {"type": attack, "id": "x"}}])

    shown = render(own, [], compare(own, []), color=False, width=120)

    assert "\x1b" not in shown
    assert shown.count(r"\x1b[2J\n") >= 3


@given(streams, streams)
def test_streams_of_any_shape_are_shown(one: list[list[object]], other: list[list[object]]) -> None:
    own, theirs = read(one), read(other)

    shown = render(own, theirs, compare(own, theirs), color=False, width=80)

    assert [line for line in shown.splitlines() if width_of(line) > 80] == []
    for number, _ in enumerate(zip_longest(own, theirs), 1):
        assert f"── turn {number} ──" in shown
