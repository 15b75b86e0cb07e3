"""Two Responses streams of one scenario, held against each other: form, and not what is said.

One is the reference: what the ChatGPT backend sends, which is what Codex was written for. The other
is ours: what the proxy makes of Cerebras' chunks. What is compared is which events there are, which
fields they have, and of which kinds the values are; two models never say the same.

Everything is noted as features of subjects (an event type, a type of item, ...), and counted. So a
difference is always of one of four kinds: a feature is missing from ours, it is missing sometimes,
only ours has it, or its value is of another kind.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from importlib import resources
from itertools import groupby
from typing import Any, Final

import msgspec

from harness.client import Event

__all__ = [
    "Accepted",
    "Difference",
    "Run",
    "Turns",
    "accepted_differences",
    "compare",
    "reason_of",
    "runs",
    "type_of",
    "unmatched",
]

#: The events of a conversation, turn by turn.
Turns = Sequence[Sequence[Event]]

#: What a response echoes of the request that it answers: the client's own, whatever it is.
_ECHOED: Final = frozenset({"instructions", "metadata", "tool_choice", "tools"})

#: What is a subject of its own, or is one elsewhere in the stream.
_APART: Final = frozenset({"item", "output", "part", "response"})

#: Lists of parts.
_PARTS: Final = ("content", "summary")

#: The kinds of value that others are in.
_CONTAINERS: Final = frozenset({"a list", "an object"})

_IDS: Final = frozenset({"call_id", "id", "item_id"})
_PREFIX: Final = re.compile(r"[a-z]+_")


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which ours is not as the reference."""

    #: Always the same for the same difference: the subject, and what is different about it.
    id: str
    #: Where it is first seen, and on which side.
    where: str
    #: Why it is accepted; None where it is a fault.
    reason: str | None = None


class Accepted(msgspec.Struct, forbid_unknown_fields=True):
    """Differences that are as they should be."""

    reason: str
    #: Their ids; a `*` stands for anything.
    differences: list[str]


@functools.cache
def accepted_differences() -> list[Accepted]:
    """Return the accepted differences of this repository, `accepted_differences.yaml`."""
    file = resources.files("harness") / "accepted_differences.yaml"
    return msgspec.yaml.decode(file.read_bytes(), type=list[Accepted])


def compare(
    ours: Turns, reference: Turns, accepted: Sequence[Accepted] | None = None
) -> list[Difference]:
    """Return how the streams of `ours` differ from those of `reference`.

    Both are of the same scenario, a list of events for each turn. Without `accepted`, what is
    accepted is what `accepted_differences` says.
    """
    if accepted is None:
        accepted = accepted_differences()
    found: dict[str, str] = {}
    for id, where in _differences(_Notes(ours, "ours"), _Notes(reference, "reference")):
        found.setdefault(id, where)
    return [Difference(id, where, reason_of(id, accepted)) for id, where in found.items()]


def unmatched(
    differences: Iterable[Difference], accepted: Sequence[Accepted] | None = None
) -> list[str]:
    """Return what is accepted though it is no longer there, given the differences of all cases."""
    if accepted is None:
        accepted = accepted_differences()
    ids = [difference.id for difference in differences]
    return [
        pattern
        for entry in accepted
        for pattern in entry.differences
        if not any(_matches(pattern, id) for id in ids)
    ]


def reason_of(id: str, accepted: Sequence[Accepted]) -> str | None:
    """Return why the difference `id` is accepted; None where it is not."""
    for entry in accepted:
        if any(_matches(pattern, id) for pattern in entry.differences):
            return entry.reason
    return None


def _matches(pattern: str, id: str) -> bool:
    # Not fnmatch: brackets are brackets here, `output[]`.
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), id) is not None


# --- streams -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """Events that follow each other and are about the same item, or about none."""

    #: What the item is known by in its stream; None where it is none.
    index: object
    #: The type of the item.
    type: str
    events: list[Event]

    @property
    def is_item(self) -> bool:
        return self.index is not None


