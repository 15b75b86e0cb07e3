"""Small cassettes in every variant, over real HTTP: the same stream, or the right failure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cassette import load
from harness.provider import Provider
from harness.replay import Replay, faults, replay
from harness.snapshot import render
from harness.subject import OwnProxy
from harness.variants import AS_RECORDED, VARIANTS, Variant
from tests.cassettes import cerebras

#: Variants that take their time; once is enough.
SLOW = {"recorded_pace", "slow_pace", "stall"}

#: Text; calls whose arguments are not ASCII; custom tools; a dialect without `[DONE]`.
SMALL = {
    "hello": {*VARIANTS},
    "unicode-arguments": {*VARIANTS} - SLOW,
    "apply-patch-custom": {"joined", "cut_in_utf8", "truncated_last", "error"},
    "whole-calls": {"joined", "done_added", "cut"},
}

Play = Callable[[str, Variant], Replay]


def cases() -> list[tuple[str, str]]:
    return [
        (cassette, name)
        for cassette, names in SMALL.items()
        for name, variant in VARIANTS.items()
        if name in names - {"recorded"} and variant.apply(load(cerebras(cassette)))
    ]


CASES = cases()


@pytest.fixture(scope="module")
def play(provider: Provider, proxy: OwnProxy) -> Play:
    @functools.cache
    def played(path: Path, variant: Variant) -> Replay:
        return replay(path, proxy.url, provider, variant=variant)

    return lambda cassette, variant: played(cerebras(cassette), variant)


def test_no_variant_is_left_out() -> None:
    assert {name for _, name in CASES} == VARIANTS.keys() - {"recorded"}


@pytest.mark.parametrize(("cassette", "name"), CASES, ids=[f"{one}-{two}" for one, two in CASES])
def test_the_stream_is_the_same_or_the_right_failure(cassette: str, name: str, play: Play) -> None:
    variant = VARIANTS[name]

    played = play(cassette, variant)

    assert [str(fault) for fault in faults(played)] == []
    if variant.expects == "same":
        assert render(played) == render(play(cassette, AS_RECORDED))
        return
    broken = [exchange for exchange in played.exchanges if not exchange.ended]
    assert broken
    assert {exchange.events[-1].type for exchange in broken} == {"response.failed"}
