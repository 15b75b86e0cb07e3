"""The ChatGPT backend's streams and the proxy's, scenario by scenario: all differences accepted."""

from __future__ import annotations

import pytest

from harness import scenarios
from harness.compare import Difference, compare, unmatched
from harness.provider import Provider
from harness.replay import recorded_turns, replay
from harness.subject import OwnProxy
from tests.cassettes import FOLDER, cerebras

BOTH = sorted({*scenarios.names("cerebras")} & {*scenarios.names("chatgpt")})


@pytest.fixture(scope="module")
def differences(provider: Provider, proxy: OwnProxy) -> dict[str, list[Difference]]:
    def differ(name: str) -> list[Difference]:
        played = replay(cerebras(name), proxy.url, provider)
        ours = [exchange.events for exchange in played.exchanges]
        return compare(ours, recorded_turns(FOLDER / "chatgpt" / f"{name}.yaml"))

    return {name: differ(name) for name in BOTH}


@pytest.mark.parametrize("name", BOTH)
def test_every_difference_is_accepted(name: str, differences: dict[str, list[Difference]]) -> None:
    faults = [f"{one.id} ({one.where})" for one in differences[name] if one.reason is None]

    assert faults == []


def test_nothing_is_accepted_that_does_not_differ(differences: dict[str, list[Difference]]) -> None:
    assert unmatched([one for found in differences.values() for one in found]) == []
