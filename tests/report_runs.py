"""What came of real runs, as the lines of a report: of this proxy, and of a mutant of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from harness.provider import Provider
from harness.subject import OwnProxy
from harness.suite import Subject, run
from harness.transport import as_recorded
from harness.variants import AS_RECORDED
from harness.verdicts import Line
from tests.cassettes import cerebras
from tests.conformance.mutants import Mutant, Mutation

OWN = "codex-proxy"
MUTANT = "mutant"

#: With the times of a real provider, but that nobody wants to wait for it.
PACED = dataclasses.replace(AS_RECORDED, pace=functools.partial(as_recorded, speed=4))


def lines_of(
    names: Sequence[str], provider: Provider, proxy: OwnProxy, mutation: Mutation
) -> list[Line]:
    """Replay the cassettes through the proxy, and through a mutant of it."""
    cases = [(cerebras(name), PACED) for name in names]
    with Mutant(proxy.url) as mutant:
        mutant.mutation = mutation
        own = Subject(OWN, lambda backend: proxy.url)
        spoilt = Subject(MUTANT, lambda backend: mutant.url)
        return [*run(cases, own, provider), *run(cases, spoilt, provider)]
