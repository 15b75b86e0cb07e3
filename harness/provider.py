"""The provider's edge on loopback: what a proxy under test is configured to call.

One component serves both jobs. In replay a transport answers from a cassette; in recording the same
transport asks the real provider, or the emulator, and the bytes pass through as they come.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import httpx

from harness.edge import Asked, Edge
from harness.scenarios import Backend
from harness.transport import Miss, Unreached, difference

__all__ = ["BASE_PATHS", "MISS_STATUS", "Provider"]

#: No real provider's status: a request that is in no recording cannot be taken for an answer.
MISS_STATUS: Final = 599

#: Where each backend's API is.
BASE_PATHS: Final[dict[Backend, str]] = {"cerebras": "/v1", "chatgpt": "/backend-api/codex"}


class Provider(Edge):
    """A provider under `base_url`; what it answers comes from `transport`, or from `play`."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        upstream: str = "http://provider/v1",
        timeout: float | None = None,
        on_miss: Callable[[str], None] = lambda miss: None,
        leaves: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(transport, upstream=upstream, timeout=timeout, port=port, leaves=leaves)
        self._on_miss = on_miss
        #: Bodies of the requests that came, as JSON where they are.
        self.requests: list[Any] = []
        #: Their `authorization` headers, empty where there was none.
        self.credentials: list[str] = []
        #: The names of their headers, in small letters.
        self.header_names: list[frozenset[str]] = []
        #: What is wrong with those that are in no recording.
        self.misses: list[str] = []

    @property
    def base_url(self) -> str:
        """What a proxy under test gets as Cerebras' base URL."""
        return self.base_url_of("cerebras")

    def base_url_of(self, backend: Backend) -> str:
        """Return what a proxy under test gets as the base URL of its backend."""
        return self.url + BASE_PATHS[backend]

    def play(self, transport: httpx.AsyncBaseTransport) -> None:
        """Answer from `transport` from now on, and forget what came before."""
        self._transport = transport
        self.requests = []
        self.credentials = []
        self.header_names = []
        self.misses = []

    def _asked(self, asked: Asked) -> None:
        self.requests.append(_parsed(asked.body))
        self.credentials.append(asked.headers.get("authorization", ""))
        self.header_names.append(frozenset(asked.headers))

    def _path(self, path: str) -> str:
        for base in BASE_PATHS.values():
            path = path.removeprefix(base)
        return path

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super()._answer(request)
        except Miss as miss:
            self.misses.append(difference(miss))
        except Unreached as error:
            self.misses.append(f"{request.url} cannot be reached: {error}")
        self._on_miss(self.misses[-1])
        # The error of a provider, in its own shape, so that the proxy passes the reason on.
        content = {"message": self.misses[-1], "type": "conformance"}
        return httpx.Response(MISS_STATUS, json=content)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body
