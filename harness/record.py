"""Plays a scenario through the proxy and writes its cassette, while the stream passes by.

client -> client's edge -> proxy -> provider's edge (records) -> emulator, or the provider itself

The client is a script, or the real Codex CLI. A recording is written whole, when it is over; what
must not be in a file is not (`redact.py`), or the file is refused (`secrets.py`).
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from harness import __version__
from harness.cassette import NO_ANSWER, Cassette, digest, new, save
from harness.client import Answer, Event, EventReader, send
from harness.codex_cli import Codex, CodexUnavailable
from harness.codex_requests import begin
from harness.correlate import Edges
from harness.edge import Asked, ClientEdge
from harness.emulator import Emulator
from harness.errors import HarnessError
from harness.provider import Provider
from harness.scan import scan
from harness.scenarios import Backend, Scenario, Turn
from harness.subject import OwnProxy
from harness.transport import CassetteTransport

__all__ = [
    "MODELS",
    "Live",
    "RecordingFailed",
    "StreamBroke",
    "provenance_of",
    "record",
    "refuse_secrets",
]

#: The model that is asked for by default.
MODELS: Final[dict[Backend, str]] = {"cerebras": "gpt-oss-120b", "chatgpt": "gpt-5.5"}

_PATH: Final = "/v1/responses"

#: The emulator's port changes with every run; in a cassette it has a name.
_EMULATOR_HOST: Final = "emulator"
_EMULATOR_KEY: Final = "emulator-key"

#: A live model that never stops calling tools is stopped here.
_MOST_TURNS: Final = 20

#: Seconds of an upstream's silence after which its stream has timed out, and after which the proxy
#: gives up, a moment later. A live one may think for a while.
_PATIENCE: Final = 1.0
_PROXYS_PATIENCE: Final = 1.0
_LIVE_PATIENCE: Final = 300.0

#: Characters of an answer that are told of in an error.
_BRIEF: Final = 300

#: How the stream of a turn ends, as a cassette says it.
_ENDS: Final = {"stall": "timeout", "unfinished": "complete", "unanswered": "cut"}


class RecordingFailed(HarnessError):
    """Nothing was written; the message says why."""


class StreamBroke(RecordingFailed):
    """A live stream broke: that was written, to `path`, and the old recording stands."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(f"{message}; the old recording stands, and this one is in {path}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Live:
    """The real provider. The key is Cerebras'; the ChatGPT backend's clients bring a login."""

    base_url: str
    api_key: str = ""


def record(
    scenario: Scenario,
    path: Path,
    *,
    backend: Backend = "cerebras",
    model: str | None = None,
    codex: Codex | None = None,
    live: Live | None = None,
    on_event: Callable[[int, Event], None] = lambda turn, event: None,
) -> Cassette:
    """Play `scenario` and write it to `path`; return the cassette.

    The script asks, or `codex`. The emulator answers, or the provider in `live`. `on_event` is
    called, in a thread of its own, with the number of the client's request, from 1, and each event
    as it reaches the client. Raises `RecordingFailed`; the old file is then as it was.
    """
    if backend not in scenario.backends:
        raise RecordingFailed(f"it is for {' and '.join(scenario.backends)}, not for {backend}")
    if live is not None and scenario.fails:
        raise RecordingFailed(
            "it is about a failure, which no live provider has at will; use --upstream emulator"
        )
    if live is not None and codex is None and backend == "chatgpt":
        raise RecordingFailed(
            "the ChatGPT backend takes Codex' own login alone; use --client codex"
        )
    session = _Session(scenario, backend, model or MODELS[backend], codex, live, on_event)
    broken = session.play()
    cassette = session.cassette
    refuse_what_is_hidden(cassette)
    refuse_secrets(cassette, *([live.api_key] if live is not None and live.api_key else []))
    cassette.get_metadata("provenance", session.provenance())
    if broken is not None:
        aside = path.parent / "broken" / path.name
        save(cassette, aside)
        raise StreamBroke(broken, aside)
    save(cassette, path)
    return cassette