def runs(events: Sequence[Event]) -> list[Run]:
    """Return the events of one turn in runs."""
    types: dict[object, str] = {}
    for event in events:
        if isinstance(item := event["item"], dict):
            types.setdefault(_index(event), str(item.get("type")))
    return [
        Run(index, types.get(index, "without type"), list(same))
        for index, same in groupby(events, _index)
    ]


def type_of(event: Event) -> str:
    """Return the type of an event, or that it has none."""
    return event.type or "without type"


def _index(event: Event) -> object:
    if isinstance(index := event["output_index"], int):
        return index
    item = event["item"]
    id = item.get("id") if isinstance(item, dict) else event["item_id"]
    return id if isinstance(id, str) else None


# --- differences ---------------------------------------------------------------------------------


def _differences(ours: _Notes, reference: _Notes) -> Iterator[tuple[str, str]]:
    """Yield the id of each difference, and where it is."""
    yield from _turns(ours, reference)
    for name, theirs in reference.subjects.items():
        # Whether there is such a subject at all, turns, items, and fields tell.
        if (own := ours.subjects.get(name)) is None:
            continue
        for what, feature in theirs.features.items():
            if what not in own.features:
                if own.could_have(what, theirs):
                    yield f"{name}: {what} missing", feature.where
            elif own.features[what].count < own.count and feature.count == theirs.count:
                yield f"{name}: {what} sometimes missing", own.where_without(what)
        for what, feature in own.features.items():
            if what not in theirs.features:
                if theirs.could_have(what, own):
                    yield f"{name}: {what} only ours", feature.where
                continue
            kinds = theirs.features[what].kinds
            for kind, where in feature.kinds.items():
                if kind not in kinds:
                    yield f"{name}: {what} is {kind}, not {' or '.join(sorted(kinds))}", where
        if (order := _other_order(own, theirs)) is not None:
            yield f"{name}: events in another order", order


def _turns(ours: _Notes, reference: _Notes) -> Iterator[tuple[str, str]]:
    """Yield what is different about the items of each turn, and about how many turns there are."""
    for turn, (own, theirs) in enumerate(zip(ours.items, reference.items, strict=False), 1):
        matcher = SequenceMatcher(None, own, theirs, autojunk=False)
        for what, own_start, own_end, start, end in matcher.get_opcodes():
            if what == "equal":
                continue
            for type in theirs[start:end]:
                yield f"turn: item {type} missing", f"reference, turn {turn}"
            for type in own[own_start:own_end]:
                yield f"turn: item {type} only ours", f"ours, turn {turn}"
    count, their_count = len(ours.items), len(reference.items)
    if count < their_count:
        yield "conversation: turn missing", f"reference, turn {count + 1}"
    elif count > their_count:
        yield "conversation: turn only ours", f"ours, turn {their_count + 1}"


def _other_order(own: _Subject, theirs: _Subject) -> str | None:
    """Return where our events are in an order that the reference has in no place."""

    def agree(one: Sequence[str], other: Sequence[str]) -> bool:
        return [what for what in one if what in other] == [what for what in other if what in one]

    for order, where in own.orders.items():
        if not any(agree(order, other) for other in theirs.orders):
            return where
    return None


# --- notes ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Feature:
    """Something that a subject has, or does."""

    #: Where it was first seen.
    where: str
    #: How often.
    count: int = 0
    #: Of which kinds its value was, each with where that was first.
    kinds: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Subject:
    """Something that occurs in streams, as often as it does."""

    count: int = 0
    features: dict[str, _Feature] = field(default_factory=dict)
    #: In which orders the events of an item came, each with where that was first.
    orders: dict[tuple[str, ...], str] = field(default_factory=dict)
    #: The places of it, with the features that it had there.
    places: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    def note(
        self,
        where: str,
        features: Mapping[str, Iterable[str]],
        places: Mapping[str, str] | None = None,
    ) -> None:
        """Note it once, with its features and their kinds, which may have places of their own."""
        self.count += 1
        self.places.append((where, frozenset(features)))
        for what, kinds in features.items():
            feature = self.features.setdefault(what, _Feature((places or {}).get(what, where)))
            feature.count += 1
            for kind in kinds:
                feature.kinds.setdefault(kind, where)

    def could_have(self, what: str, other: _Subject) -> bool:
        """Return whether there is what a field of `other` is in; if not, that is the difference."""
        above = what.removesuffix("[]") if what.endswith("[]") else what.rpartition(".")[0]
        if above not in other.features:
            return True
        return above in self.features and not _CONTAINERS.isdisjoint(self.features[above].kinds)

    def where_without(self, what: str) -> str:
        """Return the first place where it had no such feature."""
        return next(where for where, features in self.places if what not in features)


