"""OpenTelemetry: a span for each request that asks a model, made when that is over.

Its attributes are those of the conventions for generative AI: what was asked of whom, how long it
took, what it used; nothing of what was said. This module can be imported where `opentelemetry-sdk`
is, which this proxy does not need.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.types import AttributeValue

from proxy.asgi import Client, hidden
from proxy.record import Record
from proxy.settings import BACKENDS, Settings

__all__ = ["Telemetry"]

#: Who answers, in the words of the conventions.
_PROVIDERS: Final[Mapping[str, str]] = dict(zip(BACKENDS, ("cerebras", "openai"), strict=True))

#: Where a model is asked.
_ASKS: Final = re.compile(r"(?:/v1)?/responses(?:/compact)?")

#: How a request ends that did not fail.
_WELL: Final = ("completed", "incomplete")

#: Characters of a name that a client chose.
_LONGEST_NAME: Final = 200

#: Seconds that the last spans have to get away.
_PATIENCE: Final = 2.0


class _Once(logging.Filter):
    """Lets the first record through: each attempt at a collector that is gone is one."""

    _said = False

    def filter(self, record: logging.LogRecord) -> bool:
        said, self._said = self._said, True
        return not said


class Telemetry:
    """Makes the spans of one proxy."""

    def __init__(self, provider: trace.TracerProvider, settings: Settings) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("codex-proxy")
        self._secret = settings.api_key.encode()
        where = urlsplit(settings.base_url)
        self._same: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS[settings.backend],
            "server.address": where.hostname or "",
            "server.port": where.port or (443 if where.scheme == "https" else 80),
        }

    @classmethod
    def of_process(cls, settings: Settings) -> Self:
        """Return one that gives its spans to what this process has been set up with.

        Where that is nothing, they go where `OTEL_EXPORTER_OTLP_ENDPOINT` says.
        """
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            name = os.environ.get("OTEL_SERVICE_NAME") or "codex-proxy"
            provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
            logging.getLogger(trace_exporter.__name__).addFilter(_Once())
            provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
        return cls(provider, settings)

    def tell(self, client: Client) -> None:
        """Make the span of a request that is over, in the trace that the client names."""
        record = client.record
        if record.method != "POST" or not _ASKS.fullmatch(record.path):
            return
        asked = self._name(record.asked)
        began = int(record.time * 1e9)
        carrier = {name: client.header(name) for name in ("traceparent", "tracestate")}
        span = self._tracer.start_span(
            f"chat {asked}".rstrip(),
            propagate.extract(carrier),
            trace.SpanKind.CLIENT,
            {**self._same, **self._attributes(record, asked)},
            start_time=began,
        )
        if record.outcome not in _WELL:
            span.set_status(trace.StatusCode.ERROR)
        span.end(began + round(record.total * 1e9))

    def close(self) -> None:
        """Send what is waiting, as far as that does not take long."""
        flush = getattr(self._provider, "force_flush", None)
        if flush is not None:
            thread = threading.Thread(target=flush, name="telemetry", daemon=True)
            thread.start()
            thread.join(_PATIENCE)

    def _attributes(self, record: Record, asked: str) -> dict[str, AttributeValue]:
        failed = record.outcome not in _WELL
        # A refusal is known by its status.
        kind = record.code or (str(record.status) if record.status >= 400 else record.outcome)
        # The clock's milliseconds, without what adding them up has left.
        first = round(record.first or 0.0, 6) if record.events != 0 else None
        known: dict[str, AttributeValue | None] = {
            "gen_ai.request.model": asked,
            "gen_ai.response.id": record.id,
            "gen_ai.response.model": self._name(record.used),
            "gen_ai.response.time_to_first_chunk": first,
            "gen_ai.usage.input_tokens": record.input_tokens,
            "gen_ai.usage.output_tokens": record.output_tokens,
            "http.request.resend_count": record.retries or None,
            "http.response.status_code": record.status or None,
            "error.type": kind if failed else None,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}

    def _name(self, chosen: str) -> str:
        return hidden(chosen.encode(), self._secret).decode()[:_LONGEST_NAME]
