"""Every cassette, replayed over real HTTP through the proxy that was started for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from harness import scenarios
from harness.cassette import backend_of, load, open_cassette, provenance
from harness.provider import Provider
from harness.replay import Replay, case_name, faults, replay
from harness.scenarios import BACKENDS
from harness.snapshot import render
from harness.subject import OwnProxies
from tests.cassettes import FOLDER

FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())


def _test_id(path: Path) -> str:
    # The snapshot's file is named after it, so it has no slash.
    return case_name(path).replace("/", "-")


@pytest.fixture(scope="module", params=FILES, ids=_test_id)
def played(request: pytest.FixtureRequest, provider: Provider, proxies: OwnProxies) -> Replay:
    backend = backend_of(load(request.param))
    return replay(request.param, proxies[backend].url, provider)


def test_it_conforms(played: Replay) -> None:
    if found := faults(played):
        pytest.fail("\n\n".join(str(fault) for fault in found), pytrace=False)


def test_stream(played: Replay, snapshot: SnapshotAssertion) -> None:
    if played.backend == "chatgpt":
        return  # it passed byte for byte: the cassette itself is the snapshot
    assert render(played) == snapshot


def test_each_scenario_has_its_cassette_and_each_cassette_its_scenario() -> None:
    assert {case_name(path) for path in FILES} == {
        f"{backend}/{name}" for backend in BACKENDS for name in scenarios.names(backend)
    }


@pytest.mark.parametrize("path", FILES, ids=_test_id)
def test_it_says_where_it_is_from(path: Path) -> None:
    with open_cassette(path) as cassette:
        origin = provenance(cassette)
    assert origin["scenario"] == path.stem
    assert origin["upstream"] in ("emulator", "live")
