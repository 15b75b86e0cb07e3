"""Mutants before the judge: `conformance run --target`, as it judges anybody's proxy.

What it says is read from the JSON lines that it writes.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from harness.__main__ import main
from harness.rules import timing
from harness.subject import OwnProxy
from harness.verdicts import Verdict, read_lines
from tests.conformance.mutants.servers import (
    Mutant,
    Mutation,
    UpstreamMutant,
    UpstreamMutation,
)

__all__ = ["Broken", "Judge", "Judged"]

#: Milliseconds of silence in place of a minute, for the mutant that is silent.
_SILENCE = 250.0


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken proxy."""

    #: The rule that must catch it.
    rule: str
    #: "A proxy that ..."
    what: str
    #: On which it shows: `hello`.
    cassette: str
    does: Mutation | UpstreamMutation
    #: The rules that are broken because that one is.
    follows: Set[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.rule} {self.what}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a run."""

    #: Its exit status.
    status: int
    #: Its verdicts: in the order of the file, a line for each rule or fault.
    verdicts: Sequence[Verdict]

    @property
    def faults(self) -> dict[str, Verdict]:
        """The first fault of each rule that is broken, by section and number."""
        found = [one for one in self.verdicts if one.verdict == "fault"]
        first = {one.rule: one for one in reversed(found)}
        return {rule: first[rule] for rule in sorted(first, key=_order)}


class Judge:
    """Both kinds of mutants of this proxy, and the command that judges them.

    The proxies find their provider at one port, where each run serves its cassettes.
    """

    def __init__(self, folder: Path) -> None:
        #: Where the reports are written, each over the one before.
        self.folder = folder
        self._judged: dict[str, Judged] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        with ExitStack() as stack:
            provider = f"http://127.0.0.1:{port}"
            self._upstream_mutant = stack.enter_context(UpstreamMutant(provider))
            asking, spoilt = (
                stack.enter_context(OwnProxy(f"{url}/v1", environment={"CEREBRAS_TIMEOUT": "2"}))
                for url in (provider, self._upstream_mutant.url)
            )
            self._mutant = stack.enter_context(Mutant(asking.url))
            self._urls = {Mutation: self._mutant.url, UpstreamMutation: spoilt.url}
            self._port = port
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __call__(self, broken: Broken) -> Judged:
        """Return what is said of a mutant, on its cassette; it is asked once."""
        if str(broken) not in self._judged:
            with pytest.MonkeyPatch.context() as patch:
                if isinstance(broken.does, Mutation) and broken.does.pause:
                    patch.setattr(timing, "LONGEST_SILENCE", _SILENCE)  # a minute would be long
                self._judged[str(broken)] = self.judged(broken.does, broken.cassette)
        return self._judged[str(broken)]

    def judged(self, mutation: Mutation | UpstreamMutation, *cassettes: str) -> Judged:
        """Return what is said of a proxy that is spoilt like this."""
        return Judged(main(self.command(mutation, *cassettes)), self.read())

    def read(self) -> list[Verdict]:
        """Return the verdicts of the last run."""
        lines = read_lines(self.folder / "verdicts.jsonl")
        return [line for line in lines if isinstance(line, Verdict)]

    def command(self, mutation: Mutation | UpstreamMutation, *cassettes: str) -> list[str]:
        """Let the servers be spoilt like this; return the arguments of `conformance`."""
        if isinstance(mutation, Mutation):
            self._mutant.mutation = mutation
        else:
            self._upstream_mutant.mutation = mutation
        target = ("--target", f"{self._urls[type(mutation)]}/v1")
        provider = ("--provider-port", str(self._port))
        names = (f"cerebras/{name}" for name in cassettes)  # `compaction` is also a section's
        return ["run", *target, *provider, "--only", *names, "--report", str(self.folder)]


def _order(rule: str) -> tuple[str, int]:
    section, _, number = rule.partition("/")
    return section, int(number or 0)
