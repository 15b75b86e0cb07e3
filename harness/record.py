"""Plays a scenario through the proxy and writes its cassette, while the stream passes by.

scripted client -> proxy -> provider's edge (records) -> emulator, or Cerebras itself
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from harness import __version__
from harness.cassette import Cassette, digest, open_cassette
from harness.client import Answer, Event, send
from harness.codex_requests import begin
from harness.emulator import Emulator
from harness.provider import Provider
from harness.scenarios import Scenario
from harness.subject import OwnProxy
from harness.transport import CassetteTransport

__all__ = ["Live", "RecordingFailed", "record"]

_PATH: Final = "/v1/responses"

#: The emulator's port changes with every run; in a cassette it has a name.
_EMULATOR_URL: Final = "http://emulator/v1"
_EMULATOR_KEY: Final = "emulator"

#: A live model that never stops calling tools is stopped here.
_MOST_TURNS: Final = 20


class RecordingFailed(RuntimeError):
    """Nothing was written; the message says why."""


@dataclass(frozen=True, slots=True)
class Live:
    """The real provider, for those who have a key."""

    base_url: str
    api_key: str


def record(
    scenario: Scenario,
    path: Path,
    *,
    model: str,
    live: Live | None = None,
    on_event: Callable[[int, Event], None] = lambda turn, event: None,
) -> Cassette:
    """Play `scenario` and write it to `path`; return the cassette.

    The emulator answers, or the provider in `live`. `on_event` is called with the number of the
    turn, from 1, and each event as it reaches the client. Raises `RecordingFailed`; the old file,
    if there was one, is then as it was.
    """
    with (
        open_cassette(path, record=True) as cassette,
        _upstream(scenario, live) as (transport, url, api_key),
        Provider(CassetteTransport(cassette, transport), upstream=url) as provider,
        OwnProxy(provider.base_url, api_key=api_key) as proxy,
    ):
        conversation = begin(scenario, model=model)
        for number in range(_MOST_TURNS):
            body = conversation.request()
            turn = scenario.turns[min(number, len(scenario.turns) - 1)]
            answer = send(
                proxy.url, body, path=_PATH, on_event=functools.partial(on_event, number + 1)
            )
            provider.settle()
            _check(answer, cassette, provider, number)
            cassette.responses[number]["client_request"] = _client_request(body)
            if not conversation.take(answer.events, turn):
                break
        cassette.get_metadata("provenance", _provenance(scenario, cassette, model, live))
    return cassette


@contextmanager
def _upstream(
    scenario: Scenario, live: Live | None
) -> Iterator[tuple[httpx.AsyncBaseTransport, str, str]]:
    """Yield how to reach who answers: a transport, the base URL to be recorded, and the key."""
    if live is not None:
        yield httpx.AsyncHTTPTransport(), live.base_url, live.api_key
        return
    with Emulator(scenario, api_key=_EMULATOR_KEY) as emulator:
        yield _At(emulator.url), _EMULATOR_URL, _EMULATOR_KEY


class _At(httpx.AsyncHTTPTransport):
    """Reaches `url` whatever host a request names."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host=self._url.host, port=self._url.port)
        return await super().handle_async_request(request)


def _check(answer: Answer, cassette: Cassette, provider: Provider, number: int) -> None:
    """Raise `RecordingFailed` where turn `number` is not worth keeping."""
    where = f"turn {number + 1}"
    if provider.misses:
        raise RecordingFailed(f"{where}: {provider.misses[-1]}")
    if len(cassette) != number + 1:
        raise RecordingFailed(f"{where}: the proxy did not ask the provider: {answer.text}")
    response = cassette.responses[number]
    if (status := response["status"]["code"]) != 200:
        said = response["body"]["string"].decode(errors="replace")
        raise RecordingFailed(f"{where}: the provider answered HTTP {status}: {said}")
    if (end := response["stream"]["end"]) != "complete":
        raise RecordingFailed(f"{where}: the provider's stream ended early: {end}")
    last = answer.events[-1].type if answer.events else "nothing"
    if last != "response.completed":
        raise RecordingFailed(f"{where}: the proxy's answer ended with {last}: {answer.text}")


def _client_request(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": _PATH,
        "headers": {"content-type": "application/json", "accept": "text/event-stream"},
        "body": json.dumps(body, ensure_ascii=False),
    }


def _provenance(
    scenario: Scenario, cassette: Cassette, model: str, live: Live | None
) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    return {
        "scenario": scenario.name,
        "backend": "cerebras",
        "model": model,
        "upstream": "emulator" if live is None else "live",
        "client": f"script in the shape of {scenario.client}",
        "recorded_at": now.isoformat(timespec="seconds"),
        "recorder": f"codex-proxy-conformance {__version__}",
        "sha256": digest(cassette),
    }
