"""What the host of a virtual machine takes of its processors."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from harness.bench.host import processor_times, undisturbed
from harness.bench.rows import Measured


def measured(*taken: int, patience: float = 60.0) -> tuple[str, float, int]:
    """Return what is measured, its share, and how often, where so many of 200 are taken each."""
    times = clock(taken)
    tries = 0

    async def measure() -> Measured:
        nonlocal tries
        tries += 1
        return Measured({}, f"try {tries}")

    (_, kept), share = asyncio.run(undisturbed(measure, lambda: next(times), patience))
    assert kept is not None
    return kept, share, tries


def clock(taken: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the times before and after each try; between them nothing happens."""
    all_taken = 1000
    for number, each in enumerate(taken):
        yield all_taken, 5000 + 200 * number
        all_taken += each
        yield all_taken, 5200 + 200 * number


@pytest.mark.parametrize("taken", [0, 2])
def test_what_little_is_taken_from_is_measured_once(taken: int) -> None:
    assert measured(taken) == ("try 1", taken / 200, 1)


def test_what_much_is_taken_from_is_measured_again() -> None:
    assert measured(3, 1) == ("try 2", 1 / 200, 2)


def test_of_three_times_the_quietest_counts() -> None:
    assert measured(50, 3, 20) == ("try 2", 3 / 200, 3)


def test_what_takes_long_is_measured_once() -> None:
    assert measured(50, 0, patience=0.0) == ("try 1", 50 / 200, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a host has taken")
def test_the_times_of_this_machine_go_on() -> None:
    taken, every = processor_times()
    time.sleep(0.1)  # they are counted in hundredths of a second
    taken_later, later = processor_times()

    assert 0 <= taken <= taken_later
    assert taken_later - taken <= later - every
    assert later > every
