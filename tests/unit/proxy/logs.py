"""The logs of a proxy: how tests have them written, and read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from harness.subject import OwnProxy
from tests.unit.proxy.provider import KEY, PATIENCE
from tests.unit.proxy.streams import Json, finishes, says, tokens

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
PIECES = (says("Hello."), finishes("stop", tokens(9, 1)))


def ask(url: str, path: str = "/v1/responses", **options: Any) -> httpx.Response:
    options = {"json": REQUEST, **options}
    return httpx.post(url + path, timeout=PATIENCE, trust_env=False, **options)


@contextmanager
def logging_to(directory: Path, base_url: str, **environment: str) -> Iterator[OwnProxy]:
    """Run the proxy with logs; they are all written when this ends."""
    logs = {"PROXY_LOG": "on", "PROXY_LOG_DIR": str(directory), **environment}
    with OwnProxy(base_url, api_key=KEY, environment=logs) as proxy:
        yield proxy


def lines(directory: Path) -> list[Json]:
    """Return the requests in the only log that there is."""
    (log,) = directory.glob("proxy_*.log")
    return [msgspec.json.decode(line) for line in log.read_bytes().splitlines()]


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
