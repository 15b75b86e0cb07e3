"""Real servers at either edge of the real proxy, which spoil one thing that passes.

`Mutant` stands in front of the proxy and spoils what the client gets, event by event as they come:
whoever waited for the whole stream would break the rules of timing, too. `UpstreamMutant` stands
between the proxy and the provider and spoils what the provider is asked.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.client import read_events
from harness.edge import end_to_end
from harness.rules.stream import TERMINAL
from harness.server import LoopbackServer, Receive, Scope, Send, read_body

__all__ = ["Data", "Mutant", "Mutation", "Spoil", "UpstreamMutant", "UpstreamMutation"]

Data = dict[str, Any]

#: Takes an event, which it may change, and those that came before it, as they came; returns what
#: the client gets in its place.
Spoil = Callable[[Data, Sequence[Data]], list[Data]]

#: Headers of the client that a proxy may look at.
_PASSED = (b"content-type", b"user-agent")


def _unspoilt(event: Data, before: Sequence[Data]) -> list[Data]:
    return [event]


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a broken proxy does to the answers of the real one."""

    #: The events, which are numbered anew after it.
    events: Spoil = _unspoilt
    #: The number of an event, by what it should be.
    number: Callable[[int], int] = int
    #: The bytes of each event.
    wire: Callable[[bytes], bytes] = bytes
    content_type: str = "text/event-stream; charset=utf-8"
    #: An answer that is an HTTP error: its status, and its JSON.
    error: Callable[[int, Data], tuple[int, Data]] = lambda status, body: (status, body)
    #: How many events are held back until more have come; `inf`: all of them.
    late: float = 0
    #: Seconds of silence before the last event.
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class UpstreamMutation:
    """What a broken proxy asks the provider, instead of what the real one asks."""

    body: Callable[[Data], object] = lambda body: None
    headers: dict[str, str] = field(default_factory=dict)


class Mutant(LoopbackServer):
    """Asks the proxy at `url`, spoils its answer as `mutation` says, and sends that on."""

    def __init__(self, url: str) -> None:
        super().__init__(self._app)
        self._proxy = url
        self.mutation = Mutation()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        headers = {name: value for name, value in scope["headers"] if name in _PASSED}
        async with (
            httpx.AsyncClient(trust_env=False, verify=False) as http,
            http.stream(
                "POST", self._proxy + scope["path"], content=body, headers=headers, timeout=30
            ) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
                await self._send_error(answer, send)
            else:
                head = [(b"content-type", self.mutation.content_type.encode())]
                await send({"type": "http.response.start", "status": 200, "headers": head})
                async for part in self._parts(answer):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body"})

    async def _send_error(self, answer: httpx.Response, send: Send) -> None:
        status, error = self.mutation.error(answer.status_code, answer.json())
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(error).encode()})

    async def _parts(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        held: list[bytes] = []
        async for event in self._spoilt(answer):
            held.append(event)
            if len(held) > self.mutation.late:
                yield held.pop(0)
        yield b"".join(held)

    async def _spoilt(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        mutation, before = self.mutation, list[Data]()
        number, rest = 0, b""
        async for data in answer.aiter_raw():
            *whole, rest = (rest + data).split(b"\n\n")
            for event in read_events(b"\n\n".join(whole)):
                came = dict(event.data or {})
                for spoilt in mutation.events(copy.deepcopy(came), before):
                    if spoilt["type"] in TERMINAL:
                        await asyncio.sleep(mutation.pause)
                    text = json.dumps({**spoilt, "sequence_number": mutation.number(number)})
                    number += 1
                    yield mutation.wire(f"event: {spoilt['type']}\ndata: {text}\n\n".encode())
                before.append(came)


class UpstreamMutant(LoopbackServer):
    """Spoils requests as `mutation` says, and hands them on to the provider at `url`."""

    def __init__(self, url: str) -> None:
        super().__init__(self._app)
        self._provider = url
        self.mutation = UpstreamMutation()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        self.mutation.body(body)
        headers = [*end_to_end(scope["headers"])]
        headers += [(n.encode(), v.encode()) for n, v in self.mutation.headers.items()]
        async with (
            httpx.AsyncClient(trust_env=False, verify=False) as http,
            http.stream(
                "POST",
                self._provider + scope["path"],
                content=json.dumps(body).encode(),
                headers=headers,
                timeout=30,
            ) as answer,
        ):
            head = {
                "status": answer.status_code,
                "headers": end_to_end(answer.headers.raw),
            }
            await send({"type": "http.response.start", **head})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
