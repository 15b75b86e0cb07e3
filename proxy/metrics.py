"""What `GET /metrics` tells, in Prometheus' format: counted once for each request, at its end."""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from proxy.record import Record

__all__ = ["CONTENT_TYPE", "SHARED", "Metrics"]

#: Of what is told.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST.encode()

#: The variable that says where workers put what they count, so that each can tell the sum. The
#: library reads it when it is imported.
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"

#: Seconds: a first event comes in tenths of one, a turn can think for minutes.
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The figures of one proxy, or of all its workers."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._requests = Counter(
            "codex_proxy_requests",
            "Requests, by how they ended.",
            ["outcome", "status"],
            registry=registry,
        )
        self._open = Gauge(
            "codex_proxy_streams_open",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._events = Counter(
            "codex_proxy_events", "Events that clients were sent.", registry=registry
        )
        self._tokens = Counter(
            "codex_proxy_tokens",
            "Tokens that the provider counted.",
            ["direction"],
            registry=registry,
        )
        self._first = Histogram(
            "codex_proxy_first_event_seconds",
            "Time until the client got something.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._total = Histogram(
            "codex_proxy_request_seconds",
            "Time until the client had it all.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._faults = Counter(
            "codex_proxy_upstream_failures",
            "What went wrong upstream, also where trying again helped.",
            ["kind"],
            registry=registry,
        )
        self._retries = Counter(
            "codex_proxy_retries", "How often the proxy tried again by itself.", registry=registry
        )
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        self._registry = registry

    def begin(self) -> None:
        """Count a request that is here."""
        self._open.inc()

    def end(self, record: Record) -> None:
        """Count a request that is over."""
        self._open.dec()
        self._requests.labels(record.outcome, record.status).inc()
        self._events.inc(record.events or 0)
        self._tokens.labels("input").inc(record.input_tokens or 0)
        self._tokens.labels("output").inc(record.output_tokens or 0)
        if record.first is not None:
            self._first.observe(record.first)
        self._total.observe(record.total)
        for kind in record.faults:
            self._faults.labels(kind).inc()
        self._retries.inc(record.retries)

    def told(self) -> bytes:
        """Return all figures as they are now."""
        return generate_latest(self._registry)
