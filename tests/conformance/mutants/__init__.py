"""Deliberately broken proxies: for each rule at least one, which it must catch.

`servers.py` has what they are: real HTTP servers in front of this repository's proxy, or behind it.
`spoiling.py` has the ways to spoil a stream. The mutants themselves are told by section: `streams`,
`items`, `calls`, `failures` spoil what the client gets, `requests` what the provider is asked.
`judge.py` lets `conformance run --target` judge them, and `table.py` shows which rule caught which.
"""

from __future__ import annotations

from tests.conformance.mutants.servers import Data, Mutant, Mutation
from tests.conformance.mutants.spoiling import with_each, without

__all__ = ["Data", "Mutant", "Mutation", "with_each", "without"]
