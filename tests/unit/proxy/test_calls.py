"""Which call a fragment belongs to, whatever a provider says of it."""

from __future__ import annotations

import cProfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.calls import Call, Calls
from proxy.chat import FunctionCallDelta, ToolCallDelta


def fragment(index: int | None, id: str | None, name: str | None) -> ToolCallDelta:
    return ToolCallDelta(index, id, FunctionCallDelta(name, "x"))


FRAGMENTS = st.builds(
    fragment,
    st.sampled_from([None, 0, 1]),
    st.sampled_from([None, "", "a", "b"]),
    st.sampled_from([None, "", "shell", "plan"]),
) | st.builds(ToolCallDelta, st.sampled_from([None, 0, 1]), st.sampled_from([None, "a"]))


def by_the_book(calls: list[Call], fragment: ToolCallDelta) -> int:
    """Return the number of the call that `fragment` means: the last one that it may mean."""
    for call in reversed(calls):
        if call.is_meant_by(fragment):
            return call.number
    return len(calls)


@given(st.lists(FRAGMENTS, max_size=12))
def test_a_fragment_belongs_to_the_last_call_that_it_may_mean(
    fragments: list[ToolCallDelta],
) -> None:
    calls = Calls()
    for each in fragments:
        expected = by_the_book(list(calls), each)

        assert calls.receive(each).number == expected


DIALECTS: dict[str, Callable[[int], ToolCallDelta]] = {
    "index and id": lambda number: fragment(number, f"call_{number}", "shell"),
    "one index": lambda number: fragment(0, f"call_{number}", "shell"),
    "id": lambda number: fragment(None, f"call_{number}", "shell"),
    "index": lambda number: fragment(number, None, "shell"),
    "name": lambda number: fragment(None, None, "shell"),
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_call_costs_the_same_however_many_there_are(
    dialect: Callable[[int], ToolCallDelta],
) -> None:
    assert function_calls(dialect, 2000) < 2.1 * function_calls(dialect, 1000)


def function_calls(dialect: Callable[[int], ToolCallDelta], count: int) -> int:
    """Return how many functions are called for so many tool calls."""
    calls, profile = Calls(), cProfile.Profile()
    fragments = [dialect(number) for number in range(count)]
    profile.enable()
    for each in fragments:
        calls.receive(each)
    profile.disable()
    assert len(list(calls)) == count
    return sum(entry.callcount for entry in profile.getstats())
