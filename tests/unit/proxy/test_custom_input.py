"""The input of a custom tool, read out of JSON while it arrives."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.custom_input import CustomInput

PATCH = '*** Begin Patch\n*** Add File: naïve.py\n+print("\\d 😀")\n*** End Patch\n'


def read(*pieces: str) -> str:
    """Return all that comes out when the arguments come in these pieces."""
    custom_input = CustomInput()
    return "".join([*map(custom_input.receive, pieces), custom_input.end()])


def test_the_input_is_the_string_in_the_arguments() -> None:
    assert read(json.dumps({"input": PATCH})) == PATCH


def test_what_is_certain_comes_out_at_once() -> None:
    custom_input = CustomInput()

    assert custom_input.receive('{"inp') == ""
    assert custom_input.receive('ut": "*** Beg') == "*** Beg"
    assert custom_input.receive("in\\") == "in"
    assert custom_input.receive("n+\\ud83d") == "\n+"
    assert custom_input.receive("\\ude00!") == "😀!"
    assert custom_input.receive('"}') == ""
    assert custom_input.end() == ""


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    escaped=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_cut_gives_the_same_input(text: str, escaped: bool, cuts: list[int]) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=escaped)
    places = [0, *sorted(cut % (len(arguments) + 1) for cut in cuts), len(arguments)]

    pieces = [arguments[start:end] for start, end in pairwise(places)]

    assert read(*pieces) == text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param('{\n  "input" :\t"x"\n}', "x", id="white-space"),
        pytest.param('{"input": "\\ud83d x"}', "\ufffd x", id="half-of-a-pair"),
        pytest.param('{"input": "\\ude00"}', "\ufffd", id="other-half-of-a-pair"),
        pytest.param('{"input": "\\d+ \\u12"}', "\\d+ \\u12", id="what-is-no-escape"),
        pytest.param('{"input": "one\ntwo"}', "one\ntwo", id="a-raw-line-break"),
        pytest.param('{"input": "cut', "cut", id="cut-in-the-text"),
        pytest.param('{"input": "cut\\', "cut\\", id="cut-in-an-escape"),
        pytest.param('{"reason": "r", "input": "x"}', "x", id="not-the-first-argument"),
        pytest.param('{"patch": "x"}', "x", id="another-name"),
        pytest.param('"x"', "x", id="a-bare-string"),
        pytest.param("*** Begin Patch", "*** Begin Patch", id="no-json"),
        pytest.param('{"input": 5}', '{"input": 5}', id="no-string"),
        pytest.param("", "", id="nothing"),
        pytest.param('{"input": "say "hi", now"}', 'say "hi', id="a-quote-before-a-comma"),
        pytest.param('{"input": "print("hi") "}', 'print("hi") ', id="quotes-not-escaped"),
        pytest.param("{" + " " * 999 + '"input": "x"}', "x", id="lost-in-white-space"),
    ],
)
def test_models_that_do_not_keep_to_the_form_are_understood(arguments: str, expected: str) -> None:
    assert read(arguments) == expected
    assert read(*arguments) == expected
