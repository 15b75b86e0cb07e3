"""A provider for proxies that word their requests as they like: it answers by turn alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx

from harness.offered import in_offered_words
from harness.rules.asked import Tool
from harness.transport import Pace, at_once, replayed

__all__ = ["TurnTransport"]


class TurnTransport(httpx.AsyncBaseTransport):
    """Gives the answers of the turn that was begun, one a request; the last one once more.

    What is asked beside the conversation, by GET, is not there.
    """

    def __init__(self, *, pace: Callable[[], Pace] = lambda: at_once) -> None:
        self._pace = pace
        self._responses: Sequence[dict[str, Any]] = ()
        self._tools: Sequence[Tool] = ()
        self._played = 0

    def begin(self, responses: Sequence[dict[str, Any]], tools: Sequence[Tool] = ()) -> None:
        """Answer with `responses`, as a cassette has them, from now on.

        They are changed where the client's `tools` are offered in other words than was recorded.
        """
        self._responses = responses
        self._tools = tools
        self._played = 0

    @property
    def played(self) -> Sequence[dict[str, Any]]:
        """The answers of this turn that were asked for."""
        return self._responses[: self._played]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return httpx.Response(404, json={"error": {"message": "this provider only answers"}})
        self._played = min(self._played + 1, len(self._responses))
        answer = self._responses[self._played - 1]
        in_offered_words(answer, self._tools, await request.aread())
        return replayed(answer, self._pace())
