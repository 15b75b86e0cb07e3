"""What the host of a virtual machine takes of its processors."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from harness.bench.host import TRIES, processor_times, undisturbed
from harness.bench.rows import Measured


def kept(
    *taken: int, wanted: int = 1, patience: float = 60.0, faulty: int = 0
) -> list[tuple[int, int]]:
    """Return which tries are kept, and what was taken, where so many of 800 were in each."""
    times = clock(taken)
    tries = 0

    async def measure() -> Measured:
        nonlocal tries
        tries += 1
        return Measured({"number": tries}, "the text is another" if tries == faulty else None)

    found = asyncio.run(undisturbed(measure, wanted, lambda: next(times), patience))
    assert tries == len(taken)
    return [(int(each.measured.figures["number"]), round(800 * each.taken)) for each in found]


def clock(taken: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the times before and after each try; between them nothing happens."""
    all_taken = 1000
    for number, each in enumerate(taken):
        yield all_taken, 5000 + 800 * number
        all_taken += each
        yield all_taken, 5800 + 800 * number


@pytest.mark.parametrize("taken", [0, 2])
def test_what_little_is_taken_from_is_measured_once(taken: int) -> None:
    assert kept(taken) == [(1, taken)]


def test_what_much_is_taken_from_is_measured_again() -> None:
    assert kept(3, 1) == [(2, 1)]


def test_of_so_many_times_the_quietest_counts() -> None:
    taken = [50] * (TRIES - 2)
    assert kept(*taken, 3, 20) == [(TRIES - 1, 3)]


def test_what_is_measured_several_times_is_until_so_many_were_quiet() -> None:
    assert kept(0, 9, 2, wanted=2) == [(1, 0), (3, 2)]
    assert kept(9, 7, *[60] * (2 * TRIES - 2), wanted=2) == [(2, 7), (1, 9)]


def test_what_takes_long_is_not_measured_again() -> None:
    assert kept(50, patience=0.0) == [(1, 50)]
    assert kept(50, 60, wanted=2, patience=0.0) == [(1, 50), (2, 60)]


def test_a_fault_is_none_of_the_host_and_stays() -> None:
    assert kept(50, faulty=1) == [(1, 50)]
    assert kept(50, 60, faulty=2) == [(2, 60)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a host has taken")
def test_the_times_of_this_machine_go_on() -> None:
    taken, every = processor_times()
    time.sleep(0.1)  # they are counted in hundredths of a second
    taken_later, later = processor_times()

    assert 0 <= taken <= taken_later
    assert taken_later - taken <= later - every
    assert later > every
