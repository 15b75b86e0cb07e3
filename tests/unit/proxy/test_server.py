"""Start and stop: what is open finishes, or says that it could not; a second signal ends it all."""

from __future__ import annotations

import contextlib
import http.client
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.backend import BASE, Backend
from tests.unit.proxy.provider import PATIENCE, Provider, hold, once, stream, stream_until
from tests.unit.proxy.serving import refuses, started, wait_for
from tests.unit.proxy.streams import Json, final, finishes, outline, read, says

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def ask(
    pool: ThreadPoolExecutor, url: str, path: str = "/responses", **changes: object
) -> Future[httpx.Response]:
    """Post a request in a thread of its own."""
    request = {**REQUEST, **changes}
    return pool.submit(httpx.post, url + path, json=request, timeout=PATIENCE, trust_env=False)


# --- SIGTERM -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_finishes_and_nobody_else_comes_in(
    upstream: Provider, provider_url: str, pool: ThreadPoolExecutor, sent: signal.Signals
) -> None:
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("Hel"), says("lo") + finishes())

    with started(provider_url) as (process, url):
        answer = ask(pool, url)
        assert upstream.asked.wait(PATIENCE)
        process.send_signal(sent)
        wait_for(lambda: refuses(url))
        going_on.set()
        assert final(read(answer.result().content))["status"] == "completed"
        process.wait(PATIENCE)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_that_is_closed_lets_an_open_stream_finish(
    upstream: Provider, provider_url: str, pool: ThreadPoolExecutor, tmp_path: Path, workers: str
) -> None:
    """The shell tells of it, and so may the system: that is no second signal."""
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("Hel"), says("lo") + finishes())

    with started(provider_url, PROXY_WORKERS=workers, TMPDIR=str(tmp_path)) as (process, url):
        answer = ask(pool, url)
        assert upstream.asked.wait(PATIENCE)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: refuses(url))
        process.send_signal(signal.SIGHUP)
        going_on.set()
        assert final(read(answer.result().content))["status"] == "completed"
        process.wait(PATIENCE)

    assert list(tmp_path.iterdir()) == []


def test_what_nohup_has_started_does_not_end_with_its_terminal(provider_url: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by the process
    try:
        with started(provider_url) as (process, url):
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            assert not refuses(url)
            process.terminate()
            process.wait(PATIENCE)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("first", [b"", says("Hel")], ids=["silent", "begun"])
def test_a_stream_that_does_not_finish_fails(
    upstream: Provider, provider_url: str, pool: ThreadPoolExecutor, first: bytes
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, first)

    with started(provider_url, PROXY_GRACE="1") as (process, url):
        answer = ask(pool, url)
        assert upstream.asked.wait(PATIENCE)
        process.terminate()
        events = read(answer.result().content)
        process.wait(PATIENCE)

    assert outline(events)[-1] == "failed"
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The proxy was stopped before the provider had finished.",
    }
    assert left.wait(PATIENCE)


def test_what_waits_for_a_slow_client_when_its_stream_is_ended_is_not_lost(
    upstream: Provider, provider_url: str
) -> None:
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("x" * 12_000_000), says("more"))

    with (
        started(provider_url, PROXY_GRACE="1") as (process, url),
        httpx.Client(timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", f"{url}/responses", json=REQUEST) as answer,
    ):
        time.sleep(0.5)  # until the client's buffers are full
        going_on.set()
        process.terminate()
        time.sleep(1.7)
        events = read(answer.read())
        process.wait(PATIENCE)

    assert outline(events)[-2:] == ["output_text.delta 0 more", "failed"]


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_that_has_not_begun_fails(
    upstream: Provider, provider_url: str, pool: ThreadPoolExecutor, streams: bool
) -> None:
    never = threading.Event()
    upstream.answer = once(never, stream(finishes()))

    with started(provider_url, PROXY_GRACE="1") as (process, url):
        answer = ask(pool, url, stream=streams)
        assert upstream.asked.wait(PATIENCE)
        process.terminate()
        said = answer.result()
        process.wait(PATIENCE)
        never.set()

    if streams:
        assert outline(read(said.content)) == ["created", "in_progress", "failed"]
    else:
        assert (said.status_code, said.json()["error"]["code"]) == (503, "server_error")


def test_what_is_passed_through_breaks_off_and_is_no_whole_answer(pool: ThreadPoolExecutor) -> None:
    backend = Backend()
    backend.answer = hold(threading.Event(), b"event: response.created\n\n")

    with (
        LoopbackServer(backend) as server,
        started(
            "http://127.0.0.1:1",
            PROXY_BACKEND="chatgpt",
            CHATGPT_BASE_URL=server.url + BASE,
            PROXY_GRACE="1",
        ) as (process, url),
    ):
        answer = ask(pool, url, "/v1/responses")
        assert backend.asked.wait(PATIENCE)
        process.terminate()
        with pytest.raises(httpx.RemoteProtocolError):
            answer.result()
        process.wait(PATIENCE)


def test_a_second_signal_ends_it_at_once(
    upstream: Provider, provider_url: str, pool: ThreadPoolExecutor
) -> None:
    upstream.answer = hold(threading.Event(), says("Hel"))

    with started(provider_url, PROXY_GRACE="60") as (process, url):
        answer = ask(pool, url)
        assert upstream.asked.wait(PATIENCE)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        assert process.wait(PATIENCE) == -signal.SIGTERM
        with contextlib.suppress(httpx.TransportError):
            answer.result()


def test_without_work_it_ends_soon(provider_url: str) -> None:
    with (
        started(provider_url, PROXY_GRACE="60") as (process, url),
        httpx.Client(base_url=url, trust_env=False) as idle,
    ):
        idle.get("/health")
        process.terminate()
        process.wait(PATIENCE)


# --- a client that leaves ------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [True, False])
def test_when_the_client_leaves_the_provider_is_left_within_a_second(
    client: httpx.Client, upstream: Provider, begun: bool
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, *([says("Hel")] if begun else []))
    leaving = httpx.Timeout(PATIENCE, read=0.5)

    with (
        contextlib.suppress(httpx.ReadTimeout),
        client.stream("POST", "/responses", json=REQUEST, timeout=leaving) as response,
    ):
        next(response.iter_raw())
    gone = time.monotonic()

    assert left.wait(PATIENCE)
    assert time.monotonic() - gone < 1


def test_a_connection_is_kept_while_codex_runs_a_tool() -> None:
    with OwnProxy("http://127.0.0.1:1/v1") as proxy:
        parts = urlsplit(proxy.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            connection.getresponse().read()
            kept = connection.sock
            time.sleep(6)  # uvicorn's own patience is 5 seconds
            connection.request("GET", "/health")
            assert connection.getresponse().read() == b'{"status":"healthy"}'
            assert connection.sock is kept


# --- memory --------------------------------------------------------------------------------------

#: Takes blocks of which each is larger than all before, and tells how many pages that took.
GROWING = """
import resource
from proxy import server
{first}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in range(1_000_000, 4_000_000, 100_000):
    bytearray(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other libraries have rules of their own"
)
def test_memory_that_is_free_is_used_again() -> None:
    def pages(first: str) -> int:
        command = [sys.executable, "-c", GROWING.format(first=first)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert pages("server._keep_memory()") < pages("") / 5
