"""Minutes of requests and answers that are almost right: nothing but clean answers."""

from __future__ import annotations

import os
import random
import time
from typing import Final

from tests.soak.conftest import memory, settled
from tests.unit.proxy.fuzz_trials import TRIALS, subjects

#: Seconds of trials.
SECONDS = int(os.environ.get("SOAK_FUZZ_SECONDS", "600"))

#: What the first examples are made of; each round has others.
START = int(os.environ.get("SOAK_FUZZ_START", random.SystemRandom().randrange(10**9)))

#: How many times the few examples of the unit test each trial gets in a round.
ROUND: Final = 5


def test_what_is_almost_right_gets_a_clean_answer() -> None:
    tried = dict.fromkeys(TRIALS, 0)
    with subjects() as them:
        proxies = [them.proxy, them.pass_through]
        for _, trial in TRIALS.values():
            trial(them, 10, START)  # all is loaded
        before = [settled(proxy.pid, 0) for proxy in proxies]
        heavy = [memory(proxy.pid) for proxy in proxies]
        until, start = time.monotonic() + SECONDS, START
        while time.monotonic() < until:
            start += 1
            for name, (examples, trial) in TRIALS.items():
                print(f"SOAK_FUZZ_START={start} {name}", end="    \r", flush=True)
                trial(them, examples * ROUND, start)
                tried[name] += examples * ROUND
            them.check()
        after = [settled(proxy.pid, most) for proxy, most in zip(proxies, before, strict=True)]
        heavier = [memory(proxy.pid) for proxy in proxies]

    print(f"\n{SECONDS} s from {START} on: {sum(tried.values()):,} examples")
    for name, count in tried.items():
        print(f"  {name:<20} {count:>7,}")
    print(f"descriptors {before} before, {after} after; memory in MB {heavy} and {heavier}")
    assert after <= before
    assert all(more < less * 1.5 for more, less in zip(heavier, heavy, strict=True))
