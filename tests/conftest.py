"""What conformance and the real Codex have in common: a provider, a proxy, and text snapshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from harness.provider import Provider
from harness.subject import OwnProxies, OwnProxy


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """The one provider of the run; cassettes take turns at it."""
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def proxies(provider: Provider) -> Iterator[OwnProxies]:
    """The proxies under test by backend, each a process of its own, in front of the provider."""
    with OwnProxies(provider) as proxies:
        yield proxies
    for proxy in proxies.running.values():
        said = proxy.said
        assert said.count("\n") == 1, f"the proxy printed more than where it is:\n{said}"


@pytest.fixture(scope="session")
def proxy(proxies: OwnProxies) -> OwnProxy:
    """The proxy to Cerebras."""
    return proxies["cerebras"]


class _Text(SingleFileSnapshotExtension):
    """One text file a snapshot, so that the diff of a changed stream reads like a stream."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_Text)
