"""A scripted model behind a provider's real wire dialect, to record where no key is at hand.

It keeps no conversation, as the providers keep none: the turn to play follows from the request. It
refuses what they refuse, in their words, and can break in every way that they break. It knows
nothing of the proxy. What the dialects look like is taken from recorded streams.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from harness.emulator.cerebras import Cerebras
from harness.emulator.chatgpt import ChatGPT
from harness.emulator.dialect import Dialect, Stream
from harness.scenarios import Backend, Refusal, Scenario, Turn
from harness.server import BreakConnection, LoopbackServer, Receive, Scope, Send, read_body

__all__ = ["Emulator"]

_DIALECTS: Final[dict[Backend, type[Dialect]]] = {"cerebras": Cerebras, "chatgpt": ChatGPT}


class Emulator(LoopbackServer):
    """Plays the model's part of `scenario` under `base_url`, to whoever has `api_key`."""

    def __init__(self, scenario: Scenario, *, backend: Backend = "cerebras", api_key: str) -> None:
        super().__init__(self._app)
        self._dialect = _DIALECTS[backend](scenario, api_key)
        self._turns = scenario.turns
        #: By turn: how often it was refused.
        self._refused: Counter[int] = Counter()

    @property
    def base_url(self) -> str:
        """What a client of the provider is configured with."""
        return self.url + self._dialect.BASE_PATH

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        request = self._dialect.read(scope["method"], scope["path"], dict(scope["headers"]), body)
        if isinstance(request, Refusal):
            await _refuse(send, request)
            return
        number = self._dialect.turn_number(request)
        turn = self._turns[number]
        refusal = turn.refusal
        if refusal is not None and (refusal.times is None or self._refused[number] < refusal.times):
            self._refused[number] += 1
            await _refuse(send, refusal)
            return
        if turn.end == "unanswered":
            raise BreakConnection
        stream = self._dialect.stream(turn, request)
        await _send_head(send, 200, stream.headers)
        await _send_in_time(send, _events(turn, stream))
        if turn.end in ("cut", "reset"):
            raise BreakConnection(reset=turn.end == "reset")
        if turn.end == "stall":
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.body"})


def _events(turn: Turn, stream: Stream) -> Iterator[tuple[float, bytes]]:
    """Yield what is sent of an answer, with what goes wrong in it."""
    yield from itertools.islice(stream.events(), turn.after)
    if turn.error is not None:
        yield 0, stream.fail(turn.error)
    elif turn.end == "complete":
        yield stream.finish()


async def _send_in_time(send: Send, events: Iterable[tuple[float, bytes]]) -> None:
    """Send events, each when it is due: so many seconds from now.

    What is due goes out together: real reads hold several events each.
    """
    start = time.perf_counter()
    waiting = b""
    for due, event in events:
        wait = start + due - time.perf_counter()
        if wait > 0:
            if waiting:
                await send({"type": "http.response.body", "body": waiting, "more_body": True})
                waiting = b""
            await asyncio.sleep(wait)
        waiting += event
    await send({"type": "http.response.body", "body": waiting, "more_body": True})


async def _refuse(send: Send, refusal: Refusal) -> None:
    text = refusal.body
    if isinstance(text, str):
        body, content_type = text, "text/html" if text else "text/plain"
    else:
        body = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
        content_type = "application/json"
    await _send_head(send, refusal.status, {"content-type": content_type, **refusal.headers})
    await send({"type": "http.response.body", "body": body.encode()})


async def _send_head(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
