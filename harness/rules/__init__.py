"""The rules: what no schema of a single event can say about a reconstructed stream.

A rule is data with a check. The check looks at one exchange and yields what violates the rule; it
never asserts. One file a section; importing this package registers them all, in order of their ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.chat_stream import Said
from harness.client import Answer, Event

__all__ = ["RULES", "Exchange", "Fault", "Level", "Rule", "Violation", "check", "rule"]

#: Any version of Codex, whatever it calls itself: `codex_exec/0.163.0 (Debian 12.0.0; x86_64)`.
_CODEX: Final = re.compile(r"/0\.(\d+)\.\d+\S* \(")

_KNOWS_INCOMPLETE: Final = 163

#: SHOULD is a fault where one is strict.
Level = Literal["MUST", "SHOULD"]


@dataclass(slots=True)
class Exchange:
    """One turn: what the client asked and got, and what the provider had answered."""

    answer: Answer
    #: What the provider said, in the answer that counts.
    said: Said
    #: Where it was: the cassette and the turn, for a person.
    where: str = ""
    #: The client's, as a cassette has it, its body parsed.
    request: Mapping[str, Any] = field(default_factory=dict)
    #: All answers of the provider that it took, as a cassette has them; the last one counts.
    responses: Sequence[Mapping[str, Any]] = ()
    #: Which turn of the conversation it is, from 1; None where there is but one.
    turn: int | None = None

    @property
    def events(self) -> list[Event]:
        return self.answer.events

    @property
    def status(self) -> int:
        """The provider's HTTP status; 0 where there was no answer."""
        return int(self.responses[-1]["status"]["code"]) if self.responses else 200

    @property
    def ended(self) -> bool:
        """Whether the provider finished what it had begun."""
        end = self.responses[-1]["stream"]["end"] if self.responses else "complete"
        finished = self.said.finish_reason is not None and not self.said.broken
        return self.status == 200 and end == "complete" and finished

    @property
    def due(self) -> str:
        """The terminal event that is due.

        Codex before 0.163 takes an incomplete response for a broken stream, and all of it one that
        a filter cut: they ask again, and enter what they got each time.
        """
        if not self.ended:
            return "response.failed"
        if (reason := self.said.finish_reason) not in ("length", "content_filter"):
            return "response.completed"
        if self.codex is not None and self.codex < _KNOWS_INCOMPLETE:
            return "response.completed"
        filtered = self.codex is not None and reason == "content_filter"
        return "response.failed" if filtered else "response.incomplete"

    @property
    def compacts(self) -> bool:
        """Whether the client asked for a summary of the conversation."""
        asked = self.request.get("body", {}).get("input") or [{}]
        return isinstance(asked, list) and asked[-1].get("type") == "compaction_trigger"

    @property
    def codex(self) -> int | None:
        """The second number of the version of Codex that asked, if it was Codex."""
        found = _CODEX.search(str(self.request.get("headers", {}).get("user-agent", "")))
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Violation:
    """What a check found."""

    expected: str
    actual: str
    #: The event at which it shows, where there is one.
    event: Event | None = None
    #: The provider's chunk, counted from 0, where it shows there.
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A violation with all that a person needs to mend it."""

    rule: str
    requirement: str
    expected: str
    actual: str
    #: For a person: the cassette, the turn, the event, the chunk of the provider's.
    where: str
    level: Level = "MUST"
    #: The same for a program: the event's number in the answer, from 0.
    event: int | None = None
    #: Counted from 1.
    turn: int | None = None
    #: The provider's chunk, counted from 0 as events of its stream.
    chunk: int | None = None

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
    level: Level
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
            if (chunk := violation.chunk) is not None:
                where += f", chunk {chunk} of the provider"
            yield Fault(
                self.id,
                f"{self.level}: {self.requirement} (breaks: {self.breaks})",
                violation.expected,
                violation.actual,
                where,
                self.level,
                None if event is None else event.number,
                exchange.turn,
                chunk,
            )


RULES: Final[dict[str, Rule]] = {}


def rule(
    id: str, requirement: str, *, breaks: str, level: Level = "MUST"
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
from harness.rules import (  # noqa: E402, F401
    chains,
    compaction,
    content,
    failures,
    framing,
    items,
    lifecycle,
)
