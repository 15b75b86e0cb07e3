"""What all tests of `harness/` share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from harness.emulator import Emulator
from tests.unit.harness.emulated import KEY, ONE
from tests.unit.harness.handmade import scenario, turn
from tests.unit.harness.upstreams import Upstream

# The machine that runs this may be busy: a slow example is no fault.
settings.register_profile("harness", deadline=None, max_examples=50)
settings.load_profile("harness")


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The one upstream of the run, which does what each test tells it to."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Has two turns: a call with reasoning and text before it, then text. It takes no time."""
    played = scenario(turn("Voilà ✓", reasoning="Hm, well.", calls=[ONE]), turn("Done."))
    with Emulator(played, api_key=KEY) as emulator:
        yield emulator
