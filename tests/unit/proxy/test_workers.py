"""More than one process on one port: who answers, what is counted, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.unit.proxy.provider import KEY, PATIENCE, Provider, hold, stream, stream_until
from tests.unit.proxy.serving import refuses, started, wait_for
from tests.unit.proxy.streams import Json, final, finishes, read, says

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
HELLO = stream(says("Hello.") + finishes())


def ask(url: str) -> httpx.Response:
    return httpx.post(f"{url}/responses", json=REQUEST, timeout=PATIENCE, trust_env=False)


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    """Return the processes that listen as this one does: its children, but for their helper."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(pid) for pid in children if "spawn_main" in told_of(int(pid), "cmdline")}


def told_of(pid: int, name: str) -> str:
    """Return what the system tells of a process; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_gone(pid: int) -> bool:
    # Or nobody has buried it yet.
    return (stat := told_of(pid, "stat")) == "" or ") Z " in stat


def test_all_answer_and_are_counted_together(upstream: Provider, provider_url: str) -> None:
    upstream.answer = HELLO

    with started(provider_url, PROXY_WORKERS="2") as (process, url):
        assert len(workers_of(process)) == 2
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [url] * 40))
        assert {final(read(answer.content))["status"] for answer in answers} == {"completed"}
        for _ in range(5):
            told = httpx.get(f"{url}/metrics", trust_env=False).text
            assert 'codex_proxy_requests_total{outcome="completed",status="200"} 40.0' in told
            assert "codex_proxy_streams_open 0.0" in told
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_signal_reaches_all_of_them(upstream: Provider, provider_url: str) -> None:
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("Hel"), says("lo") + finishes())

    with (
        started(provider_url, PROXY_WORKERS="2") as (process, url),
        ThreadPoolExecutor() as pool,
    ):
        workers = workers_of(process)
        answer = pool.submit(ask, url)
        assert upstream.asked.wait(PATIENCE)
        process.terminate()
        wait_for(lambda: refuses(url))
        going_on.set()
        assert final(read(answer.result().content))["status"] == "completed"
        assert process.wait(PATIENCE) == 0
        assert all(map(is_gone, workers))


def test_a_second_signal_ends_all_of_them_at_once(upstream: Provider, provider_url: str) -> None:
    upstream.answer = hold(threading.Event(), says("Hel"))

    with (
        started(provider_url, PROXY_WORKERS="2", PROXY_GRACE="60") as (process, url),
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(ask, url)
        assert upstream.asked.wait(PATIENCE)
        process.terminate()
        wait_for(lambda: refuses(url))
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert isinstance(answer.exception(), httpx.TransportError)


def test_workers_that_were_killed_are_replaced(upstream: Provider, provider_url: str) -> None:
    upstream.answer = hold(threading.Event(), says("Hel"))
    streaming = httpx.Client(timeout=PATIENCE, trust_env=False)

    with started(provider_url, saying=True, PROXY_WORKERS="2") as (process, url):
        time.sleep(3)  # what ends sooner than this would end again
        before = workers_of(process)
        with streaming, streaming.stream("POST", f"{url}/responses", json=REQUEST):
            for pid in before:
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(workers_of(process) - before) == 2)
        told = httpx.get(f"{url}/metrics", timeout=PATIENCE, trust_env=False).text
        assert "codex_proxy_streams_open 0.0" in told
        upstream.answer = HELLO
        assert final(read(ask(url).content))["status"] == "completed"
        process.terminate()
        process.wait(PATIENCE)
        assert process.stderr is not None
        assert process.stderr.read() == (
            "codex-proxy: a worker ended with status -9; starting another\n" * 2
        )


def test_workers_that_cannot_start_are_not_started_for_ever(
    provider_url: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'spawn_main' in ' '.join(sys.orig_argv): os._exit(3)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    with started(provider_url, healthy=False, saying=True, PROXY_WORKERS="2", PYTHONPATH=path) as (
        process,
        url,
    ):
        assert process.wait(PATIENCE) == 1
        assert process.stderr is not None
        assert process.stderr.read() == (
            "codex-proxy: a worker ended with status 3 as soon as it had started; stopping\n"
        )
        assert refuses(url)


def test_one_that_ends_early_ends_no_other(upstream: Provider, provider_url: str) -> None:
    upstream.answer = HELLO

    with started(provider_url, saying=True, PROXY_WORKERS="2") as (process, url):
        time.sleep(3)  # they have shown that they can start
        first = workers_of(process)
        os.kill(min(first), signal.SIGKILL)
        wait_for(lambda: len(workers_of(process) - first) == 1)
        (early,) = workers_of(process) - first
        os.kill(early, signal.SIGKILL)
        assert final(read(ask(url).content))["status"] == "completed"
        wait_for(lambda: bool(workers_of(process) - first - {early}))
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == (
            "codex-proxy: a worker ended with status -9; starting another\n"
            "codex-proxy: a worker ended with status -9 as soon as it had started; "
            "starting another in a while\n"
        )


def test_workers_do_not_outlive_who_started_them(provider_url: str) -> None:
    with started(provider_url, PROXY_WORKERS="2") as (process, url):
        workers = workers_of(process)
        process.kill()
        process.wait()
        wait_for(lambda: all(map(is_gone, workers)))
        assert refuses(url)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_they_can_be_stopped_before_they_have_started(
    provider_url: str, sent: signal.Signals
) -> None:
    with started(provider_url, healthy=False, PROXY_WORKERS="3") as (process, _):
        process.send_signal(sent)
        process.wait(3 * PATIENCE)


#: Is told to stop where it is about to start its first worker.
STOPPED_BEFORE_THE_FIRST = """
import signal, sys
from multiprocessing.context import SpawnProcess

def stopped(worker, **arguments):
    signal.raise_signal(signal.SIGTERM)
    made(worker, **arguments)

made, SpawnProcess.__init__ = SpawnProcess.__init__, stopped

from proxy.__main__ import main

sys.exit(main([]))
"""


def test_one_that_is_about_to_start_is_not_started() -> None:
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PROXY_PORT": "0",
        "PROXY_LOG": "off",
        "PROXY_WORKERS": "2",
        "CEREBRAS_API_KEY": KEY,
    }
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_BEFORE_THE_FIRST],
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )

    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
