"""What all tests of `proxy/` share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import settings

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.provider import JSON, KEY, PATIENCE, Provider

# The machine that runs this may be busy: a slow example is no fault.
settings.register_profile("proxy", deadline=None)
settings.load_profile("proxy")


@pytest.fixture(scope="session")
def listening() -> Iterator[tuple[Provider, str]]:
    """One provider, and its URL."""
    provider = Provider()
    with LoopbackServer(provider) as server:
        yield provider, f"{server.url}/v1"


@pytest.fixture(scope="session")
def scripted(listening: tuple[Provider, str]) -> Iterator[tuple[Provider, OwnProxy]]:
    """The provider, and one proxy in front of it, a process of its own."""
    provider, url = listening
    with OwnProxy(url, api_key=KEY) as own_proxy:
        yield provider, own_proxy


@pytest.fixture
def upstream(listening: tuple[Provider, str]) -> Iterator[Provider]:
    """The provider, which has seen nothing yet; what it sees it must be able to take."""
    provider, _ = listening
    provider.seen.clear()
    provider.asked.clear()
    provider.rejected.clear()
    yield provider
    assert provider.rejected == []


@pytest.fixture
def provider_url(listening: tuple[Provider, str]) -> str:
    """Where a proxy with settings of its own finds the provider."""
    return listening[1]


@pytest.fixture
def running(scripted: tuple[Provider, OwnProxy]) -> OwnProxy:
    """The proxy as a process."""
    return scripted[1]


@pytest.fixture
def client(running: OwnProxy) -> Iterator[httpx.Client]:
    """A client of the proxy."""
    with httpx.Client(
        base_url=running.url, timeout=PATIENCE, trust_env=False, headers=JSON
    ) as client:
        yield client
