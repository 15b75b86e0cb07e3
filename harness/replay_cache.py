"""The proxy on recordings: what was asked before is answered from files, what is new is recorded.

client -> client's edge -> proxy -> provider's edge (plays, or asks the real one and records)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from harness.cassette import join, new, save
from harness.correlate import Edges
from harness.edge import ClientEdge
from harness.errors import HarnessError
from harness.provider import Provider
from harness.record import MODELS, Live, provenance_of, refuse_secrets, refuse_what_is_hidden
from harness.scenarios import Backend
from harness.subject import OwnProxy
from harness.transport import CassetteTransport, as_recorded, at_once

__all__ = ["ReplayCache"]


class ReplayCache:
    """Serves under `url`, from `paths`, until its `with` ends.

    With `live` what is in no recording is asked there, and written to `target` as soon as it is
    answered. `on_request` is called with a line for each answer.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        backend: Backend,
        target: Path | None = None,
        live: Live | None = None,
        port: int = 0,
        speed: float | None = None,
        on_request: Callable[[str], None] = lambda line: None,
    ) -> None:
        # What was recorded into the target comes last, so that what is new follows it.
        others = [path for path in paths if path != target]
        self._cassette = join(others, match="conversation", repeats=True)
        self._from_others = len(self._cassette)
        if target is not None and target.is_file():
            self._cassette.data += join([target]).data
        self._backend: Backend = backend
        self._target = target
        self._live = live
        self._port = port
        self._speed = speed
        self._on_request = on_request
        self._edges = Edges(elides=True, whole=True)
        self._stack = ExitStack()
        self._known = len(self._cassette)
        self.url = ""

    def __len__(self) -> int:
        """Return how many answers are recorded."""
        return len(self._cassette)

    @property
    def model(self) -> str:
        """The model of the first recording, by the name that finds it."""
        for request in self._cassette.requests:
            return str(json.loads(request.body or b"{}").get("model"))
        return MODELS[self._backend]

    @property
    def summary(self) -> str:
        """What came of it, for a person."""
        more = len(self) - self._known
        played = self._cassette.play_count
        misses = len(self._provider.misses)
        return f"{played} answered from recordings, {more} recorded, {misses} in no recording"

    def __enter__(self) -> Self:
        live, speed = self._live, self._speed
        transport = CassetteTransport(
            self._cassette,
            httpx.AsyncHTTPTransport() if live is not None else None,
            pace=(lambda: at_once) if speed is None else (lambda: as_recorded(speed=speed)),
            begin=self._edges.begin,
            recorded=self._save,
        )
        upstream = live.base_url if live is not None else "http://provider/v1"
        with ExitStack() as stack:
            self._provider = stack.enter_context(
                Provider(transport, upstream=upstream, on_miss=self._on_request, leaves=True)
            )
            proxy = stack.enter_context(
                OwnProxy(
                    self._provider.base_url_of(self._backend),
                    backend=self._backend,
                    api_key=live.api_key if live is not None else "replay",
                )
            )
            edge = ClientEdge(
                proxy.url,
                on_request=self._edges.asked,
                on_answered=self._edges.answered,
                port=self._port,
            )
            self.url = stack.enter_context(edge).url
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _save(self) -> None:
        """Write what was recorded here, now and before: a kill may come at any time."""
        if self._target is None:
            return
        recorded = new()
        recorded.data = self._cassette.data[self._from_others :]
        model = json.loads(recorded.requests[0].body or b"{}").get("model", "unknown")
        origin = provenance_of(
            recorded,
            scenario=self._target.stem,
            backend=self._backend,
            model=model,
            upstream="live",
            client="whoever asked",
        )
        recorded.get_metadata("provenance", origin)
        try:
            refuse_what_is_hidden(recorded)
            refuse_secrets(recorded, *([self._live.api_key] if self._live is not None else []))
            save(recorded, self._target)
        except HarnessError as error:
            self._on_request(f"not recorded: {error}")
            self._cassette.data.pop()
            return
        self._on_request(f"recorded in {self._target}: {len(recorded)} answers")
