"""What conformance and the real Codex have in common: a provider, a proxy, and text snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from harness.provider import Provider
from harness.scenarios import Backend
from harness.subject import OwnProxy


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """The one provider of the run; cassettes take turns at it."""
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def proxies(provider: Provider) -> Iterator[Callable[[Backend], OwnProxy]]:
    """The proxies under test by backend, each a process of its own, in front of the provider."""
    running: dict[Backend, OwnProxy] = {}
    with ExitStack() as stack:

        def proxy(backend: Backend) -> OwnProxy:
            if backend not in running:
                running[backend] = stack.enter_context(OwnProxy.for_replay(provider, backend))
            return running[backend]

        yield proxy
    for one in running.values():
        said = one.said
        assert said.count("\n") == 1, f"the proxy printed more than where it is:\n{said}"


@pytest.fixture(scope="session")
def proxy(proxies: Callable[[Backend], OwnProxy]) -> OwnProxy:
    """The proxy to Cerebras."""
    return proxies("cerebras")


class _Text(SingleFileSnapshotExtension):
    """One text file a snapshot, so that the diff of a changed stream reads like a stream."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_Text)
