"""`conformance codex`, with a small program in the place of Codex."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.__main__ import main
from tests.unit.harness.test_codex_matrix import client


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that has 0.100.0, and an npm that has nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "npm").write_text("#!/bin/sh\necho npm error code E404 >&2\nexit 1\n")
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    folder = tmp_path / "cache" / "0.100.0" / "node_modules" / ".bin"
    folder.mkdir(parents=True)
    (folder / "codex").symlink_to(client(tmp_path).binary)
    return tmp_path / "cache"


def test_it_runs_a_version_and_writes_the_page(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "page.md"
    arguments = ["--versions", "0.100.0", "--scenario", "hello", "run-once", "--report", str(page)]

    status = main(["codex", "--cache", str(cache), *arguments])

    said = capsys.readouterr().out
    assert (status, said.splitlines()[-1]) == (0, "2 ok, 0 failed, 0 that a version does not have")
    assert "0.100.0            1/2 ok      hello" in said
    assert "| `run-once` | ok |" in page.read_text()


def test_a_version_that_cannot_be_had_is_named(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--versions", "0.100.0", "0.99.9", "newest", "--scenario", "hello"]

    status = main(["codex", "--cache", str(cache), *arguments])

    said = capsys.readouterr().out
    assert status == 1
    assert "0.99.9            cannot be had: npm cannot install Codex 0.99.9: code E404" in said
    assert "could not be had: newest, 0.99.9" in said


def test_a_scenario_that_there_is_not_is_an_error(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["codex", "--cache", str(cache), "--scenario", "helo"]) == 2
    assert "there is no scenario 'helo'; there are: hello, " in capsys.readouterr().err
