"""What `codex-proxy setup` writes, read by the real Codex: its model is one that Codex knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.codex_cli import Codex, Run
from harness.server import LoopbackServer
from harness.subject import OwnProxy
from proxy.codex_setup import main
from proxy.model_catalog import catalog
from tests.unit.proxy.provider import Answer, Provider, in_turn, stream
from tests.unit.proxy.streams import calls, finishes, fragment, says, tokens

#: The first version that reads a catalog, and the newest that the project promises.
pytestmark = pytest.mark.parametrize("codex", ["0.105.0", "0.163.0"], indirect=True)

HELLO = stream(says("Hello, world!") + finishes("stop", tokens(9, 3)))

PROMPT = catalog("gpt-oss-120b")["models"][0]["base_instructions"].strip()

PATCH = "*** Begin Patch\\n*** Add File: notes.txt\\n+patched\\n*** End Patch\\n"

Play = Callable[..., Run]


@pytest.fixture
def upstream() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    assert provider.rejected == []


@pytest.fixture
def play(
    codex: Codex, upstream: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Play]:
    """Set up an empty Codex home, and let Codex say hello while the provider answers like this."""
    with LoopbackServer(upstream) as server, OwnProxy(f"{server.url}/v1") as proxy:

        def play(*answers: Answer) -> Run:
            upstream.answer = in_turn(*answers)
            words = ["--write", "--codex-version", codex.version, "--url", proxy.url]
            assert main(words, {"CODEX_HOME": str(tmp_path / "codex")}) == 0
            capsys.readouterr()
            return codex.run("say hello world", proxy_url=None, folder=tmp_path)

        yield play


def test_the_model_is_one_that_codex_knows(play: Play, upstream: Provider) -> None:
    run = play(HELLO)

    assert run.last_message == "Hello, world!"
    # With stdin closed new ones say so, and nothing else.
    assert run.stderr in ("", "Reading additional input from stdin...\n")
    assert not any(item for item in run.items("error"))
    (seen,) = upstream.seen
    assert "apply_patch" in {tool["function"]["name"] for tool in seen.body["tools"]}
    assert seen.body["model"] == "gpt-oss-120b"
    assert seen.body["reasoning_effort"] == "medium"
    assert seen.body["messages"][0]["role"] == "system"
    assert seen.body["messages"][0]["content"].startswith(PROMPT)


def test_a_patch_is_applied(play: Play, tmp_path: Path) -> None:
    call = fragment(0, id="ab1", name="apply_patch", arguments=f'{{"input":"{PATCH}"}}')

    run = play(stream(calls(call) + finishes("tool_calls", tokens(9, 9))), HELLO)

    assert run.last_message == "Hello, world!"
    assert (tmp_path / "work" / "notes.txt").read_text() == "patched\n"


@pytest.mark.parametrize(("used", "compacts"), [(98_000, False), (98_400, True)])
def test_a_conversation_is_summed_up_while_an_answer_still_fits(
    play: Play, upstream: Provider, used: int, compacts: bool
) -> None:
    call = fragment(0, id="ab1", name="exec_command", arguments='{"cmd":"echo one"}')

    run = play(stream(calls(call) + finishes("tool_calls", tokens(used - 9, 9))), HELLO)

    assert run.exit_code == 0, run.stderr
    second = upstream.seen[1].body
    assert ("tools" not in second) is compacts
    assert len(upstream.seen) == (3 if compacts else 2)
