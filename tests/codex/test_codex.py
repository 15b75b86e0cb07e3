"""The real Codex CLI, old and new, through the proxy: what happened, not only what was shown.

Each version words its requests differently, so the replay answers by turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from harness import scenarios
from harness.cassette import open_cassette
from harness.codex_cli import Codex, Run
from harness.provider import Provider
from harness.subject import OwnProxy
from harness.transport import CassetteTransport, as_recorded
from tests.cassettes import cerebras

#: What the recorded command writes.
CREATED = Path("/tmp/test_cerebras.py")

Play = Callable[[str], Run]


@pytest.fixture
def play(codex: Codex, provider: Provider, proxy: OwnProxy, tmp_path: Path) -> Iterator[Play]:
    """Let Codex work on a scenario's prompt, with its cassette as the provider."""

    def play(scenario: str) -> Run:
        with open_cassette(cerebras(scenario), match="turn") as cassette:
            provider.play(CassetteTransport(cassette, pace=as_recorded))
            prompt = scenarios.load(scenario).prompt
            run = codex.run(prompt, proxy_url=proxy.url, folder=tmp_path)
            assert cassette.all_played
        return run

    yield play
    assert provider.misses == []


def test_hello_prints_the_answer(play: Play, provider: Provider) -> None:
    run = play("hello")

    assert run.exit_code == 0, run.stderr
    assert run.last_message == "Hello, world!"
    assert len(provider.requests) == 1


def test_add_function_prints_the_code(play: Play, provider: Provider) -> None:
    run = play("add-function")

    assert run.exit_code == 0, run.stderr
    assert run.last_message == scenarios.load("add-function").turns[0].text
    assert len(provider.requests) == 1


def test_create_file_leaves_the_file_on_disk(
    codex: Codex, play: Play, provider: Provider, snapshot: SnapshotAssertion
) -> None:
    # Each version calls its own shell tool.
    scenario = "create-file" if codex.version == "0.45.0" else "create-file-exec"
    CREATED.unlink(missing_ok=True)

    run = play(scenario)

    assert run.exit_code == 0, run.stderr
    assert CREATED.read_text() == _program(scenario)
    first, second = provider.requests
    assert [message["role"] for message in second["messages"]][-2:] == ["assistant", "tool"]
    call, output = second["messages"][len(first["messages"]) :]
    assert call["tool_calls"][0]["id"] == "75a06f4da"
    assert call["reasoning"] == scenarios.load(scenario).turns[0].reasoning
    assert output["tool_call_id"] == "75a06f4da"
    assert _exit_code(output["content"]) == 0
    assert _transcript(run) == snapshot


def _program(scenario: str) -> str:
    """Return what stands between the two EOFs of the recorded command."""
    arguments = scenarios.load(scenario).turns[0].calls[0].arguments
    assert isinstance(arguments, dict)
    command = arguments["cmd"] if "cmd" in arguments else arguments["command"][-1]
    return str(command).partition("<<'EOF'\n")[2].removesuffix("EOF")


def _exit_code(output: str) -> Any:
    if output.startswith("{"):
        return json.loads(output)["metadata"]["exit_code"]
    return int(output.partition("exited with code ")[2].split()[0])


def _transcript(run: Run) -> str:
    """Return what Codex says happened, without what differs from run to run."""
    lines = []
    for event in run.events:
        if event["type"] == "thread.started":
            event = {**event, "thread_id": "..."}
        lines.append(json.dumps(event, ensure_ascii=False))
    # New versions run the login shell of whoever runs the test.
    return re.sub(r"(/\S+/)?(ba|z|da)?sh -lc", "SHELL -lc", "\n".join(lines) + "\n")
