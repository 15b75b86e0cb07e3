"""How one JSON value differs from another, by path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.difference import differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON)
def test_what_is_the_same_does_not_differ(value: Any) -> None:
    assert list(differences(value, value)) == []


@given(JSON, JSON)
def test_what_is_not_the_same_differs_somewhere(one: Any, other: Any) -> None:
    assert list(differences(one, other)) or one == other


@pytest.mark.parametrize(
    ("recorded", "asked", "told"),
    [
        ({"a": 1}, {"a": 2}, "$.a: recorded as 1, asked as 2"),
        ({"a": 1}, {}, "$.a: recorded as 1, not asked"),
        ({}, {"a": [1]}, "$.a: not recorded, asked as [1]"),
        ([1, 2], [1], "$[1]: recorded as 2, not asked"),
        ([1], [1, {"b": 2}], '$[1]: not recorded, asked as {"b": 2}'),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, '$.a[0].b: recorded as "x", asked as "y"'),
        ({"a": {}}, {"a": []}, "$.a: recorded as {}, asked as []"),
        (True, 1, "$: recorded as true, asked as 1"),
        (None, b"no JSON", "$: recorded as null, asked as \"b'no JSON'\""),
    ],
)
def test_a_difference_is_told_with_its_path(recorded: Any, asked: Any, told: str) -> None:
    assert list(differences(recorded, asked)) == [told]


def test_of_long_texts_the_place_is_shown_where_they_part() -> None:
    (told,) = differences("x" * 500 + "one and more", "x" * 500 + "two and more")

    assert told == (
        f'$: recorded as ..."{"x" * 15}one and more", asked as ..."{"x" * 15}two and more"'
    )


def test_a_long_value_is_shortened() -> None:
    (told,) = differences({}, {"a": ["long"] * 100})

    assert told.startswith('$.a: not recorded, asked as ["long", ')
    assert told.endswith("...")
    assert len(told) < 120
