"""The rules: what no schema of a single event can say about a reconstructed stream.

A rule is data with a check. The check looks at one exchange and yields what violates the rule; it
never asserts. One file a section; importing this package registers them all, in order of their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from harness.chat_stream import Said
from harness.client import Answer, Event

__all__ = ["RULES", "Exchange", "Fault", "Rule", "Violation", "check", "rule"]


@dataclass(slots=True)
class Exchange:
    """One turn: what the client got, and what the provider had said."""

    answer: Answer
    said: Said
    #: Where it was: the cassette and the turn, for a person.
    where: str = ""

    @property
    def events(self) -> list[Event]:
        return self.answer.events


@dataclass(frozen=True, slots=True)
class Violation:
    """What a check found."""

    expected: str
    actual: str
    #: The event at which it shows, where there is one.
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A violation with all that a person needs to mend it."""

    rule: str
    requirement: str
    expected: str
    actual: str
    where: str

    def __str__(self) -> str:
        lines = {"Expected": self.expected, "Actual": self.actual, "Where": self.where}
        return f"{self.rule}  {self.requirement}" + "".join(
            f"\n    {name + ':':<10}" + text.replace("\n", "\n" + " " * 14)
            for name, text in lines.items()
        )


Check = Callable[[Exchange], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement on a reconstructed stream."""

    #: Section and number: `items/2`.
    id: str
    level: Literal["MUST", "SHOULD"]
    #: In one sentence.
    requirement: str
    #: Who suffers without it.
    breaks: str
    check: Check

    def faults(self, exchange: Exchange) -> Iterator[Fault]:
        for violation in self.check(exchange):
            where = exchange.where
            if (event := violation.event) is not None:
                where += f", event {event.number} ({event.type or event.name or 'no type'})"
            requirement = f"{self.level}: {self.requirement} (breaks: {self.breaks})"
            yield Fault(self.id, requirement, violation.expected, violation.actual, where)


RULES: Final[dict[str, Rule]] = {}


def rule(
    id: str, requirement: str, *, breaks: str, level: Literal["MUST", "SHOULD"] = "MUST"
) -> Callable[[Check], Check]:
    """Register the decorated check as the rule `id`."""

    def register(function: Check) -> Check:
        assert id not in RULES, f"two rules are called {id}"
        RULES[id] = Rule(id, level, requirement, breaks, function)
        return function

    return register


def check(exchange: Exchange) -> list[Fault]:
    """Return the faults of one exchange, by rule."""
    return [fault for id in sorted(RULES) for fault in RULES[id].faults(exchange)]


# They use what is above.
from harness.rules import chains, content, framing, items, lifecycle  # noqa: E402, F401
