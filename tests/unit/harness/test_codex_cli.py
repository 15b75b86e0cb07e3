"""How a Codex is started: with a program that tells how it was, in the place of Codex."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.codex_cli import Codex, CodexUnavailable, Run, from_npm

#: Prints how it was started, as Codex prints what happened.
TELLS = f"""\
#!{sys.executable}
import json, os, sys
told = {{"type": "told", "argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
print(json.dumps(told))
print(json.dumps({{"type": "turn.completed"}}))
print("a warning", file=sys.stderr)
sys.exit(3)
"""

URL = "http://127.0.0.1:10001"


def run(folder: Path, version: str) -> Run:
    binary = folder / "codex-binary"
    binary.write_text(TELLS)
    binary.chmod(0o755)
    return Codex(version, binary).run("say hello", proxy_url=URL, folder=folder / "run")


def told(folder: Path, version: str) -> Any:
    return run(folder, version).events[0]


def test_a_run_has_exit_code_events_and_warnings(tmp_path: Path) -> None:
    finished = run(tmp_path, "0.45.0")

    assert finished.exit_code == 3
    assert [event["type"] for event in finished.events] == ["told", "turn.completed"]
    assert finished.stderr == "a warning\n"


def test_old_codex_takes_the_proxy_from_the_environment(tmp_path: Path) -> None:
    start = told(tmp_path, "0.45.0")

    assert start["env"]["OPENAI_BASE_URL"] == f"{URL}/v1"
    assert start["argv"] == [
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-m",
        "gpt-oss-120b",
        "--dangerously-bypass-approvals-and-sandbox",
        "say hello",
    ]


def test_new_codex_takes_the_proxy_as_a_provider_of_its_own(tmp_path: Path) -> None:
    start = told(tmp_path, "0.163.0")

    assert "OPENAI_BASE_URL" not in start["env"]
    provider = f'{{name="proxy",base_url="{URL}/v1",wire_api="responses"}}'
    assert f"model_providers.proxy={provider}" in start["argv"]
    assert "model_provider=proxy" in start["argv"]
    assert start["argv"][-1] == "say hello"


def test_new_codex_is_kept_from_calling_elsewhere(tmp_path: Path) -> None:
    arguments = told(tmp_path, "0.163.0")["argv"]

    assert "analytics.enabled=false" in arguments
    assert arguments[arguments.index("--disable") + 1] == "plugins"


@pytest.mark.parametrize("version", ["0.45.0", "0.163.0"])
def test_codex_gets_folders_of_its_own_and_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("CEREBRAS_API_KEY", "csk-mine")

    start = told(tmp_path, version)

    assert not [value for value in start["env"].values() if "mine" in value]
    own = tmp_path / "run"
    assert start["cwd"] == str(own / "work")
    assert start["env"]["HOME"] == str(own / "home")
    assert start["env"]["CODEX_HOME"] == str(own / "codex")
    assert start["env"]["TMPDIR"] == str(own / "tmp")


def test_the_last_message_is_the_answer() -> None:
    completed: list[dict[str, Any]] = [
        {"type": "item.completed", "item": {"type": "agent_message", "text": "First."}},
        {"type": "item.started", "item": {"type": "agent_message", "text": "Half"}},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "Last."}},
        {"type": "item.completed", "item": {"type": "reasoning", "text": "Hm"}},
        {"type": "turn.completed"},
    ]
    finished = Run(0, completed, "")

    assert finished.last_message == "Last."
    assert finished.items("reasoning") == [{"type": "reasoning", "text": "Hm"}]
    assert Run(0, [], "").last_message is None


def test_without_npm_codex_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CodexUnavailable, match=r"npm is missing, and Codex 0\.45\.0 comes from"):
        from_npm("0.45.0", tmp_path)


def test_a_codex_that_was_installed_before_is_not_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An npm that would be noticed.
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = tmp_path / "0.45.0" / "node_modules" / ".bin" / "codex"
    binary.parent.mkdir(parents=True)
    binary.touch()

    assert from_npm("0.45.0", tmp_path) == Codex("0.45.0", binary)
