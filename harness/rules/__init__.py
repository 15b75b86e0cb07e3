"""The rules: what no schema can say about a reconstructed stream, or the request that led to it.

A rule is data with a check. The check looks at one exchange and yields what violates the rule; it
never asserts. One file a section; importing this package registers them all.

A rule of a stream takes for granted what the schemas say of its events; a rule of a request, what
`request/1` says. Where that is not so, it is asked all the same, and left out if it stumbles.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness import schema
from harness.chat_stream import Said
from harness.client import Answer, Event
from harness.rules.stream import Stream

__all__ = [
    "RULES",
    "Exchange",
    "Fault",
    "Level",
    "Needs",
    "Rule",
    "Unjudged",
    "UpstreamRequest",
    "Violation",
    "check",
    "rule",
]

#: Any version of Codex, whatever it calls itself: `codex_exec/0.163.0 (Debian 12.0.0; x86_64)`.
_CODEX: Final = re.compile(r"/0\.(\d+)\.\d+\S* \(")

_KNOWS_INCOMPLETE: Final = 163

#: SHOULD is a fault where one is strict.
Level = Literal["MUST", "SHOULD"]

#: What a rule needs to be judged: the client's stream alone; also what the provider had said; what
#: was asked of the provider.
Needs = Literal["stream", "provider", "request"]


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What the provider was asked."""

    #: Parsed, or the bytes where it is no JSON.
    body: Any
    #: The names of its headers, in small letters.
    headers: frozenset[str] = frozenset()


@dataclass
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
    #: What the provider was asked for it, in order.
    asked: Sequence[UpstreamRequest] = ()
    #: For each chunk of the transport, in milliseconds from the client's request: when the provider
    #: was about to send it, and how many bytes of its answer it had sent before.
    sent: Sequence[tuple[float, int]] = ()
    #: What the provider summed up in turns before this one.
    summaries: Sequence[str] = ()
    #: Whether another's proxy was still waiting for a provider that had fallen silent, when we gave
    #: it up: its patience is its own.
    outwaited: bool = False

    @functools.cached_property
    def events(self) -> list[Event]:
        """What came, but for what is no event (a comment, `[DONE]`, nonsense)."""
        return [event for event in self.answer.events if event.data is not None]

    @functools.cached_property
    def stream(self) -> Stream:
        """The events by type and item; each must be what its schema demands."""
        return Stream(self.events)

    @functools.cached_property
    def invalid(self) -> list[schema.SchemaFault]:
        """What the provider would reject of the last request."""
        return schema.check(self.asked[-1].body, "chat/request.json") if self.asked else []

    @property
    def upstream(self) -> Mapping[str, Any] | None:
        """The last request upstream; None where there is none, or it is no object."""
        body = self.asked[-1].body if self.asked else None
        return body if isinstance(body, dict) else None

    @property
    def body(self) -> Mapping[str, Any]:
        """The body of the client's request."""
        body = self.request.get("body")
        return body if isinstance(body, dict) else {}

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
        asked = self.body.get("input") or [{}]
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
            f"\n    {name + ':':<10}" + said.replace("\n", "\n" + " " * 14)
            for name, said in lines.items()
        )


class Unjudged(Exception):
    """A check cannot say, of this exchange, whether its rule is kept; the message says why."""

    OUTWAITED: Final = (
        "the provider had fallen silent, and the proxy still waited for it when --timeout ended; "
        "let it give up sooner, or wait longer"
    )


Check = Callable[[Exchange], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement on a reconstructed stream, or on the request that led to it."""

    #: Section and number: `items/2`.
    id: str
    level: Level
    #: In one sentence.
    requirement: str
    #: Who suffers without it.
    breaks: str
    #: Who says so: Codex by version, the OpenAI SDK, the specification, streams that were recorded.
    source: str
    needs: Needs
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
    id: str,
    requirement: str,
    *,
    breaks: str,
    source: str,
    needs: Needs = "stream",
    level: Level = "MUST",
) -> Callable[[Check], Check]:
    """Register the decorated check as the rule `id`."""

    def register(function: Check) -> Check:
        assert id not in RULES, f"two rules are called {id}"
        RULES[id] = Rule(id, level, requirement, breaks, source, needs, function)
        return function

    return register


def check(exchange: Exchange, *needs: Needs, valid: bool = True) -> list[Fault]:
    """Return the faults of one exchange, by rule; of all rules, or of those that need this.

    Where its events are not `valid` by their schemas, or the request is not, a rule that stumbles
    over that is left out.
    """
    chosen = (known for known in RULES.values() if not needs or known.needs in needs)
    found: list[Fault] = []
    for known in sorted(chosen, key=lambda known: _order(known.id)):
        try:
            found += known.faults(exchange)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            if valid and not (known.needs == "request" and exchange.invalid):
                raise
    return found


@functools.cache
def _order(id: str) -> tuple[str, int]:
    section, _, number = id.partition("/")
    return section, int(number)


# They use what is above.
from harness.rules import (  # noqa: E402, F401
    calls,
    chains,
    compaction,
    conversation,
    custom,
    failures,
    framing,
    items,
    lifecycle,
    namespaces,
    reasoning,
    request,
    sequence,
    text,
    timing,
    truncation,
    usage,
)
