"""A few rows of the matrix with the versions that run here; `tox -e codex-matrix` has all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.codex_case import Case
from harness.codex_cases import CASES
from harness.codex_cli import Codex
from harness.codex_matrix import Matrix

#: What Codex 0.163 offers no tool for, it has with a catalog.
ROWS = ("apply-patch-heredoc", "parallel", "cut-call", "mcp", "catalog", "apply-patch")


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    with Matrix() as matrix:
        yield matrix


@pytest.mark.parametrize("case", [c for c in CASES if c.name in ROWS], ids=lambda case: case.name)
def test_codex_does_it(codex: Codex, matrix: Matrix, case: Case) -> None:
    cell = matrix.run(codex, case)

    assert list(cell.faults) == []
    missing = {"catalog": "0.45.0", "apply-patch": "0.163.0"}.get(case.name)
    assert cell.mark == ("n/a" if codex.version == missing else "ok")
