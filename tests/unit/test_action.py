"""The action's script, as another repository's workflow runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from tests.cassettes import FOLDER

SCRIPT: Final = FOLDER.parent / ".github" / "actions" / "conformance" / "run.sh"


def ran(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(SCRIPT)],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_proxy_that_does_not_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    run = ran(
        tmp_path,
        TARGET="http://127.0.0.1:9/v1",  # nothing listens there
        PROVIDER_PORT="9100",
        REPORT="report",
        START="echo 'no key: $(touch spoilt)' >&2; exit 3",
    )

    assert run.returncode == 2
    assert "the proxy does not answer at http://127.0.0.1:9/v1" in run.stderr
    assert "no key: $(touch spoilt)" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_asked_for(tmp_path: Path) -> None:
    run = ran(tmp_path, PROVIDER_PORT="9100", REPORT="report")

    assert run.returncode != 0
    assert "TARGET: where the proxy answers" in run.stderr


def test_arguments_may_be_on_lines(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "conformance"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m harness \"$@\"\n")
    command.chmod(0o755)

    run = ran(
        tmp_path,
        PATH=f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        PYTHONPATH=str(FOLDER.parent),
        TARGET="http://127.0.0.1:9/v1",
        PROVIDER_PORT="9100",
        REPORT="report",
        ARGUMENTS="--only hello\n--variant joind\n",
    )

    assert (run.returncode, run.stdout) == (2, "")
    assert "there is no variant 'joind'" in run.stderr


def test_the_artifact_is_not_called_by_the_path_of_its_folder() -> None:
    """An artifact's name has no slash, a folder may."""
    action = yaml.safe_load((SCRIPT.parent / "action.yml").read_text())
    (upload,) = (
        step for step in action["runs"]["steps"] if "upload-artifact" in step.get("uses", "")
    )

    assert upload["with"] == {"name": "${{ inputs.artifact }}", "path": "${{ inputs.report }}"}
    assert action["inputs"]["artifact"]["default"] == "conformance-report"
