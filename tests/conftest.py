"""What conformance and the real Codex have in common: a provider, a proxy, and text snapshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from harness.provider import Provider
from harness.subject import OwnProxy


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """The one provider of the run; cassettes take turns at it."""
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def proxy(provider: Provider) -> Iterator[OwnProxy]:
    """The proxy under test, a process of its own, in front of the provider."""
    with OwnProxy(provider.base_url) as proxy:
        yield proxy
    assert proxy.said.count("\n") == 1, f"the proxy printed more than where it is:\n{proxy.said}"


class _Text(SingleFileSnapshotExtension):
    """One text file a snapshot, so that the diff of a changed stream reads like a stream."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_Text)
