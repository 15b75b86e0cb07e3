"""The suite: cases (a cassette in a variant) through one subject, and a verdict for each rule.

Whatever a subject does is a verdict on that case: the suite goes on.
"""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from harness import __version__
from harness.cassette import backend_of, load
from harness.client import PATIENCE, Answer
from harness.provider import Provider
from harness.replay import Replay, changes, edge_faults, replay, schema_faults
from harness.rules import RULES, Exchange, Fault, Rule, Unjudged
from harness.scenarios import Backend
from harness.variants import AS_RECORDED, Variant
from harness.verdicts import Case, Line, Run, Turn, Verdict

__all__ = ["REQUIRED", "Subject", "run", "told"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A proxy under test."""

    name: str
    #: Returns where it is for a backend: its root; of another proxy its base URL.
    url: Callable[[Backend], str]
    #: Whether it is not this repository's, and words its requests as it likes.
    is_foreign: bool = False
    version: str = ""

    @classmethod
    def at(cls, base_url: str, *, name: str = "", version: str = "") -> Self:
        """Return another proxy, by its base URL."""
        return cls(name or base_url, lambda backend: base_url, is_foreign=True, version=version)


#: What is required beside `RULES`, by backend.
_EDGES: Final[Mapping[Backend, Sequence[str]]] = {
    "cerebras": ("edge/1", "edge/2", "edge/3", "edge/4", "schema"),
    "chatgpt": ("edge/1", "edge/2", "edge/3", "edge/5", "edge/6"),
}

#: Faults of one rule in one case that are kept: what is wrong with every event is wrong once.
_MOST: Final = 20

#: Characters of what was expected, and of what came, that are kept.
_LONGEST: Final = 10_000

#: By rule, its faults; or why it could not be looked at.
_Rows = dict[str, list[Fault] | str]

_INVALID_EVENTS: Final = "the events are not valid"
_INVALID_REQUEST: Final = "the request is not valid"

#: Whose fault it is that a rule could not be looked at, where it is not the edges'.
_STANDS_BEFORE: Final = {_INVALID_EVENTS: "schema", _INVALID_REQUEST: "request/1"}

#: The reconstruction does not depend on how the provider's bytes come.
_VARIANTS: Final = "variants/1"

#: The ids of all that is required of a case.
REQUIRED: Final = frozenset({*RULES, *itertools.chain(*_EDGES.values()), _VARIANTS})


def run(
    cases: Iterable[tuple[Path, Variant]],
    subject: Subject,
    provider: Provider,
    *,
    timeout: float = PATIENCE,
    strict: bool = False,
    only: Collection[str] = (),
) -> Iterator[Line]:
    """Play each case through `subject`; yield the run, then each case with its verdicts.

    `only` names the rules or sections to tell of; none: all of them. A case whose variant cannot be
    made of its cassette is left out. Raises `InvalidCassette`.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    target = subject.url("cerebras") if subject.is_foreign else ""
    yield Run(started_at, __version__, subject.name, subject.version, target, strict)
    recorded: dict[Path, list[str]] = {}
    for path, variant in cases:
        cassette = load(path)
        backend = backend_of(cassette)
        as_it_was = variant.name == AS_RECORDED.name
        if not as_it_was and not (backend == "cerebras" and variant.apply(cassette)):
            continue

        def play(variant: Variant, path: Path = path, backend: Backend = backend) -> Replay:
            url, foreign = subject.url(backend), subject.is_foreign
            return replay(path, url, provider, variant=variant, by_turn=foreign, timeout=timeout)

        compares = not as_it_was and variant.expects == "same"
        if compares and path not in recorded:
            recorded[path] = told(play(AS_RECORDED))
        played = play(variant)
        if as_it_was:
            recorded[path] = told(played)
        rows = _judged(played, subject)
        if compares:
            rows[_VARIANTS] = list(_difference(recorded[path], played))
        # Not before it is judged: whoever interrupts this has whole cases.
        yield Case(subject.name, played.name, variant.name, list(_turns(played)))
        for rule, found in _wanted(rows, only).items():
            yield from _verdicts(rule, found, subject.name, played.name, variant.name)


def _wanted(rows: _Rows, only: Collection[str]) -> _Rows:
    """Return the rows of `only`, and the faults for which one of them could not be looked at.

    A proxy that was not reached, or that says what is not valid, has not conformed to anything.
    """
    if not only:
        return rows
    wanted = {rule for rule in rows if rule in only or rule.partition("/")[0] in only}
    unseen = {found for rule in wanted if isinstance(found := rows[rule], str)}
    wanted |= {cause for reason, cause in _STANDS_BEFORE.items() if reason in unseen}
    wanted |= {rule for rule, found in rows.items() if found and rule.startswith("edge/")}
    return {rule: found for rule, found in rows.items() if rule in wanted}


def _turns(played: Replay) -> Iterator[Turn]:
    for exchange, chunks in zip(played.exchanges, played.chunks, strict=True):
        lane = [(round(at, 1), len(data), data.decode(errors="replace")) for at, data in chunks]
        events = [(round(one.at, 1), one.type, one.data) for one in exchange.events]
        yield Turn(lane, events)


def _verdicts(
    rule: str, found: list[Fault] | str, subject: str, cassette: str, variant: str
) -> Iterator[Verdict]:
    case = (subject, cassette, variant, rule)
    level = RULES[rule].level if rule in RULES else "MUST"
    if isinstance(found, str):
        yield Verdict(*case, level, "skipped", reason=found)
    elif not found:
        yield Verdict(*case, level, "pass")
    else:
        more = len(found) - _MOST
        for number, fault in enumerate(found[:_MOST], 1):
            and_more = f"\n(and {more} more)" if more > 0 and number == _MOST else ""
            yield Verdict(
                *case,
                fault.level,
                "fault",
                where=fault.where,
                expected=_shortened(fault.expected),
                actual=_shortened(fault.actual) + and_more,
                turn=fault.turn,
                event=fault.event,
                requirement=RULES[rule].requirement if rule in RULES else fault.requirement,
            )


def _shortened(text: str) -> str:
    more = len(text) - _LONGEST
    return text if more <= 0 else f"{text[:_LONGEST]} (and {more:,} characters more)"


# --- judging -------------------------------------------------------------------------------------


def _judged(played: Replay, subject: Subject) -> _Rows:
    rows: _Rows = {rule: [] for rule in _EDGES[played.backend]}
    if subject.is_foreign:
        del rows["edge/2"]
    for fault in edge_faults(played):
        _add(rows, fault)
    if played.backend == "cerebras":
        rows |= {rule: [] for rule in sorted(RULES)}
        for exchange in played.exchanges:
            for rule in RULES.values():
                if rule.needs == "request":
                    _check(rule, exchange, rows, is_valid=not exchange.invalid)
    if played.misses or not played.exchanges:
        cause = "edge/2" if played.misses else "edge/1"
        seen = [id for id, rule in RULES.items() if rule.needs == "request" and played.exchanges]
        unseen = [id for id in rows if not id.startswith("edge/") and id not in seen]
        return rows | dict.fromkeys(unseen, f"follows from {cause}")
    for exchange in played.exchanges:
        if played.backend == "chatgpt":
            for fault in changes(exchange):
                _add(rows, fault)
            continue
        invalid = list(schema_faults(exchange))
        for fault in invalid:
            _add(rows, fault)
        for rule in RULES.values():
            if rule.needs != "request":
                _check(rule, exchange, rows, is_valid=not invalid)
    return rows


def _add(rows: _Rows, fault: Fault) -> None:
    before = rows.setdefault(fault.rule, [])
    if isinstance(before, list):
        before.append(fault)  # a flood has tens of thousands
    else:
        rows[fault.rule] = [fault]


def _check(rule: Rule, exchange: Exchange, rows: _Rows, *, is_valid: bool) -> None:
    try:
        found = list(rule.faults(exchange))
    except Unjudged as reason:
        rows[rule.id] = rows[rule.id] or str(reason)
        return
    except Exception as error:  # a rule takes for granted what the schemas say
        if is_valid:
            requirement, actual = "an answer can be judged", f"{type(error).__name__}: {error}"
            _add(rows, Fault(rule.id, requirement, "a stream", actual, exchange.where))
        elif not rows[rule.id]:
            rows[rule.id] = _INVALID_REQUEST if rule.needs == "request" else _INVALID_EVENTS
        return
    for fault in found:
        _add(rows, fault)


# --- the same or not -----------------------------------------------------------------------------

#: What may differ though nothing has changed.
_FLEETING: Final = ("sequence_number", "created_at", "completed_at", "obfuscation")

_IDS: Final = ("id", "item_id", "response_id", "call_id")


def told(played: Replay) -> list[str]:
    """Return what the client was told, a line an event, so that it can be compared.

    Ids are renamed by first appearance, and deltas that follow each other are one: how much text
    comes at once is up to the proxy.
    """
    names: dict[str, str] = {}
    lines = []
    for exchange in played.exchanges:
        lines.append(f"HTTP {exchange.answer.status}")
        events = [_steady(event.data, names) for event in exchange.events]
        for _, group in itertools.groupby(events, _kind_of_delta):
            first, *more = group
            if _is_delta(first):
                deltas = "".join(one["delta"] for one in [first, *more])
                lines.append(json.dumps({**first, "delta": deltas}))
            else:
                lines += [json.dumps(one) for one in [first, *more]]
        lines += _rest(exchange.answer)
    return lines if played.unreached is None else [*lines, played.unreached]


def _is_delta(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("delta"), str)


def _kind_of_delta(event: Any) -> Any:
    return {**event, "delta": ""} if _is_delta(event) else None


def _rest(answer: Answer) -> Iterator[str]:
    if answer.rest:
        yield repr(answer.rest)
    if answer.broken is not None:
        yield "the connection broke"


def _steady(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_steady(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.setdefault(one, f"id {len(names)}")
        if key in _IDS and isinstance(one, str)
        else _steady(one, names)
        for key, one in value.items()
        if key not in _FLEETING
    }


def _difference(recorded: list[str], played: Replay) -> Iterator[Fault]:
    for was, came in itertools.zip_longest(recorded, told(played), fillvalue="nothing more"):
        if was != came:
            requirement = "how the provider's bytes come changes nothing in what they say"
            yield Fault(_VARIANTS, requirement, was, came, played.file)
            return
