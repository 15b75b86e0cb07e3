"""Ways to spoil a stream, event by event; each mutant is made of one or two of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from harness.rules.stream import TERMINAL
from tests.conformance.mutants.servers import Data, Mutation, Spoil

__all__ = [
    "doubled",
    "error",
    "is_about",
    "items_in",
    "moved_behind",
    "replaced",
    "with_all",
    "with_each",
    "with_items",
    "with_last",
    "with_response",
    "with_text",
    "without",
]


def is_about(kind: str, item: str) -> Callable[[Data], bool]:
    """Return whether an event is of this type, and about an item of that type."""
    return lambda event: bool(event["type"] == kind and event["item"]["type"] == item)


def items_in(event: Data, *kinds: str) -> list[Data]:
    """Return every item of these types, wherever it stands: to be changed in place."""
    found = [event["item"]] if "item" in event else []
    found += event.get("response", {}).get("output", [])
    return [item for item in found if not kinds or item["type"] in kinds]


def _first(kind: str, item: str | None = None) -> Callable[[Data, Sequence[Data]], bool]:
    is_one = (lambda event: event["type"] == kind) if item is None else is_about(kind, item)
    return lambda event, before: is_one(event) and not any(map(is_one, before))


def without(kind: str, *, item: str | None = None) -> Spoil:
    """Drop the first event of this type (about an item of that type), where there is one."""
    is_first = _first(kind, item)
    return lambda event, before: [] if is_first(event, before) else [event]


def doubled(kind: str) -> Spoil:
    """Repeat the first event of this type, where there is one."""
    is_first = _first(kind)
    return lambda event, before: [event, event] if is_first(event, before) else [event]


def with_all(change: Callable[[Data], object]) -> Spoil:
    """Change every event."""

    def spoil(event: Data, before: Sequence[Data]) -> list[Data]:
        change(event)
        return [event]

    return spoil


def with_each(kind: str, change: Callable[[Data], object]) -> Spoil:
    """Change each event of this type."""
    return with_all(lambda event: change(event) if event["type"] == kind else None)


def with_last(change: Callable[[Data], object]) -> Spoil:
    """Change the terminal event."""
    return with_all(lambda event: change(event) if event["type"] in TERMINAL else None)


def with_response(**changes: object) -> Spoil:
    """Change the response as the terminal event has it."""
    return with_last(lambda event: event["response"].update(changes))


def with_items(kind: str, change: Callable[[Data], object]) -> Spoil:
    """Change each item of this type, in its own events and in the response."""
    return with_all(lambda event: [change(item) for item in items_in(event, kind)])


def replaced(event: Data, old: str, new: str) -> Data:
    """Return the event with another text wherever that stands."""
    changed: Data = json.loads(json.dumps(event).replace(old, new))
    return changed


def with_text(old: str, new: str) -> Spoil:
    """Say something else, and consistently so."""
    return lambda event, before: [replaced(event, old, new)]


def moved_behind(one: Callable[[Data], bool], other: Callable[[Data], bool]) -> Spoil:
    """Move the first event that is `one` behind the next that is `other`.

    Where none is, it comes before the terminal event.
    """

    def spoil(event: Data, before: Sequence[Data]) -> list[Data]:
        at = next((at for at, was in enumerate(before) if one(was)), None)
        if at is None:
            return [] if one(event) else [event]
        if any(other(was) for was in before[at + 1 :]):
            return [event]
        if other(event):
            return [event, before[at]]
        return [before[at], event] if event["type"] in TERMINAL else [event]

    return spoil


def error(change: Callable[[Data], object], status: int = 400) -> Mutation:
    """Spoil an HTTP error."""

    def spoil(given: int, body: Data) -> tuple[int, Data]:
        change(body["error"])
        return status, body

    return Mutation(error=spoil)
