"""Brings together which request of the client's led to which of the proxy's, and what is kept."""

from __future__ import annotations

import json
import threading
from typing import Any

from harness.edge import Asked
from harness.redact import Elision, mask, request_headers
from harness.scan import unpacked
from harness.transport import Finish, Interaction, RecordedRequest

__all__ = ["Edges"]


class _Open:
    """A request of the client that is not answered yet."""

    def __init__(self, body: dict[str, Any], asked: Asked, *, elides: bool) -> None:
        self.elision = Elision(body if elides else {})
        headers = request_headers(asked.headers)
        headers.pop("content-encoding", None)  # it is kept decoded
        self.recorded = {
            "method": asked.method,
            "path": asked.path,
            "headers": headers,
            "body": json.dumps(self.elision.of_json(body), ensure_ascii=False),
        }
        #: Whether a request of the proxy's is known that it led to.
        self.led = False
        self._said = set(_strings(body.get("input")))

    def likeness(self, upstream: str) -> int:
        """Return how many characters of the conversation are in a request upstream."""
        return sum(len(text) for text in self._said if json.dumps(text)[1:-1] in upstream)


class Edges:
    """What is under way between a client's edge and a provider's.

    A request upstream for which the client has not asked anew is one that the proxy tries again.
    With `elides`, what is kept of both is without the client's prose; with `whole`, only answers
    that are whole are kept.
    """

    def __init__(self, *, elides: bool, whole: bool = False) -> None:
        self._elides = elides
        self._whole = whole
        self._open: dict[Asked, _Open] = {}
        self._lock = threading.Lock()
        #: How often the client has asked.
        self.count = 0

    def asked(self, asked: Asked) -> None:
        """Take down a request of the client's."""
        body = _object(asked.headers, asked.body)
        if asked.method == "POST" and body is not None:
            if self._elides:
                body.pop("client_metadata", None)  # whose installation it was, and when
            with self._lock:
                self.count += 1
                self._open[asked] = _Open(body, asked, elides=self._elides)

    def answered(self, asked: Asked) -> None:
        """Forget a request whose answer is over: nothing more comes of it."""
        with self._lock:
            self._open.pop(asked, None)

    def begin(self, request: RecordedRequest) -> Finish:
        """Return what makes of a request upstream, and of its answer, what is kept."""
        with self._lock:
            upstream = json.dumps(_object(request.headers, request.body))
            # The oldest that led nowhere yet, where several are as like.
            client = max(
                self._open.values(),
                key=lambda one: (one.likeness(upstream), not one.led),
                default=None,
            )
            first = client is not None and not client.led
            if client is not None:
                client.led = True

        def finish(request: RecordedRequest, answer: dict[str, Any]) -> Interaction | None:
            body = _object(request.headers, request.body)
            ended = answer["status"]["code"] == 200 and answer["stream"]["end"] == "complete"
            if body is None or client is None or (self._whole and not ended):
                return None
            request.headers.pop("content-encoding", None)
            request.body = json.dumps(client.elision.of_json(body), ensure_ascii=False)
            said = mask(client.elision.of_stream(answer["body"]["string"]))
            answer = {**answer, "body": {"string": said}}
            return request, {**answer, "client_request": client.recorded} if first else answer

        return finish


def _object(headers: Any, body: str | bytes | None) -> dict[str, Any] | None:
    """Return a body that is an object of JSON, whatever it was packed in; None for any other."""
    try:
        parsed = json.loads(unpacked(headers, body) or b"")
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _strings(value: Any) -> list[str]:
    """Return what was said and printed in the input of a request."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = [value.get(name) for name in ("content", "text", "output")]
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else []