class _Session:
    """One recording."""

    def __init__(
        self,
        scenario: Scenario,
        backend: Backend,
        model: str,
        codex: Codex | None,
        live: Live | None,
        on_event: Callable[[int, Event], None],
    ) -> None:
        self._scenario = scenario
        self._backend = backend
        self._model = model
        self._codex = codex
        self._live = live
        self._on_event = on_event
        self._edges = Edges(elides=codex is not None)
        self._reader = EventReader()
        self.cassette = new()

    def play(self) -> str | None:
        """Play the scenario; return what broke a live stream, if anything did."""
        patience = _PATIENCE if self._live is None else _LIVE_PATIENCE
        with (
            self._upstream() as (transport, url, api_key),
            Provider(
                CassetteTransport(self.cassette, transport, begin=self._edges.begin),
                upstream=url,
                timeout=patience,
            ) as provider,
            OwnProxy(
                provider.base_url_of(self._backend),
                backend=self._backend,
                api_key=api_key,
                environment={"CEREBRAS_TIMEOUT": str(patience + _PROXYS_PATIENCE)},
            ) as proxy,
            ClientEdge(
                proxy.url,
                on_request=self._asked,
                on_answered=self._edges.answered,
                on_chunk=self._passed,
            ) as client_edge,
        ):
            if self._codex is None:
                return self._play_script(client_edge, provider)
            return self._play_codex(self._codex, client_edge, provider)

    def _play_script(self, client_edge: ClientEdge, provider: Provider) -> str | None:
        conversation = begin(self._scenario, model=self._model)
        headers = {"user-agent": conversation.USER_AGENT}
        if self._backend == "chatgpt":
            headers["authorization"] = f"Bearer {_EMULATOR_KEY}"
        for number in range(_MOST_TURNS):
            before, turn = len(self.cassette), conversation.turn
            answer = send(client_edge.url, conversation.request(), path=_PATH, headers=headers)
            client_edge.settle()
            provider.settle()
            where = f"turn {number + 1}"
            if provider.misses:
                raise RecordingFailed(f"{where}: {provider.misses[-1]}")
            if len(self.cassette) == before:
                raise RecordingFailed(f"{where}: the proxy did not ask the provider: {answer.text}")
            if self._live is None:
                self._check_script(turn, where)
            elif (broken := self._check_live(answer, where)) is not None:
                return broken
            if not conversation.take(answer.events):
                return None
        return f"the model had not come to an end after {_MOST_TURNS} turns"

    def _play_codex(self, codex: Codex, client_edge: ClientEdge, provider: Provider) -> str | None:
        if any(turn.then is not None for turn in self._scenario.turns):
            raise RecordingFailed("it asks more than once, which only --client script does")
        live = self._live is not None
        with tempfile.TemporaryDirectory(prefix="recording-") as folder:
            try:
                run = codex.run(
                    self._scenario.prompt,
                    proxy_url=client_edge.url,
                    folder=Path(folder).resolve(),
                    model=self._model,
                    own_login=live and self._backend == "chatgpt",
                    key=_EMULATOR_KEY if not live and self._backend == "chatgpt" else None,
                    sandbox=live,
                    timeout=_LIVE_PATIENCE * 2 if live else _LIVE_PATIENCE,
                )
            except CodexUnavailable as error:
                raise RecordingFailed(str(error)) from None
        provider.settle()
        if provider.misses:
            raise RecordingFailed(provider.misses[-1])
        if run.exit_code and not self._scenario.fails:
            said = run.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise RecordingFailed(f"Codex ended with status {run.exit_code} and said: {said[0]}")
        if not len(self.cassette):
            raise RecordingFailed("Codex did not ask anything")
        return None

    def _check_script(self, turn: Turn, where: str) -> None:
        """Raise `RecordingFailed` where the emulator did not do what the script says."""
        last = self.cassette.responses[-1]
        status, end = last["status"]["code"], last["stream"]["end"]
        if turn.refusal is not None and status == turn.refusal.status:
            return
        expected = NO_ANSWER if turn.end == "unanswered" else 200
        if (status, end) != (expected, _ENDS.get(turn.end, turn.end)):
            said = self._brief(last["body"]["string"])
            raise RecordingFailed(f"{where}: the emulator answered HTTP {status} ({end}): {said}")

    def _check_live(self, answer: Answer, where: str) -> str | None:
        """Return what broke the stream, if anything did; raise where there was none."""
        last = self.cassette.responses[-1]
        if (status := last["status"]["code"]) != 200:
            said = self._brief(last["body"]["string"])
            raise RecordingFailed(f"{where}: the provider answered HTTP {status}: {said}")
        kind = last["headers"].get("content-type", ["nothing"])[0]
        if "event-stream" not in kind:
            said = self._brief(last["body"]["string"])
            raise RecordingFailed(f"{where}: the provider answered {kind}, not a stream: {said}")
        if (how := last["stream"]["end"]) != "complete":
            return f"{where}: the provider's stream ended early: {how}"
        end = answer.events[-1].type if answer.events else f"HTTP {answer.status}"
        if end not in ("response.completed", "response.incomplete"):
            error = (answer.events[-1]["response"] or {}).get("error") if answer.events else None
            said = (error or {}).get("message") or self._brief(answer.body)
            return f"{where}: the proxy's answer ended with {end}: {said}"
        return None

    def _brief(self, body: bytes) -> str:
        """Return the start of what was answered, on one line, without the key."""
        text = " ".join(body.decode(errors="replace").split())
        key = self._live.api_key if self._live is not None else ""
        text = text.replace(key, "[the key]") if key else text
        return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."

    def _asked(self, asked: Asked) -> None:
        self._edges.asked(asked)
        self._reader = EventReader()

    def _passed(self, chunk: bytes) -> None:
        for event in self._reader.feed(chunk):
            self._on_event(self._edges.count, event)

    @contextmanager
    def _upstream(self) -> Iterator[tuple[httpx.AsyncBaseTransport, str, str]]:
        """Yield how to reach who answers: a transport, the base URL to be recorded, and the key."""
        if self._live is not None:
            yield httpx.AsyncHTTPTransport(), self._live.base_url, self._live.api_key
            return
        with Emulator(self._scenario, backend=self._backend, api_key=_EMULATOR_KEY) as emulator:
            url = httpx.URL(emulator.base_url)
            recorded = url.copy_with(host=_EMULATOR_HOST, port=None)
            yield _At(url), str(recorded), _EMULATOR_KEY

    def provenance(self) -> dict[str, Any]:
        script = f"script in the shape of {self._scenario.client}"
        return provenance_of(
            self.cassette,
            scenario=self._scenario.name,
            backend=self._backend,
            model=self._model,
            upstream="emulator" if self._live is None else "live",
            client=script if self._codex is None else f"codex {self._codex.version}",
        )


