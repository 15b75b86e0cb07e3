"""The one table from a provider's failures to what the client should see.

Codex reacts to HTTP statuses erratically: by version, 429 is fatal at once or tried 30 times, 401
makes it refresh the ChatGPT login, 5xx is tried 30 times. So a failure travels in the stream as
`response.failed`, with a code that Codex acts upon, except where the request itself was at fault:
HTTP 400 is what stops Codex then. (Observed with 0.45 and 0.169.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from proxy import chat

__all__ = ["STOPPED", "ConnectionFault", "Failure", "Fault", "http_error"]


#: What is told to who waits for an answer when the proxy stops.
STOPPED: Final = "The proxy was stopped before the provider had finished."


class Fault(Enum):
    """What can go wrong with a connection, and what is said of it.

    `{detail}` is what is known more, `{variable}` the one that says where the provider is.
    """

    UNRESOLVED = (
        "The provider's host name is not known: {detail}. Check {variable}, and the network."
    )
    REFUSED = "The provider cannot be reached: {detail}. Check {variable}, and the network."
    TLS = "The connection to the provider is not secure: {detail}. Nothing was sent."
    CONNECT_TIMEOUT = (
        "The provider did not accept a connection in time. Check {variable}, and the network."
    )
    #: After the request was sent, so that the provider may have done its work.
    DISCONNECTED = "The provider closed the connection before it had answered: {detail}."
    SILENT = "The provider fell silent."
    COMPRESSED = "The provider compressed its stream ({detail}), which was not asked for."
    BROKEN = "The provider's answer broke off: {detail}."


class ConnectionFault(Exception):
    """The connection to the provider failed."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault.name}: {detail}")
        self.fault = fault
        self.detail = detail


class _Row(NamedTuple):
    """What a failure becomes."""

    #: `response.error.code`: the codes that Codex tells apart.
    code: str
    #: HTTP status for a client that does not stream.
    status: int
    #: True where a stream would not help: before anything was sent, it is said with HTTP 400.
    final: bool = False
    #: True where this proxy may try again by itself: the provider has certainly done nothing.
    retriable: bool = False


_CONTEXT: Final = _Row("context_length_exceeded", 400)
_RATE: Final = _Row("rate_limit_exceeded", 429)
#: New versions of Codex stop at this code instead of waiting for a day.
_QUOTA: Final = _Row("insufficient_quota", 429)
#: New versions of Codex stop at this one, and show the message.
_REQUEST: Final = _Row("invalid_prompt", 400, final=True)
_SERVER: Final = _Row("server_error", 502)
_BUSY: Final = _Row("server_error", 502, retriable=True)
_TIMEOUT: Final = _Row("server_error", 504)
_STOPPED: Final = _Row("server_error", 503)

_BY_STATUS: Final[Mapping[int, _Row]] = {
    **dict.fromkeys((400, 401, 402, 403, 404, 413, 422), _REQUEST),
    429: _RATE,
    # The provider may have worked all that time.
    **dict.fromkeys((408, 504), _TIMEOUT),
    **dict.fromkeys((500, 502, 503, 529), _BUSY),
}

_BY_FAULT: Final[Mapping[Fault, _Row]] = {
    Fault.UNRESOLVED: _BUSY,
    Fault.REFUSED: _BUSY,
    Fault.TLS: _SERVER,
    Fault.CONNECT_TIMEOUT: _TIMEOUT,
    Fault.DISCONNECTED: _SERVER,
    Fault.SILENT: _TIMEOUT,
    Fault.COMPRESSED: _SERVER,
    Fault.BROKEN: _SERVER,
}

#: How a rate limit is told in mid-stream, where there is no status.
_RATE_TYPES: Final = ("too_many_requests_error", "too_many_tokens_error")
_RATE_CODES: Final = ("queue_exceeded", "request_quota_exceeded", "token_quota_exceeded", 429)

