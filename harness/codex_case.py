"""A case of the matrix, and what the model says in one: scripts, turn by turn."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness import scenarios
from harness.codex_judges import SUMMARY, THOUGHTS, Judge, Outcome
from harness.codex_model import Offer, Script
from harness.scenarios import Turn, Usage

__all__ = [
    "CONTENT",
    "LONG",
    "PATCH",
    "PIXEL",
    "SCHEMA",
    "Case",
    "always",
    "calling",
    "command",
    "compacted",
    "cut_after_call",
    "failed_sequence",
    "namespace",
    "parallel",
    "plan",
    "played",
    "says",
    "thinking",
]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix."""

    name: str
    #: For who reads the table.
    title: str
    prompt: str
    script: Script
    #: Yields what is wrong.
    judge: Judge
    #: How often Codex asks; by version, where that differs.
    requests: Callable[[tuple[int, ...]], int]
    #: What is in the folder before, by name.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: Returns values of `config.toml`; it gets the folder.
    config: Callable[[Path], dict[str, Any]] = lambda folder: {}
    #: The versions that need a flag.
    arguments: Callable[[tuple[int, ...]], list[str]] = lambda version: []
    output_schema: Mapping[str, Any] | None = None
    #: Why versions differ, for who wonders at the table.
    note: str = ""
    catalog: bool = False
    sandbox: bool = False
    #: What the person says in the same conversation after that.
    then: str | None = None
    #: It ends with an error.
    fails: bool = False
    #: A pattern of what Codex says of it with any backend, among warnings and errors.
    says: str | None = None
    #: Returns what a version was seen not to know, where without that there is nothing to judge.
    lacks: Callable[[Outcome], str | None] = lambda outcome: None


def always(number: int) -> Callable[[tuple[int, ...]], int]:
    """Return that Codex asks so often, whatever its version."""
    return lambda version: number


# --- scripts -------------------------------------------------------------------------------------

_USAGE: Final = Usage(3500, 40)
_DONE: Final = Turn(text="Done.", usage=_USAGE)

CONTENT: Final = "naïve ✓ 'quoted' \"twice\" \\back"
PATCH: Final = """\
*** Begin Patch
*** Update File: old.txt
@@
-before
+after ✓
*** Add File: new.txt
+one line
*** End Patch
"""


def calling(*calls: Callable[[Offer], Any], **more: Any) -> Script:
    """Return a script: each call in a turn of its own, then the last word."""
    return lambda offer: [
        *(Turn(calls=[call(offer)], usage=_USAGE, **more) for call in calls),
        _DONE,
    ]


def says(*texts: str) -> Script:
    """Return a script: a text in each turn, and no call."""
    return lambda offer: [Turn(text=text, usage=_USAGE) for text in texts]


def command(id: str, command: str) -> Callable[[Offer], Any]:
    """Return a call of the tool for commands, whichever the version has."""
    return lambda offer: offer.command(id, command)


def played(name: str) -> Script:
    """Return the turns of a scenario that has no calls."""
    return lambda offer: scenarios.load(name).turns


def failed_sequence(offer: Offer) -> list[Turn]:
    """Call three commands one after the other, of which the second fails."""
    commands = ("echo first >> steps", "echo second >> steps; exit 3", "echo third >> steps")
    return [
        *(
            Turn(reasoning=f"Step {number}.", calls=[offer.command(f"c{number}", command)])
            for number, command in enumerate(commands, 1)
        ),
        _DONE,
    ]


def parallel(offer: Offer) -> list[Turn]:
    """Call two commands at once."""
    calls = [
        offer.command("pa1", "echo one >> one; echo said-one"),
        offer.command("pa2", "echo two >> two; echo said-two"),
    ]
    return [Turn(calls=calls, interleaved=True, usage=_USAGE), _DONE]


def thinking(offer: Offer) -> list[Turn]:
    """Think before each of two commands."""
    return [
        Turn(reasoning=THOUGHTS[0], calls=[offer.command("th1", "echo 1")], usage=_USAGE),
        Turn(reasoning=THOUGHTS[1], calls=[offer.command("th2", "echo 2")], usage=_USAGE),
        _DONE,
    ]


def plan(offer: Offer) -> Any:
    """Return a call of the plan tool."""
    steps = [{"step": "look", "status": "completed"}, {"step": "do", "status": "in_progress"}]
    return offer.tool("pl1", "update_plan", {"plan": steps})


def namespace(offer: Offer) -> Any:
    """Return a call of a tool that is in a namespace."""
    return offer.tool("ns1", "close_agent", {"target": "nobody"})


#: 200 events and more.
LONG: Final = " ".join(f"word{number}" for number in range(300))


def compacted(offer: Offer) -> list[Turn]:
    """Fill the context by a command, sum up, and go on."""
    full = Usage(50_000, 20)
    return [
        Turn(calls=[offer.command("co1", "echo one >> count; echo one")], usage=full),
        Turn(text=SUMMARY, usage=_USAGE, compacts=True),
        _DONE,
    ]


def cut_after_call(offer: Offer) -> list[Turn]:
    """Break off after a command."""
    return [Turn(calls=[offer.command("cu1", "echo ran >> count")], end="cut", usage=_USAGE)]


#: One red pixel.
PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)

SCHEMA: Final = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
