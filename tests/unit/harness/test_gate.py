"""The gate fails when it must: each edge has its fault, and no file is passed over."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.cassette import InvalidCassette
from harness.client import CREDENTIAL
from harness.provider import Provider
from harness.replay import faults, replay
from harness.rules import Fault
from harness.server import LoopbackServer, read_body
from harness.subject import OwnProxy
from tests.cassettes import FOLDER, cerebras

ROOT = FOLDER.parent


# --- edges ---------------------------------------------------------------------------------------


def test_a_proxy_that_is_not_reached_is_a_fault(provider: Provider) -> None:
    url = closed_url()

    first = faults(replay(cerebras("hello"), url, provider))[0]

    assert (first.rule, first.requirement) == ("edge/1", "the proxy is reached")
    assert first.actual.startswith(f"{url}: ")
    assert first.where == "cassettes/cerebras/hello.yaml"


@pytest.mark.parametrize(
    "old",
    ["say hello world", "Run a command.", '"content":" world"'],
    ids=["prompt", "tool", "stream"],
)
def test_a_cassette_that_was_changed_by_hand_is_refused(
    old: str, tmp_path: Path, provider: Provider, proxy: OwnProxy
) -> None:
    path = changed("hello", tmp_path, old, old.swapcase(), made_anew=False)

    with pytest.raises(InvalidCassette, match="was changed by hand; record it again"):
        replay(path, proxy.url, provider)


def test_the_clients_credential_at_the_provider_is_a_fault(provider: Provider) -> None:
    with OwnProxy(provider.base_url, api_key=CREDENTIAL) as leaking:
        found = faults(replay(cerebras("hello"), leaking.url, provider))

    assert [fault.rule for fault in found] == ["edge/4"]


def test_a_request_upstream_that_is_not_the_recorded_one_is_a_fault(
    tmp_path: Path, provider: Provider, proxy: OwnProxy
) -> None:
    # What was recorded upstream; the client asks as before.
    recorded = '{"role": "user", "content": "say hello world"}'
    other = '{"role": "user", "content": "say goodbye"}'
    path = changed("hello", tmp_path, recorded, other)

    first = faults(replay(path, proxy.url, provider))[0]

    assert (first.rule, first.expected) == ("edge/2", "a recorded request")
    assert first.actual.endswith(
        '$.messages[2].content: recorded as "say goodbye", asked as "say hello world"'
    )


def test_a_recorded_request_that_never_comes_is_a_fault(
    tmp_path: Path, provider: Provider, proxy: OwnProxy
) -> None:
    # The proxy refuses the second turn, and so does not ask the provider.
    path = changed("parallel-calls", tmp_path, '"model": "gpt-oss-120b"', '"model": ""', turn=1)

    first = faults(replay(path, proxy.url, provider))[0]

    assert (first.rule, first.requirement) == ("edge/3", "every recorded interaction is played")
    assert first.expected == "POST /v1/chat/completions (interaction 2)"
    assert first.actual == "the proxy never sent it"


def test_a_request_that_the_provider_would_reject_is_a_fault(provider: Provider) -> None:
    with Meddler(provider.base_url) as meddler, OwnProxy(f"{meddler.url}/v1") as proxy:
        found = faults(replay(cerebras("hello"), proxy.url, provider))

    rejected = next(fault for fault in found if fault.rule == "request/1")
    assert "nothing is sent that the provider would reject" in rejected.requirement
    assert "('store' was unexpected)" in rejected.actual
    assert rejected.where == "cassettes/cerebras/hello.yaml, turn 1"


def test_a_fault_of_an_edge_reads_as_all_faults_do() -> None:
    fault = Fault("edge/3", "every recorded interaction is played", "POST /v1/x", "never", "there")

    assert str(fault).splitlines() == [
        "edge/3  every recorded interaction is played",
        "    Expected: POST /v1/x",
        "    Actual:   never",
        "    Where:    there",
    ]


def changed(
    name: str, folder: Path, old: str, new: str, *, turn: int = 0, made_anew: bool = True
) -> Path:
    """Return a copy of a cassette in which `old` is `new`, where it first stands in that turn."""
    text = cerebras(name).read_text(encoding="utf-8")
    if made_anew:
        text = re.sub(r"metadata:\n(  .*\n)+", "", text)  # with it goes the digest
    *before, after = text.split("\n- client_request:", turn + 1)
    assert old in after
    path = folder / "changed.yaml"
    parts = [*before, after.replace(old, new, 1)]
    path.write_text("\n- client_request:".join(parts), encoding="utf-8")
    return path


def closed_url() -> str:
    """Return the URL of a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Meddler(LoopbackServer):
    """Stands between a proxy and the provider at `base_url`, and adds to what is asked."""

    def __init__(self, base_url: str) -> None:
        super().__init__(self._app)
        self._base_url = base_url

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = await read_body(receive)
        asked = {**json.loads(body), "store": True}
        url = self._base_url + scope["path"].removeprefix("/v1")
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            answer = await http.post(url, json=asked)
        headers = [(b"content-type", answer.headers["content-type"].encode())]
        start = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.content})


# --- files ---------------------------------------------------------------------------------------


class Checkout:
    """A copy of what the gate looks at; the proxy and the harness are those of this checkout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cassettes = folder / "cassettes"
        self.snapshots = folder / "tests" / "conformance" / "__snapshots__" / "test_cassettes"
        shutil.copytree(FOLDER, self.cassettes)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name in ("__init__.py", "conftest.py", "cassettes.py", "conformance"):
            source, target = ROOT / "tests" / name, folder / "tests" / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)

    def run(self, *chosen: str) -> subprocess.Popen[str]:
        """Start the cassettes' tests, or those that are chosen."""
        options = ["--color=no", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *chosen]
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "tests/conformance/test_cassettes.py"],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@dataclass
class Run:
    """What the gate said."""

    status: int
    printed: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs of the gate on files with which something is wrong, at the same time."""
    lacking, left_over = (Checkout(tmp_path_factory.mktemp("checkout")) for _ in range(2))
    (lacking.snapshots / "test_stream[cerebras-hello].txt").unlink()
    (lacking.cassettes / "notes.txt").write_text("to be recorded again")
    (left_over.snapshots / "test_stream[cerebras-gone].txt").write_text("a stream of old")
    chosen = ["-k", "cerebras-hello or cassettes-notes"]
    with lacking.run(*chosen) as one, left_over.run() as other:
        printed = [process.communicate(timeout=120)[0] for process in (one, other)]
    return {
        "lacking": Run(one.returncode, printed[0]),
        "left over": Run(other.returncode, printed[1]),
    }


def test_a_snapshot_that_is_missing_fails_the_run(runs: dict[str, Run]) -> None:
    run = runs["lacking"]

    assert run.status == 1
    assert "FAILED tests/conformance/test_cassettes.py::test_stream[cerebras-hello]" in run.printed


def test_a_stray_file_beside_the_cassettes_fails_the_run(runs: dict[str, Run]) -> None:
    run = runs["lacking"]

    assert run.status == 1
    stray = "tests/conformance/test_cassettes.py::test_it_conforms[cassettes-notes]"
    assert f"ERROR {stray}" in run.printed
    assert "notes.txt: no cassette: " in run.printed


def test_a_snapshot_that_nothing_uses_fails_the_run(runs: dict[str, Run]) -> None:
    run = runs["left over"]

    assert run.status == 1
    assert "1 snapshot unused" in run.printed
    # That alone: all tests passed.
    assert " failed" not in run.printed
    assert " error" not in run.printed