#: Seconds that Codex is asked to wait where the provider does not say.
_USUAL_WAIT: Final = 2
#: A quota that is back later than this is not waited for.
_LONGEST_WAIT: Final = 300


class Failure(NamedTuple):
    """A failure as the client should see it."""

    #: `response.error.code`.
    code: str
    #: For a person: what happened, and where known what mends it.
    message: str
    #: For a client that does not stream.
    status: int
    final: bool = False
    retriable: bool = False
    #: Whole seconds, for `Retry-After`.
    retry_after: int | None = None

    @classmethod
    def of_answer(cls, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """Return the failure in a provider's answer whose status is not 200."""
        return cls._of(status, chat.decode_error(body).innermost, _wait(headers))

    @classmethod
    def of_event(cls, data: bytes) -> Failure | None:
        """Return the failure in an event of a provider's stream; None where it carries none."""
        body = chat.decode_error(data)
        if body.error is None and body.message is None:
            return None
        error = body.innermost
        return cls._of(body.status_code or error.status_code, error, None)

    @classmethod
    def of_fault(
        cls, fault: Fault, detail: str = "", *, variable: str = "CEREBRAS_BASE_URL"
    ) -> Failure:
        """Return the failure of a connection."""
        detail = detail or "no reason was given"
        return cls._by(_BY_FAULT[fault], fault.value.format(detail=detail, variable=variable))

    @classmethod
    def of_protocol(cls, what: str) -> Failure:
        """Return the failure of a provider that `what` (ended too early, sent nonsense)."""
        return cls._by(_SERVER, f"The provider {what}.")

    @classmethod
    def of_stop(cls) -> Failure:
        """Return the failure of a response that this proxy could not wait for any longer."""
        return cls._by(_STOPPED, STOPPED)

    @classmethod
    def of_cut(cls, reason: str) -> Failure:
        """Return the failure of an answer that the provider itself cut, by its reason."""
        return cls._by(_REQUEST, f"The provider cut its answer: {reason}.")

    @classmethod
    def _of(cls, status: int | None, error: chat.Error, wait: float | None) -> Failure:
        said = error.message or (f"HTTP {status}" if status else "an error without a message")
        message = f"The provider answered: {said}"
        if error.code == "context_length_exceeded" or "reduce the length of the mess" in said:
            return cls._by(_CONTEXT, message)
        if error.type in _RATE_TYPES or error.code in _RATE_CODES:
            status = 429
        if status != 429:
            return cls._by(_BY_STATUS.get(status or 0, _SERVER), message)
        if wait is not None and wait > _LONGEST_WAIT:
            hours = wait / 3600
            return cls._by(_QUOTA, f"{message} It is back in {hours:.1f} hours.")
        seconds = _USUAL_WAIT if wait is None else max(1, math.ceil(wait))
        # Codex reads the time out of the message.
        failure = cls._by(_RATE, f"{message} Please try again in {seconds}s.")
        return failure._replace(retry_after=seconds)

    @classmethod
    def _by(cls, row: _Row, message: str) -> Failure:
        return cls(row.code, message, row.status, row.final, row.retriable)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which the provider's limit is back, if it says so.

    Cerebras' are floats. Of its quotas those that are used up count; where none is, a request was
    larger than what is left of one, and the first to come back is waited for.
    """
    if (after := _seconds(headers.get("retry-after"))) is not None:
        return after
    used_up: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if name.startswith("x-ratelimit-reset-") and (reset := _seconds(value)) is not None:
            left = headers.get(name.replace("-reset-", "-remaining-"), "").strip()
            (used_up if left == "0" else others).append(reset)
    return max(used_up) if used_up else min(others, default=None)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def http_error(message: str, *, code: str, type: str, param: str | None = None) -> bytes:
    """Return the body of an HTTP error as OpenAI nests it, which is what Codex reads."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return msgspec.json.encode({"error": error})
