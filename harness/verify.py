"""Says whether a cassette on disk can be relied on, and shown to anybody."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from harness.cassette import (
    Cassette,
    InvalidCassette,
    backend_of,
    check_digest,
    open_cassette,
    provenance,
)
from harness.scan import scan, scan_text
from harness.scenarios import BACKENDS

__all__ = ["OLDEST", "Finding", "verify"]

#: The age from which on a recording may show an API that is no more.
OLDEST: Final = datetime.timedelta(days=90)

_WITHOUT: Final = "record it again without that; a key that was published has to be revoked"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a cassette that is not as it should be."""

    level: Literal["error", "warning"]
    what: str
    #: What to do about it.
    mend: str

    def __str__(self) -> str:
        return f"{self.level}: {self.what}; {self.mend}"


def verify(
    path: Path, *, now: datetime.datetime, oldest: datetime.timedelta = OLDEST
) -> list[Finding]:
    """Return what is wrong with the cassette at `path`; `now` is a time with its zone."""
    again = f"record it again: conformance record {path.stem}"

    def check(cassette: Cassette) -> Iterator[Finding]:
        for look in (_origin, _digest, _times, _client_requests):
            yield from (Finding("error", what, again) for what in look(path, cassette))
        yield from (Finding("error", what, _WITHOUT) for what in _secrets(path, cassette))
        yield from (Finding("warning", what, again) for what in _age(cassette, now, oldest))

    try:
        with open_cassette(path) as cassette:
            return list(check(cassette))
    except InvalidCassette as error:
        return [Finding("error", str(error), again)]
    except OSError as error:
        return [Finding("error", f"{path}: cannot be read: {error.strerror}", "let it be read")]


def _origin(path: Path, cassette: Cassette) -> Iterator[str]:
    try:
        origin = provenance(cassette)
    except InvalidCassette as error:
        yield str(error)
        return
    folder = path.absolute().parent.name
    # Whoever keeps cassettes elsewhere calls the folder as they like.
    backend = folder if folder in BACKENDS else backend_of(cassette)
    places = {"scenario": path.stem, "backend": backend}
    for field, place in places.items():
        if origin[field] != place:
            yield f"it says that its {field} is {origin[field]!r}, and lies where {place!r} does"
    if _recorded_at(origin) is None:
        yield f"it says that it was recorded at {origin['recorded_at']!r}, which is no time"


def _digest(path: Path, cassette: Cassette) -> Iterator[str]:
    try:
        check_digest(cassette)
    except InvalidCassette as error:
        yield str(error)


def _times(path: Path, cassette: Cassette) -> Iterator[str]:
    for number, response in enumerate(cassette.responses, 1):
        times = [milliseconds for milliseconds, _ in response["stream"]["chunks"]]
        for chunk, (before, after) in enumerate(pairwise(times), 2):
            if after < before:
                yield f"interaction {number}: chunk {chunk} came at {after} ms, after {before} ms"
                break


def _client_requests(path: Path, cassette: Cassette) -> Iterator[str]:
    """What failed a proxy may ask again by itself; anything else a client has asked for."""
    failed: object = None
    for number, (request, response) in enumerate(cassette.data, 1):
        asked = (request.method, request.uri, _parsed(request.body))
        if "client_request" not in response and asked != failed:
            yield f"interaction {number}: no client asked for it, and nothing that failed before it"
        answered = response["status"]["code"] == 200 and response["stream"]["end"] == "complete"
        failed = None if answered else asked


def _secrets(path: Path, cassette: Cassette) -> Iterator[str]:
    found = scan(cassette.data)
    yield from map(str, found)
    # Comments and metadata are in the file alone.
    known = {(secret.kind, secret.shown) for secret in found}
    for secret in scan_text(path.read_text(encoding="utf-8")):
        if (secret.kind, secret.shown) not in known:
            yield str(secret)


def _age(cassette: Cassette, now: datetime.datetime, oldest: datetime.timedelta) -> Iterator[str]:
    try:
        recorded_at = _recorded_at(provenance(cassette))
    except InvalidCassette:
        return
    if recorded_at is not None and recorded_at > now + datetime.timedelta(days=1):
        yield f"it says that it was recorded at {recorded_at}, which is still to come"
    if recorded_at is not None and now - recorded_at > oldest:
        yield f"it is {(now - recorded_at).days} days old, and may show what is no more"


def _recorded_at(origin: Mapping[str, Any]) -> datetime.datetime | None:
    try:
        time = datetime.datetime.fromisoformat(origin["recorded_at"])
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def _parsed(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"")
    except (ValueError, RecursionError):
        return body
