"""The subject: the proxy under test, reached by URL alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import httpx

from harness import with_parent
from harness.errors import HarnessError
from harness.provider import Provider
from harness.scenarios import Backend

__all__ = ["OwnProxies", "OwnProxy", "SubjectFailed"]

#: Seconds that the proxy has from its start to its first healthy answer.
_START: Final = 15.0


class SubjectFailed(HarnessError):
    """The proxy could not be started; the message has what it said."""


class OwnProxy:
    """This repository's proxy, a process of its own, in front of the backend at `base_url`."""

    def __init__(
        self,
        base_url: str,
        *,
        backend: Backend = "cerebras",
        api_key: str = "conformance",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = {
            # Only what a process needs: no key of the person who runs this gets in.
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PROXY_PORT": "0",
            "PROXY_LOG": "off",
            "PROXY_BACKEND": backend,
            f"{backend.upper()}_BASE_URL": base_url,
            **({"CEREBRAS_API_KEY": api_key} if backend == "cerebras" else {}),
            **(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []
        #: Its root, without a slash at the end; known once it runs.
        self.url = ""

    @classmethod
    def for_replay(cls, provider: Provider, backend: Backend, *, timeout: float = 2) -> Self:
        """Return the proxy in front of a provider that replays: it soon has enough of silence."""
        environment = {"CEREBRAS_TIMEOUT": f"{timeout:g}"}
        return cls(provider.base_url_of(backend), backend=backend, environment=environment)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            # -P: whatever is called proxy.py here. It has a key: it must not outlive this process.
            [sys.executable, "-P", *with_parent.module("proxy")],
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        self._said.append(first)
        # Read on, so that its pipe never fills.
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.url = first.rpartition(" on ")[2].strip()
        try:
            health = httpx.get(f"{self.url}/health", timeout=_START, trust_env=False)
            health.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.__exit__(None, None, None)
            raise SubjectFailed(f"the proxy did not start: {error}\n{self.said}") from error
        return self

    @property
    def pid(self) -> int:
        """The number of its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """Everything that the proxy printed so far."""
        return "".join(self._said)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listening.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


class OwnProxies:
    """This repository's proxy for each backend that is asked for, in front of one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._stack = ExitStack()
        self.running: dict[Backend, OwnProxy] = {}

    def __getitem__(self, backend: Backend) -> OwnProxy:
        if backend not in self.running:
            proxy = OwnProxy.for_replay(self._provider, backend)
            self.running[backend] = self._stack.enter_context(proxy)
        return self.running[backend]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
