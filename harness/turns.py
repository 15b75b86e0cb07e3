"""A provider for proxies that word their requests as they like: it answers by turn alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from harness.transport import Pace, at_once, replayed

__all__ = ["TurnTransport"]


class TurnTransport(httpx.AsyncBaseTransport):
    """Gives the answers of the turn that was begun, one a request; the last one once more.

    What is asked beside the conversation, by GET, is not there.
    """

    def __init__(self, *, pace: Callable[[], Pace] = lambda: at_once) -> None:
        self._pace = pace
        self._responses: Sequence[Mapping[str, Any]] = ()
        self._played = 0

    def begin(self, responses: Sequence[Mapping[str, Any]]) -> None:
        """Answer with `responses`, as a cassette has them, from now on."""
        self._responses = responses
        self._played = 0

    @property
    def played(self) -> Sequence[Mapping[str, Any]]:
        """The answers of this turn that were asked for."""
        return self._responses[: self._played]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return httpx.Response(404, json={"error": {"message": "this provider only answers"}})
        self._played = min(self._played + 1, len(self._responses))
        return replayed(self._responses[self._played - 1], self._pace())
