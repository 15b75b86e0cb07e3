"""A recording against a newer one of the same scenario: what the backend sends differently now.

Held against each other is the form, as `harness.compare` does it with two backends. What a model
says differs each time, and with it which items there are: that is told, and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness.cassette import Cassette, backend_of, load
from harness.client import Event, read_events
from harness.compare import compare
from harness.drift import Drift, Level
from harness.errors import HarnessError

__all__ = ["stream_drift"]

#: By the id of a difference; the first that matches. An event type that is new does no harm: Codex
#: passes it over. A new field may be one to read; one that is gone may be one that is read.
_LEVELS: Final[tuple[tuple[re.Pattern[str], Level], ...]] = (
    (re.compile(r"field .* sometimes missing$"), "warn"),
    (re.compile(r"field .* missing$"), "error"),
    (re.compile(r"field .* is .*, not "), "error"),
    (re.compile(r"field .* only ours$"), "warn"),
    (re.compile(r"event .* only ours$"), "info"),
    (re.compile(r"event .* missing$"), "warn"),
)

#: The words of a comparison of two backends, in those of one backend at two times.
_WORDS: Final = (
    (" sometimes missing", " sometimes vanished"),
    (" missing", " vanished"),
    (" only ours", " new"),
)


def stream_drift(recorded: Path, again: Path) -> list[Drift]:
    """Return how the cassette `again` differs from `recorded`, the older; raises `HarnessError`."""
    old, new = load(recorded), load(again)
    if backend_of(old) != backend_of(new):
        raise HarnessError(
            f"{again} is of {backend_of(new)}, {recorded} of {backend_of(old)}: "
            "only recordings of the same backend can be compared"
        )
    return [
        Drift(_level(difference.id), _in_words(difference.id), f"{again}: {difference.where}")
        for difference in compare(_turns(new), _turns(old), accepted=())
    ]


def _level(id: str) -> Level:
    return next((level for pattern, level in _LEVELS if pattern.search(id)), "info")


def _in_words(id: str) -> str:
    for word, other in _WORDS:
        if id.endswith(word):
            return id.removesuffix(word) + other
    return id


def _turns(cassette: Cassette) -> list[list[Event]]:
    bodies = [response["body"]["string"] for response in cassette.responses]
    if backend_of(cassette) == "chatgpt":
        return [read_events(body) for body in bodies]
    return [list(_chunks(body)) for body in bodies]


def _chunks(body: bytes) -> Iterator[Event]:
    """Yield the chunks of a Chat Completions stream, as events whose types are what they say."""
    for number, line in enumerate(body.splitlines()):
        if not line.startswith(b"data: {"):
            continue
        try:
            chunk = json.loads(line.removeprefix(b"data: "))
        except ValueError:
            continue
        yield Event(number, None, {"type": _kind(chunk), **chunk}, line)


def _kind(chunk: dict[str, Any]) -> str:
    choices = chunk.get("choices") or [{}]
    delta = sorted(choices[0].get("delta") or ())
    return " ".join(["chunk", *delta, *(["finish"] if choices[0].get("finish_reason") else [])])
