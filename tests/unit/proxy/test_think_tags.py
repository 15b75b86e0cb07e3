"""Content that opens with `<think>...</think>`, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.think_tags import ThinkTags


def apart(*pieces: str) -> tuple[str, str]:
    """Return the reasoning and the text of content that comes in these pieces."""
    tags = ThinkTags()
    found = [piece for content in pieces for piece in tags.receive(content)] + tags.end()
    reasoning = "".join(piece.text for piece in found if piece.is_reasoning)
    return reasoning, "".join(piece.text for piece in found if not piece.is_reasoning)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<think>Hm.</think>Yes.", ("Hm.", "Yes.")),
        ("\n <think>Hm.</think>\n\nYes.", ("Hm.", "Yes.")),
        ("<think>Hm", ("Hm", "")),
        ("<think></think>Yes.", ("", "Yes.")),
        ("<think>a < b </thin </think>Yes.", ("a < b </thin ", "Yes.")),
        ("No tags.", ("", "No tags.")),
        ("<thing>", ("", "<thing>")),
        ("<thi", ("", "<thi")),
        ("Later: <think>no</think>", ("", "Later: <think>no</think>")),
        ("<think>one</think>two<think>three", ("one", "two<think>three")),
        ("", ("", "")),
    ],
)
def test_reasoning_is_what_the_tags_at_the_start_hold(
    content: str, expected: tuple[str, str]
) -> None:
    assert apart(content) == expected
    assert apart(*content) == expected


@given(
    content=st.lists(st.sampled_from(["<think>", "</think>", "<", "/think>", "x", " \n"])).map(
        "".join
    ),
    cut=st.integers(0, 60),
)
def test_a_cut_changes_nothing(content: str, cut: int) -> None:
    assert apart(content[:cut], content[cut:]) == apart(content)


def test_text_is_not_held_back() -> None:
    tags = ThinkTags()

    assert [piece.text for piece in tags.receive("<think>Hm. ")] == ["Hm. "]
    assert [piece.text for piece in tags.receive("So")] == ["So"]
    assert [piece.text for piece in tags.receive("</think>Y")] == ["Y"]
    assert [piece.text for piece in tags.receive("es")] == ["es"]
