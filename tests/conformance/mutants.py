"""Deliberately broken proxies: real servers in front of the real proxy, each spoils one thing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import httpx

from harness.client import read_events
from harness.server import LoopbackServer, read_body

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


class Mutant(LoopbackServer):
    """Asks the proxy at `url`, spoils its answer as `mutation` says, and sends that on."""

    def __init__(self, url: str) -> None:
        super().__init__(self._app)
        self._proxy = url
        self.mutation = Mutation()

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = await read_body(receive)
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            headers = {name: value for name, value in scope["headers"] if name in _PASSED}
            url = self._proxy + scope["path"]
            answer = await http.post(url, content=body, headers=headers, timeout=30)
        mutation = self.mutation
        if answer.status_code != 200:
            status, error = mutation.error(answer.status_code, answer.json())
            json_type = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": json_type})
            await send({"type": "http.response.body", "body": json.dumps(error).encode()})
            return
        events = mutation.events([dict(event.data or {}) for event in read_events(answer.content)])
        for number, event in enumerate(events):
            event["sequence_number"] = number
        spoilt = b"".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            for event in mutation.numbered(events)
        )
        head = [(b"content-type", mutation.content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": mutation.body(spoilt)})


# --- ways to spoil -------------------------------------------------------------------------------


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


def with_last(change: Callable[[Data], None]) -> Spoil:
    """Change the terminal event."""

    def spoil(events: list[Data]) -> list[Data]:
        change(events[-1])
        return events

    return spoil


def with_each(kind: str, change: Callable[[Data], None]) -> Spoil:
    """Change each event of this type."""

    def spoil(events: list[Data]) -> list[Data]:
        for event in events:
            if event["type"] == kind:
                change(event)
        return events

    return spoil


def with_text(old: str, new: str) -> Spoil:
    """Say something else, and consistently so."""

    def spoil(events: list[Data]) -> list[Data]:
        spoilt: list[Data] = json.loads(json.dumps(events).replace(old, new))
        return spoilt

    return spoil
