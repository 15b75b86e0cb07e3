"""The application served in a thread, for settings that the command line does not have."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from proxy.app import create_app
from proxy.protocol import Protocol
from proxy.settings import Settings
from tests.unit.proxy.provider import JSON, PATIENCE


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
