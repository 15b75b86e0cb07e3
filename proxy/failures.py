"""The one table from a provider's failures to what Codex should see.

Codex reacts to HTTP statuses erratically: by version, 429 is fatal at once or tried 30 times, 401
makes it refresh the ChatGPT login, 5xx is tried 30 times. A failure therefore travels in the stream
as `response.failed`, whose code Codex understands, except where the request itself was at fault:
HTTP 400 is what stops it. (Observed with Codex 0.45 and 0.169.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from proxy import chat

__all__ = ["Failure", "http_error"]

#: Statuses that say the request is wrong, or the account is: sending it again changes nothing.
_FINAL_STATUSES: Final = frozenset({400, 401, 402, 403, 404, 413, 422})

#: Longest wait that Codex is asked for, in seconds; a daily quota resets in hours.
_LONGEST_WAIT: Final = 60


class Failure(NamedTuple):
    """A failure as Codex should see it."""

    #: `response.error.code`, or the code of the HTTP error.
    code: str
    #: For a person: what happened, and where known what mends it.
    message: str
    #: True where it should be said with HTTP 400, if nothing was sent yet.
    final: bool = False

    @classmethod
    def of_answer(cls, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """Return the failure in a provider's answer whose status is not 200."""
        error = chat.decode_error(body)
        wait = headers.get("retry-after") or headers.get("x-ratelimit-reset-tokens-minute")
        return cls._of(status, error.innermost, wait)

    @classmethod
    def of_event(cls, data: bytes) -> Failure | None:
        """Return the failure in a provider's stream event; None where the event carries none."""
        body = chat.decode_error(data)
        if body.error is None and body.message is None:
            return None
        return cls._of(body.status_code, body.innermost, None)

    @classmethod
    def of_protocol(cls, what: str) -> Failure:
        """Return the failure of a provider that `what` (ended too early, sent nonsense)."""
        return cls("server_error", f"The provider {what}.")

    @classmethod
    def of_transport(cls, error: Exception) -> Failure:
        """Return the failure of a connection: refused, timed out, dropped.

        httpx-aiohttp names a refused connection and a failed name lookup `ConnectTimeout`; what
        happened is in the cause.
        """
        cause = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
        return cls("server_error", f"The connection to the provider failed: {cause}")

    @classmethod
    def _of(cls, status: int | None, error: chat.Error, wait: str | None) -> Failure:
        said = error.message or (f"HTTP {status}" if status else "an error without a message")
        message = f"The provider answered: {said}"
        if error.code == "context_length_exceeded" or "reduce the length of the mess" in said:
            return cls("context_length_exceeded", message)
        if status == 429 or error.type in {"too_many_requests_error", "too_many_tokens_error"}:
            # Codex waits as long as the message says: "try again in 1.5s".
            return cls("rate_limit_exceeded", f"{message} Please try again in {_seconds(wait)}s.")
        if status in _FINAL_STATUSES:
            # The one code with which new versions of Codex stop and show the message.
            return cls("invalid_prompt", message, final=True)
        return cls("server_error", message)


def _seconds(wait: str | None) -> int:
    """Return a wait in whole seconds; Cerebras' are floats, and may be absent or absurd."""
    try:
        seconds = float(wait or "nan")
    except ValueError:
        seconds = math.nan
    return min(max(1, math.ceil(seconds)), _LONGEST_WAIT) if math.isfinite(seconds) else 1


def http_error(message: str, *, code: str, param: str | None = None) -> bytes:
    """Return the body of an HTTP error as OpenAI nests it, which is what Codex reads."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return msgspec.json.encode({"error": error})
