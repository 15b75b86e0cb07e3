"""A few seconds of what `tests/soak/test_fuzz.py` does for minutes; always the same examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.proxy.fuzz_trials import TRIALS, Subjects, subjects


@pytest.fixture(scope="module")
def them() -> Iterator[Subjects]:
    with subjects() as them:
        yield them


@pytest.mark.parametrize("name", TRIALS)
def test_what_is_almost_right_gets_a_clean_answer(them: Subjects, name: str) -> None:
    examples, trial = TRIALS[name]

    trial(them, examples, 0)
    them.check()
