"""What all tests of `proxy/` share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.backend import Backend, passing_to_new_backend
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


@pytest.fixture(scope="session")
def passing_through() -> Iterator[tuple[Backend, OwnProxy]]:
    """One backend, and a proxy that passes all through to it."""
    with passing_to_new_backend() as both:
        yield both


@pytest.fixture
def backend(passing_through: tuple[Backend, OwnProxy]) -> Backend:
    """The backend, which has seen nothing yet."""
    backend, _ = passing_through
    backend.seen.clear()
    backend.asked.clear()
    return backend


@pytest.fixture
def proxy(passing_through: tuple[Backend, OwnProxy]) -> OwnProxy:
    """The proxy in front of the backend."""
    return passing_through[1]


@pytest.fixture
def http(proxy: OwnProxy) -> Iterator[httpx.Client]:
    """A client of the proxy in front of the backend."""
    with httpx.Client(base_url=proxy.url, timeout=PATIENCE, trust_env=False) as http:
        yield http


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a proxy of the test's own has its logs; it is not there yet."""
    return tmp_path / "state" / "codex-proxy"
