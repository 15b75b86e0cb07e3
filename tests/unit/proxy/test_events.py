"""Events as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.events import (
    FunctionCallArgumentsDelta,
    OutputTextDelta,
    delta_template,
    escaped,
    framed,
    unescaped,
)


def test_an_event_stands_between_its_name_and_a_blank_line() -> None:
    event = FunctionCallArgumentsDelta(sequence_number=7, item_id="fc_1", output_index=2, delta="{")

    assert framed(event) == (
        b"event: response.function_call_arguments.delta\n"
        b'data: {"type":"response.function_call_arguments.delta","sequence_number":7,'
        b'"item_id":"fc_1","output_index":2,"delta":"{"}\n\n'
    )


@given(st.integers(0, 2**53), st.text(), st.text())
def test_a_delta_is_the_same_from_its_template(number: int, id: str, text: str) -> None:
    template = delta_template(OutputTextDelta(item_id=id, output_index=3, delta=""))

    whole = OutputTextDelta(sequence_number=number, item_id=id, output_index=3, delta=text)
    assert template % (number, escaped(text)) == framed(whole)


@given(st.text())
def test_what_is_escaped_stands_for_the_same(text: str) -> None:
    assert unescaped(escaped(text)) == text
