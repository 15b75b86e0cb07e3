"""The program that is started: what it says of an address that it cannot have, or must not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

KEY = "csk-0123456789"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, which must be soon."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *argv],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_that_is_taken_is_told_in_one_sentence(taken_port: int) -> None:
    ended = run("--port", str(taken_port), CEREBRAS_API_KEY=KEY)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"codex-proxy: cannot listen on 127.0.0.1:{taken_port}: Address already in use\n"
    )


def test_the_chatgpt_backend_starts_without_a_key(taken_port: int) -> None:
    ended = run("--backend", "chatgpt", "--port", str(taken_port))

    assert ended.returncode == 1
    assert ended.stderr == (
        f"codex-proxy: cannot listen on 127.0.0.1:{taken_port}: Address already in use\n"
    )


def test_a_host_that_cannot_be_a_name_is_told_in_one_sentence() -> None:
    host = "x" * 70

    ended = run("--host", host, CEREBRAS_API_KEY=KEY)

    assert ended.returncode == 1
    assert ended.stderr == f"codex-proxy: cannot listen on {host}:10001: no such name\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - that is what is refused
@pytest.mark.parametrize("backend", ["cerebras", "chatgpt"])
def test_an_address_that_others_can_reach_needs_a_token(host: str, backend: str) -> None:
    ended = run("--host", host, "--port", "0", PROXY_BACKEND=backend, CEREBRAS_API_KEY=KEY)

    assert ended.returncode == 2
    assert ended.stderr == (
        f"codex-proxy: error: {host} can be reached by others: set PROXY_TOKEN, which they must "
        "know, or listen on 127.0.0.1\n"
    )


def test_the_program_ends_with_the_status_of_what_is_wrong() -> None:
    ended = run()

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("codex-proxy: error: CEREBRAS_API_KEY is not")
