"""How a Codex is started: with a program that tells how it was, in the place of Codex."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.codex_cli import Codex, CodexUnavailable, Run, from_npm, newest

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
    assert "features.plugins=false" in arguments


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


def test_a_conversation_a_schema_and_a_configuration_are_handed_on(tmp_path: Path) -> None:
    binary = tmp_path / "codex-binary"
    binary.write_text(TELLS)
    binary.chmod(0o755)

    finished = Codex("0.163.0", binary).run(
        "go on",
        proxy_url=URL,
        folder=tmp_path / "run",
        resume="01a2",
        output_schema={"type": "object"},
        config={"model_auto_compact_token_limit": 10, "a.b": ["x", True], "c": {"d": "é"}},
        arguments=["--include-plan-tool"],
    )

    arguments = finished.events[0]["argv"]
    assert arguments[-4:] == ["--include-plan-tool", "resume", "01a2", "go on"]
    assert "model_auto_compact_token_limit=10" in arguments
    assert 'a.b=["x", true]' in arguments
    assert 'c={d="\\u00e9"}' in arguments
    schema = arguments[arguments.index("--output-schema") + 1]
    assert Path(schema).read_text() == '{"type": "object"}'


def test_a_login_is_codex_own_for_the_proxy(tmp_path: Path) -> None:
    binary = tmp_path / "codex-binary"
    binary.write_text(TELLS)
    binary.chmod(0o755)
    run = Codex("0.45.0", binary).run

    start = run("hi", proxy_url=URL, folder=tmp_path / "run", login={"tokens": {}}).events[0]

    file = tmp_path / "run" / "codex" / "auth.json"
    assert file.read_text() == '{"tokens": {}}'
    assert file.stat().st_mode & 0o077 == 0
    assert "requires_openai_auth=true" in " ".join(start["argv"])


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        ("echo 0.170.1", None),
        ("echo npm error code E500 >&2; exit 1", "is the newest: npm error code E500"),
        ("echo nothing", "is the newest: nothing"),
    ],
)
def test_npm_knows_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npm: str, message: str | None
) -> None:
    (tmp_path / "npm").write_text(f"#!/bin/sh\n{npm}\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    if message is None:
        assert newest() == "0.170.1"
        return
    with pytest.raises(CodexUnavailable, match=message):
        newest()
