"""What came of real runs, as the lines of a report: of this proxy, and of a mutant of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

from harness.cassette import chunks_of
from harness.provider import Provider
from harness.replay import Replay, replay
from harness.rules import RULES, Exchange
from harness.subject import OwnProxy
from harness.transport import as_recorded
from harness.variants import AS_RECORDED
from harness.verdicts import Case, Line, Run, Turn, Verdict
from tests.cassettes import cerebras
from tests.conformance.mutants import Mutant, Mutation

OWN = "codex-proxy"
MUTANT = "mutant"


def lines_of(
    names: Sequence[str], provider: Provider, proxy: OwnProxy, mutation: Mutation
) -> list[Line]:
    """Replay the cassettes through the proxy, and through a mutant of it."""
    started = "2026-11-22T20:00:00+00:00"
    paced = dataclasses.replace(AS_RECORDED, pace=functools.partial(as_recorded, speed=4))
    lines: list[Line] = []
    with Mutant(proxy.url) as mutant:
        mutant.mutation = mutation
        for subject, url in ((OWN, proxy.url), (MUTANT, mutant.url)):
            lines.append(Run(started, "0.1.0", subject))
            for name in names:
                lines += _case(subject, replay(cerebras(name), url, provider, variant=paced))
    return lines


def _case(subject: str, played: Replay) -> Iterator[Line]:
    case = (subject, played.name, "recorded")
    yield Case(*case, [_turn(exchange) for exchange in played.exchanges])
    for rule in RULES.values():
        held = True
        for number, exchange in enumerate(played.exchanges, 1):
            for violation in rule.check(exchange):
                held = False
                event = violation.event.number if violation.event else None
                yield Verdict(
                    *case,
                    rule.id,
                    rule.level,
                    "fault",
                    where=exchange.where + ("" if event is None else f", event {event}"),
                    expected=violation.expected,
                    actual=violation.actual,
                    turn=number,
                    event=event,
                    requirement=rule.requirement,
                )
        if held:
            yield Verdict(*case, rule.id, rule.level, "pass")


def _turn(exchange: Exchange) -> Turn:
    chunks = [
        (milliseconds / 4, len(chunk), chunk.decode(errors="replace"))
        for response in exchange.responses
        for milliseconds, chunk in chunks_of(response)
    ]
    return Turn(chunks, [(event.at, event.type, event.data) for event in exchange.events])
