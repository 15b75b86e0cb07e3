"""Recording gets in nobody's way, and a kill leaves the old file or the new one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.cassette import load, new
from harness.edge import ClientEdge
from harness.provider import Provider
from harness.replay import faults, replay
from harness.subject import OwnProxy
from harness.transport import CassetteTransport
from tests.cassettes import cerebras
from tests.unit.harness.test_command_line import ENVIRONMENT
from tests.unit.harness.upstreams import Say, Upstream

KILLS = 20

ASKED = {"model": "m", "input": "say hello world", "stream": True}


def kill_while_recording(folder: Path, after: float) -> None:
    """Kill a recording, its proxy with it, so many seconds after its start."""
    path = folder / "cassettes" / "cerebras" / "large-arguments.yaml"
    path.parent.mkdir(parents=True)
    shutil.copyfile(cerebras("large-arguments"), path)
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "record", "large-arguments", "--upstream", "emulator"],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_recording_that_is_killed_leaves_a_whole_file(
    tmp_path: Path, provider: Provider, proxy: OwnProxy
) -> None:
    moments = [random.uniform(0.3, 4) for _ in range(KILLS)]  # noqa: S311 - any will do
    folders = [tmp_path / str(number) for number in range(KILLS)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(kill_while_recording, folders, moments))

    for folder, after in zip(folders, moments, strict=True):
        path = folder / "cassettes" / "cerebras" / "large-arguments.yaml"
        assert faults(replay(path, proxy.url, provider)) == [], f"killed after {after} s"


def test_what_a_kill_left_over_is_cleared_away_by_the_next_recording(tmp_path: Path) -> None:
    path = tmp_path / "cassettes" / "cerebras" / "hello.yaml"
    path.parent.mkdir(parents=True)
    left_over = path.with_name(".hello.yaml.killed")
    left_over.write_text("half a fi")
    os.utime(left_over, (0, 0))

    record = [sys.executable, "-m", "harness", "record", "hello", "--upstream", "emulator"]
    subprocess.run(record, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)

    assert list(path.parent.iterdir()) == [path]
    assert len(load(path)) == 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
def test_who_ends_the_harness_ends_its_proxy(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "harness", "serve", str(cerebras("hello")), "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "recorded answers on http://" in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        process.send_signal(number)
        assert process.wait(20) == status

    deadline = time.monotonic() + 10
    while Path(f"/proc/{children[0]}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{children[0]}/exe").exists()


def test_the_recorder_adds_less_than_a_millisecond_to_a_chunk(upstream: Upstream) -> None:
    async def tell_the_time(say: Say) -> None:
        for _ in range(200):
            delta = {"content": f"{time.perf_counter()} "}
            await say(b"data: %b\n\n" % json.dumps({"choices": [{"delta": delta}]}).encode())
            await asyncio.sleep(0.003)
        await say(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n')

    def delay(url: str) -> float:
        """Return the median of the milliseconds that a chunk takes to the client."""
        upstream.does(tell_the_time)
        delays = []
        with (
            httpx.Client(verify=False, trust_env=False) as http,
            http.stream("POST", f"{url}/v1/responses", json=ASKED) as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith('data: {"type":"response.output_text.delta"'):
                    said = float(json.loads(line[6:])["delta"])
                    delays.append((time.perf_counter() - said) * 1000)
        assert len(delays) == 200
        return statistics.median(delays)

    transport = CassetteTransport(new(), httpx.AsyncHTTPTransport(verify=False))
    with (
        OwnProxy(f"{upstream.url}/v1") as alone,
        Provider(transport, upstream=f"{upstream.url}/v1") as provider,
        OwnProxy(provider.base_url) as recorded,
        ClientEdge(recorded.url, on_request=lambda asked: None) as edge,
    ):
        added = [delay(edge.url) - delay(alone.url) for _ in range(3)]

    assert min(added) < 1.0, f"milliseconds added to a chunk: {added}"
