"""What is known of one request: its line in the log, and its part of the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Record"]


@dataclass(slots=True, kw_only=True)
class Record:
    """One request, as far as it has come."""

    method: str
    #: Without its query, which may have something secret in it.
    path: str
    #: Seconds since the epoch.
    time: float = field(default_factory=time.time)
    #: Of the response.
    id: str = ""
    #: The model that was asked for, and the one that answers.
    asked: str = ""
    used: str = ""
    #: The URL that was asked, without its query.
    upstream: str = ""
    #: HTTP status that the client got; 0 where it got none.
    status: int = 0
    #: How it ended: `completed`, `incomplete`, `failed`, `refused`, `left`, `stopped`, `broken`.
    outcome: str = ""
    #: The code of its failure.
    code: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    #: How many events of a stream the client got; None where a stream passed that has no numbers.
    events: int | None = 0
    #: What went wrong upstream, a word for each try: `http_429`, `refused`, `stream`.
    faults: list[str] = field(default_factory=list)
    #: How often the proxy tried again by itself.
    retries: int = 0
    #: Seconds until the client got something, and until the end.
    first: float | None = None
    total: float = 0.0
