"""The line on which a stream is drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.terminal import width_of
from harness.timing_bar import bar


def test_the_first_label_ends_where_the_first_chunk_came() -> None:
    assert bar([50, 75, 100], [1, 1, 1], 27) == "···50 ms █····█····█ 100 ms"


def test_where_there_was_no_wait_the_first_label_stands_before_the_line() -> None:
    assert bar([0, 100], [1, 1], 24) == "0 ms █··········█ 100 ms"


def test_more_events_are_drawn_higher() -> None:
    assert bar([0, 5, 10], [1, 4, 8], 14) == "0 ms ▁▄█ 10 ms"


def test_chunks_of_the_same_moment_are_drawn_together() -> None:
    assert bar([7, 7, 7], [1, 1, 1], 12) == "······7 ms █"


def test_a_stream_that_took_no_time_is_drawn() -> None:
    assert bar([0.0], [1], 20) == "0 ms █··············"


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.integers(1, 1000)),
        min_size=1,
    ),
    st.integers(30, 200),
)
def test_it_is_as_wide_as_it_is_to_be(chunks: list[tuple[float, int]], width: int) -> None:
    line = bar([time for time, _ in chunks], [weight for _, weight in chunks], width)

    assert width_of(line) == width
    assert "█" in line
