"""Deliberately broken proxies: real servers at either edge of the real one; each spoils one thing.

`Mutant` stands in front of the proxy and spoils what the client gets. `UpstreamMutant` stands
between the proxy and the provider and spoils what the provider is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.client import read_events
from harness.edge import end_to_end
from harness.server import LoopbackServer, Receive, Scope, Send, read_body

Data = dict[str, Any]

#: Headers of the client that a proxy may look at.
_PASSED = (b"content-type", b"user-agent")

#: Takes the events' data and returns them spoilt.
Spoil = Callable[[list[Data]], list[Data]]


def unspoilt(events: list[Data]) -> list[Data]:
    return events


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a broken proxy does to the answers of the real one."""

    #: The events; they are numbered anew after it.
    events: Spoil = unspoilt
    #: The events, their numbers included.
    numbered: Spoil = unspoilt
    #: The bytes of the whole body.
    body: Callable[[bytes], bytes] = bytes
    content_type: str = "text/event-stream; charset=utf-8"
    #: An answer that is an HTTP error: its status, and its JSON.
    error: Callable[[int, Data], tuple[int, Data]] = lambda status, body: (status, body)
    #: How many events are held back; None: all, until the last has come. Else `events` gets them
    #: one by one, and they keep their numbers.
    late: int | None = None
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
        mutation = self.mutation
        if mutation.late is not None:
            held: list[bytes] = []
            rest = b""
            async for data in answer.aiter_raw():
                *events, rest = (rest + data).split(b"\n\n")
                held += [self._spoilt_alone(event + b"\n\n") for event in events]
                while len(held) > mutation.late:
                    yield held.pop(0)
            yield b"".join(held) + rest
            return
        data = self._spoilt(await answer.aread())
        before, blank, last = data.rstrip(b"\n").rpartition(b"\n\n")
        if mutation.pause:
            yield before + blank
            await asyncio.sleep(mutation.pause)
            yield last + b"\n\n"
        else:
            yield data

    def _spoilt(self, body: bytes) -> bytes:
        mutation = self.mutation
        events = mutation.events(_datas(body))
        for number, event in enumerate(events):
            event["sequence_number"] = number
        return mutation.body(_encoded(mutation.numbered(events)))

    def _spoilt_alone(self, event: bytes) -> bytes:
        return _encoded(self.mutation.events(_datas(event)))


def _datas(stream: bytes) -> list[Data]:
    return [dict(event.data or {}) for event in read_events(stream)]


def _encoded(events: list[Data]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


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


# --- ways to spoil a stream ----------------------------------------------------------------------


def items_in(events: list[Data], *kinds: str) -> list[Data]:
    """Return every item of these types, wherever it stands: to be changed in place."""
    found = [event["item"] for event in events if "item" in event]
    for event in events:
        found += event.get("response", {}).get("output", [])
    return [item for item in found if not kinds or item["type"] in kinds]


def without(kind: str, *, item: str | None = None) -> Spoil:
    """Drop the first event of this type (about an item of that type), where there is one."""

    def spoil(events: list[Data]) -> list[Data]:
        for index, event in enumerate(events):
            if event["type"] == kind and (item is None or event["item"]["type"] == item):
                return events[:index] + events[index + 1 :]
        return events

    return spoil


def doubled(kind: str) -> Spoil:
    """Repeat the first event of this type, where there is one."""

    def spoil(events: list[Data]) -> list[Data]:
        for index, event in enumerate(events):
            if event["type"] == kind:
                return [*events[: index + 1], dict(event), *events[index + 1 :]]
        return events

    return spoil


def with_last(change: Callable[[Data], object]) -> Spoil:
    """Change the terminal event."""

    def spoil(events: list[Data]) -> list[Data]:
        change(events[-1])
        return events

    return spoil


def with_response(**changes: object) -> Spoil:
    """Change the response as the terminal event has it."""
    return with_last(lambda event: event["response"].update(changes))


def with_each(kind: str, change: Callable[[Data], object]) -> Spoil:
    """Change each event of this type."""

    def spoil(events: list[Data]) -> list[Data]:
        for event in events:
            if event["type"] == kind:
                change(event)
        return events

    return spoil


def with_items(kind: str, change: Callable[[Data], object]) -> Spoil:
    """Change each item of this type, in its own events and in the response."""

    def spoil(events: list[Data]) -> list[Data]:
        for item in items_in(events, kind):
            change(item)
        return events

    return spoil


def with_text(old: str, new: str) -> Spoil:
    """Say something else, and consistently so."""

    def spoil(events: list[Data]) -> list[Data]:
        spoilt: list[Data] = json.loads(json.dumps(events).replace(old, new))
        return spoilt

    return spoil


def moved_behind(one: Callable[[Data], bool], other: Callable[[Data], bool]) -> Spoil:
    """Move the first event that is `one` behind the next that is `other`, where there are both."""

    def spoil(events: list[Data]) -> list[Data]:
        at = next((at for at, event in enumerate(events) if one(event)), None)
        if at is None or not any(map(other, events[at + 1 :])):
            return events
        moved, rest = events[at], events[:at] + events[at + 1 :]
        behind = next(n for n, event in enumerate(rest) if n >= at and other(event)) + 1
        return [*rest[:behind], moved, *rest[behind:]]

    return spoil
