"""What the real Codex does when the provider fails: how often it asks, and what a person sees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.codex_cli import Codex, Run
from harness.server import LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.provider import (
    Answer,
    Provider,
    Receive,
    Send,
    hold,
    reply,
    stream,
    stream_and_break,
)
from tests.unit.proxy.streams import calls, finishes, fragment, says, tokens

HELLO = stream(says("Hello, world!") + finishes("stop", tokens(9, 3)))

Play = Callable[..., Run]


@pytest.fixture(scope="module")
def failing() -> Iterator[tuple[Provider, OwnProxy]]:
    provider = Provider()
    with (
        LoopbackServer(provider) as server,
        OwnProxy(f"{server.url}/v1", environment={"CEREBRAS_TIMEOUT": "1"}) as proxy,
    ):
        yield provider, proxy


@pytest.fixture
def upstream(failing: tuple[Provider, OwnProxy]) -> Iterator[Provider]:
    provider, _ = failing
    provider.seen.clear()
    yield provider
    assert provider.rejected == []


@pytest.fixture
def play(codex: Codex, failing: tuple[Provider, OwnProxy], tmp_path: Path) -> Play:
    """Let Codex say hello while the provider gives these answers, the last one for good."""
    provider, proxy = failing

    def play(*answers: Answer) -> Run:
        provider.answer = in_turn(*answers)
        return codex.run("say hello world", proxy_url=proxy.url, folder=tmp_path)

    return play


def in_turn(*answers: Answer) -> Answer:
    """Answer with each of these in turn, with the last one for good."""
    left = iter(answers[:-1])

    async def answer(receive: Receive, send: Send) -> None:
        await next(left, answers[-1])(receive, send)

    return answer


def errors(run: Run) -> str:
    """Return what Codex tells a person of what went wrong."""
    failed = [event["error"]["message"] for event in run.events if event["type"] == "turn.failed"]
    return "\n".join(failed)


def test_a_rate_limit_is_waited_for(play: Play, upstream: Provider) -> None:
    start = time.monotonic()

    run = play(reply(429, b'{"message":"Too many requests."}', retry_after="1"), HELLO)

    assert run.last_message == "Hello, world!"
    assert len(upstream.seen) == 2
    assert time.monotonic() - start >= 1


def test_a_conversation_that_is_too_long_is_told_at_once(play: Play, upstream: Provider) -> None:
    run = play(reply(400, b'{"message":"Please reduce the length of the messages or completion."}'))

    assert run.exit_code == 1
    assert "context window" in errors(run)
    assert len(upstream.seen) == 1


def test_a_wrong_key_is_told(codex: Codex, play: Play, upstream: Provider) -> None:
    run = play(reply(401, b'{"message":"Wrong API Key","code":"wrong_api_key"}'))

    assert run.exit_code == 1
    assert "Wrong API Key" in errors(run)
    # 0.45 asks again whatever a 400 says.
    assert len(upstream.seen) == (6 if codex.version == "0.45.0" else 1)


def test_a_provider_that_recovers_is_asked_again(play: Play, upstream: Provider) -> None:
    broken = reply(500, b'{"message":"Oh no."}')

    run = play(broken, broken, broken, HELLO)

    assert run.last_message == "Hello, world!"
    assert len(upstream.seen) == 4  # the proxy asks three times for each time that Codex does


def test_a_stream_that_stalls_is_asked_for_again(play: Play, upstream: Provider) -> None:
    run = play(hold(threading.Event(), says("Hel")), HELLO)

    assert run.last_message == "Hello, world!"
    assert len(upstream.seen) == 2


def test_a_call_in_a_stream_that_broke_is_not_executed(
    codex: Codex, play: Play, upstream: Provider, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    command = f"echo ran >> {counter}"
    name, arguments = (
        ("shell", f'{{"command":["bash","-lc","{command}"]}}')
        if codex.version == "0.45.0"
        else ("exec_command", f'{{"cmd":"{command}"}}')
    )
    call = calls(fragment(0, id="75a06f4da", name=name, arguments=arguments))

    run = play(stream_and_break(call), stream(call + finishes("tool_calls", tokens(9, 9))), HELLO)

    assert run.last_message == "Hello, world!"
    assert counter.read_text() == "ran\n"
    assert len(upstream.seen) == 3
    # Nothing of the broken stream got into the conversation.
    assert upstream.seen[1].body["messages"] == upstream.seen[0].body["messages"]


def test_an_answer_that_is_too_long_is_not_asked_for_again(
    codex: Codex, play: Play, upstream: Provider
) -> None:
    run = play(stream(says("Once upon a time") + finishes("length", tokens(9, 4))))

    assert len(upstream.seen) == 1
    if codex.version == "0.45.0":
        assert run.last_message == "Once upon a time"
    else:
        assert "max_output_tokens" in errors(run)


def test_an_answer_that_was_filtered_is_not_asked_for_again(
    codex: Codex, play: Play, upstream: Provider
) -> None:
    run = play(stream(says("Once upon a time") + finishes("content_filter", tokens(9, 4))))

    assert len(upstream.seen) == 1
    if codex.version == "0.45.0":
        assert run.last_message == "Once upon a time"
    else:
        assert "content_filter" in errors(run)