def provenance_of(cassette: Cassette, **origin: str) -> dict[str, Any]:
    """Return where what was recorded just now is from, with its digest."""
    now = datetime.datetime.now(datetime.UTC)
    origin["recorded_at"] = now.isoformat(timespec="seconds")
    origin["recorder"] = f"codex-proxy-conformance {__version__}"
    return {**origin, "sha256": digest(cassette, origin)}


class _At(httpx.AsyncHTTPTransport):
    """Reaches `url` whatever host a request names."""

    def __init__(self, url: httpx.URL) -> None:
        super().__init__()
        self._url = url

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host=self._url.host, port=self._url.port)
        return await super().handle_async_request(request)


def refuse_what_is_hidden(cassette: Cassette) -> None:
    """Raise `RecordingFailed` where an answer is packed: nothing can be looked for in it."""
    for number, response in enumerate(cassette.responses, 1):
        if (encoding := response["headers"].get("content-encoding")) is not None:
            raise RecordingFailed(
                f"answer {number} came as {encoding[0]}, though it was asked for as it is, and "
                "what is packed cannot be looked through for secrets"
            )


def refuse_secrets(cassette: Cassette, *extra: str) -> None:
    """Raise `RecordingFailed` where something is in a recording that must not be in a file."""
    found = scan(cassette.data, extra=extra)
    if found:
        places = "".join(f"\n  {secret}" for secret in found[:10])
        raise RecordingFailed(f"it holds what must not be in a file:{places}")
