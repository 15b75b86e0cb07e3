"""Text for a terminal: what it may do there, how wide it is, and when it may be in colour."""

from __future__ import annotations

import datetime
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.terminal import (
    age,
    columns,
    fit,
    line_of,
    number,
    pad,
    painter,
    safe,
    shorten,
    size,
    wants_color,
    width_of,
    wrapped,
)

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- colour --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "on_a_terminal", "in_a_pipe"),
    [
        ({}, True, False),
        ({"TERM": "xterm-256color"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": "0"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
    ids=str,
)
def test_colour_is_for_terminals_unless_the_environment_says_otherwise(
    environment: dict[str, str], on_a_terminal: bool, in_a_pipe: bool
) -> None:
    assert wants_color(Terminal(), environment) is on_a_terminal
    assert wants_color(io.StringIO(), environment) is in_a_pipe


def test_paint_is_put_on_and_taken_off_again() -> None:
    assert painter(True)("x", "red") == "\x1b[31mx\x1b[0m"
    assert painter(True)("", "red") == ""
    assert painter(False)("x", "red") == "x"


def test_the_width_is_the_terminals_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "123")

    assert columns() == 123


# --- safe text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("over\rwritten", r"over\x0dwritten"),
        ("a\x08b\x7f\x00", r"a\x08b\x7f\x00"),
        ("line\r\nline\n", "line\nline\n"),
        ("a\tb\n\tc", "a   b\n    c"),
        ("x\u202egnp.exe", r"x\u202egnp.exe"),
        ("a\u2028b\u200bc\ufeff", r"a\u2028b\u200bc\ufeff"),
        ("hidden \U000e0041", r"hidden \U000e0041"),
        ("half \ud83d", r"half \ud83d"),
        ("é中👩‍👧 ok", "é中👩‍👧 ok"),
    ],
    ids=ascii,
)
def test_what_would_act_on_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
def test_safe_text_can_be_written_and_read_again_by_a_terminal(text: str) -> None:
    shown = safe(text)

    shown.encode()
    assert all(character == "\n" or ord(character) >= 0x20 for character in shown)
    assert "\x1b" not in shown
    assert safe(shown) == shown


def test_a_line_stays_one_line() -> None:
    assert line_of("a\nb\r\nc") == r"a\nb\nc"


# --- width ---------------------------------------------------------------------------------------


def test_a_line_is_broken_between_words() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]


def test_what_a_line_is_indented_by_stays() -> None:
    assert wrapped("    - one two", 9) == ["    - one", "two"]


def test_neither_hyphens_nor_paths_are_broken() -> None:
    assert wrapped("see /tmp/a-long-name.py", 19) == ["see", "/tmp/a-long-name.py"]


def test_a_word_that_is_too_long_is_broken() -> None:
    assert wrapped("abcdefgh", 3) == ["abc", "def", "gh"]


def test_wide_characters_take_two_columns() -> None:
    assert wrapped("中文字符", 5) == ["中文", "字符"]
    assert fit("中文字符", 6) == "中文…"
    assert pad("中", 4, ".") == "中.."


def test_an_empty_line_is_a_line() -> None:
    assert wrapped("", 10) == [""]
    assert wrapped("   ", 2) == [""]


def test_what_fits_is_left_as_it_is() -> None:
    assert fit("abc", 3) == "abc"
    assert fit("abcd", 3) == "ab…"


@given(st.text(), st.integers(2, 40))
def test_no_line_is_wider_than_it_may_be(text: str, width: int) -> None:
    lines, rest = shorten(safe(text), width)

    assert not rest
    assert [line for line in lines if width_of(line) > width] == []


@given(st.text(alphabet="ab \n中", max_size=200), st.integers(4, 12), st.integers(1, 5))
def test_what_is_not_shown_is_the_rest_of_the_text(text: str, width: int, most: int) -> None:
    lines, rest = shorten(text, width, most)
    everything, _ = shorten(text, width)

    assert len(lines) <= most + 1
    if rest:
        assert len(lines) == most
        assert lines == everything[:most]
        shown = "".join("".join(lines).split())
        assert shown + "".join(rest.split()) == "".join(text.split())
    else:
        assert lines == everything


def test_characters_that_take_no_column_are_not_lost() -> None:
    text = "a" + "\u0301" * 5000 + "b"

    lines, rest = shorten(text, 10, 2)

    assert "".join(lines) + rest == text


def test_one_line_more_is_shown_rather_than_left_out() -> None:
    assert shorten("a\nb\nc", 10, 2) == (["a", "b", "c"], "")
    assert shorten("a\nb\nc\nd", 10, 2) == (["a", "b"], "c\nd")


@pytest.mark.parametrize("text", ["x" * 50_000, "word " * 10_000, "中" * 25_000, "\n" * 50_000])
def test_long_text_takes_no_longer_than_one_waits(text: str) -> None:
    start = time.perf_counter()
    shorten(text, 70, 16)
    shortened = time.perf_counter()
    lines, _ = shorten(text, 70)
    all_of_it = time.perf_counter()

    assert shortened - start < 0.5
    assert all_of_it - shortened < 10
    assert sum(map(len, lines)) >= len(text) * 0.75 or not text.strip()


# --- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (12_345, "12.3 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1.0 MB"),
        (2_000_000_000, "2.0 GB"),
    ],
)
def test_a_size_is_told_in_the_unit_that_suits_it(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ({"minutes": -5}, "0 min"),
        ({"seconds": 59}, "0 min"),
        ({"minutes": 59}, "59 min"),
        ({"minutes": 60}, "1 h"),
        ({"hours": 23}, "23 h"),
        ({"days": 3}, "3 d"),
        ({"days": 59}, "59 d"),
        ({"days": 61}, "2 mo"),
        ({"days": 155}, "5 mo"),
        ({"days": 364}, "11 mo"),
        ({"days": 365}, "1 y"),
        ({"days": 800}, "2 y"),
    ],
    ids=str,
)
def test_an_age_is_told_in_the_unit_that_suits_it(before: dict[str, int], shown: str) -> None:
    assert age(NOW - datetime.timedelta(**before), NOW) == shown


def test_thousands_are_set_apart() -> None:
    assert number(1234567.5) == "1,234,568"
