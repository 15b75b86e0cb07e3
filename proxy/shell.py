"""What lies around every backend: who may ask, and what is told of each request afterwards."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, Protocol

from proxy.asgi import BrokenOff, Client, Receive, Scope, Send
from proxy.guard import Guard
from proxy.journal import Journal
from proxy.metrics import CONTENT_TYPE, Metrics
from proxy.settings import Settings

if TYPE_CHECKING:
    from proxy.telemetry import Telemetry

__all__ = ["Backend", "Shell"]

#: What no backend answers.
_OWN: Final = ("/health", "/metrics")

#: What says where spans go, in OpenTelemetry's own words.
_SPANS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Backend(Protocol):
    """Who answers."""

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Open what all requests share, until the server stops."""

    async def answer(self, client: Client) -> None:
        """Answer one request."""


class Shell:
    """The ASGI application of one proxy."""

    def __init__(self, backend: Backend, settings: Settings, journal: Journal | None) -> None:
        self._backend = backend
        self._guard = Guard(settings)
        self._secret = settings.api_key
        self._journal = journal
        self._metrics = Metrics()
        self._telemetry = _telemetry(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._backend.lifespan(receive, send)
            if self._journal is not None:
                self._journal.close()
            if self._telemetry is not None:
                self._telemetry.close()
            return
        client = Client(scope, receive, send, secret=self._secret)
        if client.path in _OWN:
            await self._answer_itself(client)
            return
        self._metrics.begin()
        try:
            if (refusal := self._guard.refusal(client)) is not None:
                await client.send_error(*refusal)
            else:
                await self._backend.answer(client)
        except BaseException as error:
            broke = "stopped" if client.stopped else "broken"
            client.record.outcome = broke if isinstance(error, BrokenOff) else "crashed"
            raise
        finally:
            self._observe(client)

    def _observe(self, client: Client) -> None:
        record = client.record
        record.total = client.age
        record.outcome = record.outcome or ("completed" if record.status < 400 else "refused")
        self._metrics.end(record)
        if self._journal is not None:
            self._journal.write(record)
        if self._telemetry is not None:
            self._telemetry.tell(client)

    async def _answer_itself(self, client: Client) -> None:
        """Tell how this proxy is: that is asked often, and neither logged nor counted."""
        if (refusal := self._guard.refusal(client)) is not None:
            await client.send_error(*refusal)
        elif client.method not in ("GET", "HEAD"):
            await client.send_error(405, f"{client.path} does not take {client.method}.")
        elif client.path == "/health":
            await client.send_json(b'{"status":"healthy"}')
        else:
            await client.start(200, [(b"content-type", CONTENT_TYPE)])
            await client.send(self._metrics.told(), more=False)


def _telemetry(settings: Settings) -> Telemetry | None:
    """Return what makes spans, where the environment says where they go."""
    asked = next((name for name in _SPANS if os.environ.get(name)), None)
    if asked is None:
        return None
    try:
        from proxy.telemetry import Telemetry  # what most do not need
    except ModuleNotFoundError as error:
        print(  # noqa: T201
            f"codex-proxy: {asked} is set, but there is no {error.name}, so no spans; "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
            file=sys.stderr,
            flush=True,
        )
        return None
    return Telemetry.of_process(settings)