class _Notes:
    """What there is in the streams of one side."""

    def __init__(self, turns: Turns, side: str) -> None:
        self.subjects: dict[str, _Subject] = {}
        #: The types of the items, turn by turn.
        self.items: list[list[str]] = []
        for number, events in enumerate(turns, 1):
            self._note_turn(events, f"{side}, turn {number}")

    def _subject(self, name: str) -> _Subject:
        return self.subjects.setdefault(name, _Subject())

    def _note_turn(self, events: Sequence[Event], where: str) -> None:
        def at(event: Event) -> str:
            return f"{where}, event {event.number} ({type_of(event)})"

        stream: dict[str, str] = {}
        items: dict[object, dict[str, str]] = {}  # their events, each with where it was first
        types: dict[object, str] = {}
        current: object = None
        for run in runs(events):
            if run.index in items and run.index != current:
                stream.setdefault("items interleave", at(run.events[0]))
            for event in run.events:
                self._note_event(event, at(event))
                about = items.setdefault(run.index, {}) if run.is_item else stream
                if run.is_item or event is not events[-1]:
                    about.setdefault(f"event {type_of(event)}", at(event))
            if run.is_item:
                types.setdefault(run.index, run.type)
                current = run.index
        end = type_of(events[-1]) if events else "before it began"
        stream[f"end {end}"] = at(events[-1]) if events else where
        self._subject("stream").note(where, dict.fromkeys(stream, ()), stream)
        self.items.append(list(types.values()))
        for index, places in items.items():
            subject = self._subject(f"item {types[index]}")
            subject.note(where, dict.fromkeys(places, ()), places)
            subject.orders.setdefault(tuple(places), where)

    def _note_event(self, event: Event, place: str) -> None:
        data = event.data or {}
        self._subject(f"event {type_of(event)}").note(place, _fields(data))
        if isinstance(item := data.get("item"), dict):
            step = event.type.rpartition(".")[2]
            self._subject(f"item {item.get('type')} {step}").note(place, _fields(item))
            for name in _PARTS:
                for part in item[name] if isinstance(item.get(name), list) else ():
                    self._note_part(part, place)
        if isinstance(response := data.get("response"), dict):
            name = f"response {response.get('status', 'without status')}"
            self._subject(name).note(place, _fields(response))
        if "part" in data:
            self._note_part(data["part"], place)

    def _note_part(self, part: Any, place: str) -> None:
        if isinstance(part, dict):
            self._subject(f"part {part.get('type')}").note(place, _fields(part))


def _fields(value: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the paths of the fields in `value`, each with the kinds of its values."""
    found: defaultdict[str, set[str]] = defaultdict(set)

    def note(value: Mapping[str, Any], above: str) -> None:
        for name, item in value.items():
            path = f"{above}{name}"
            found[path].add(_kind(name, item))
            if name in _ECHOED:
                continue
            for inner in item if isinstance(item, list) else ():
                is_part = name in _PARTS and isinstance(inner, dict)
                found[f"{path}[]"].add(str(inner.get("type")) if is_part else _kind("", inner))
                if isinstance(inner, dict) and not is_part and name not in _APART:
                    note(inner, f"{path}[].")
            if isinstance(item, dict) and name not in _APART:
                note(item, f"{path}.")

    note(value, "field ")
    return found


def _kind(name: str, value: Any) -> str:
    """Return of which kind a value is: its JSON type; of an id also the prefix."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str() if name in _IDS:
            prefix = _PREFIX.match(value)
            return f"an id {prefix[0]}" if prefix else "an id without prefix"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
