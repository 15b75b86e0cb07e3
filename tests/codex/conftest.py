"""The versions of Codex that run here: the oldest and the newest that the project promises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import codex_cli
from harness.codex_cli import Codex, CodexUnavailable


@pytest.fixture(scope="module", params=["0.45.0", "0.163.0"])
def codex(request: pytest.FixtureRequest) -> Codex:
    try:
        if request.param == "0.163.0":
            return codex_cli.from_pypi()
        cache = os.environ.get("CODEX_CACHE") or Path.home() / ".cache" / "codex-cli"
        return codex_cli.from_npm(request.param, Path(cache))
    except CodexUnavailable as error:
        pytest.skip(str(error))
