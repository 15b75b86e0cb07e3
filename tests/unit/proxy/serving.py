"""The application in a thread, for settings that the command line does not have; or a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from proxy.app import create_app
from proxy.protocol import Protocol
from proxy.settings import Settings
from tests.unit.proxy.provider import JSON, KEY, PATIENCE


@contextmanager
def serving(settings: Settings, protocol: type[Protocol] = Protocol) -> Iterator[httpx.Client]:
    """Serve a proxy with these settings over real HTTP, and yield a client of it."""
    config = uvicorn.Config(
        create_app(settings),
        interface="asgi3",
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(
                base_url=url, timeout=PATIENCE, trust_env=False, headers=JSON
            ) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()


@contextmanager
def started(
    base_url: str, *, healthy: bool = True, saying: bool = False, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the proxy as a process that the test may end; yield it and its URL.

    Unless it is `saying` something that the test reads, it must say nothing more.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "proxy"],
        env={
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PROXY_PORT": "0",
            "PROXY_LOG": "off",
            "CEREBRAS_API_KEY": KEY,
            "CEREBRAS_BASE_URL": base_url,
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background is started with Ctrl-C ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    with process.stderr as said:
        try:
            url = said.readline().rpartition(" on ")[2].strip()
            if healthy:
                health = httpx.get(f"{url}/health", timeout=PATIENCE, trust_env=False)
                assert health.status_code == 200
            yield process, url
            if not saying:
                rest = said.read()
                assert not rest, rest
        finally:
            process.kill()
            process.wait()


def refuses(url: str) -> bool:
    """Return whether nobody accepts connections there any more."""
    try:
        httpx.get(f"{url}/health", trust_env=False)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        pass  # it was accepted, a moment before the end
    return False


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once this holds, which must be soon."""
    until = time.monotonic() + 3 * PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
