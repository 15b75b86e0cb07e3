"""More than one process on one port: all accept from the same listening socket.

One socket and not one for each (SO_REUSEPORT): so a port that another proxy has is an error on
every system, and a worker that ends takes no waiting connection with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from prometheus_client.multiprocess import mark_process_dead

from proxy.metrics import SHARED
from proxy.settings import Settings

__all__ = ["run_workers"]

#: Serves one listening socket until told to stop.
Serve = Callable[[socket.socket, Settings], None]

#: A worker that ends within so many seconds would do so again.
_TOO_SOON: Final = 2.0

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def run_workers(serve: Serve, listener: socket.socket, settings: Settings) -> int:
    """Run `settings.workers` processes until told to stop; return the exit status.

    The first signal is passed on, and the second one too: it ends them at once. One that ends by
    itself is replaced, unless it could not even start.
    """
    with tempfile.TemporaryDirectory(prefix="codex-proxy-") as shared:
        # Inherited by the workers, whose library looks at it when it is imported.
        os.environ[SHARED] = shared
        return _Supervisor(serve, listener, settings).run()


class _Supervisor:
    """Starts workers and waits for them; serves nothing itself."""

    def __init__(self, serve: Serve, listener: socket.socket, settings: Settings) -> None:
        self._serve = serve
        self._listener = listener
        self._settings = settings
        self._workers: dict[SpawnProcess, float] = {}
        self._starting = False
        self._stopping = False

    def run(self) -> int:
        for sent in _STOPPING:
            signal.signal(sent, self._pass_on)
        for _ in range(self._settings.workers):
            if not self._stopping:
                self._start()
        failed = False
        while self._workers:
            wait([worker.sentinel for worker in self._workers])
            for worker in [one for one in self._workers if not one.is_alive()]:
                began = self._workers.pop(worker)
                worker.join()
                assert worker.pid is not None
                mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
                if self._stopping:
                    continue
                how = f"ended with status {worker.exitcode}"
                if time.monotonic() - began < _TOO_SOON:
                    failed = True
                    _say(f"a worker {how} as soon as it had started; stopping")
                    self._pass_on(signal.SIGTERM, None)
                else:
                    _say(f"a worker {how}; starting another")
                    self._start()
        return 1 if failed else 0

    def _start(self) -> None:
        worker = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._serve, self._listener, self._settings)
        )
        self._starting = True
        worker.start()
        self._workers[worker] = time.monotonic()
        self._starting = False
        if self._stopping:
            self._stop()

    def _pass_on(self, sent: int, frame: FrameType | None) -> None:
        self._stopping = True
        if not self._starting:
            self._stop()

    def _stop(self) -> None:
        # Nobody waits any more for who would accept.
        self._listener.close()
        for worker in self._workers:
            worker.terminate()


def _say(what: str) -> None:
    print(f"codex-proxy: {what}", file=sys.stderr, flush=True)  # noqa: T201


def _work(serve: Serve, listener: socket.socket, settings: Settings) -> None:
    os.setpgid(0, 0)  # Ctrl-C reaches it once, from the supervisor
    threading.Thread(target=_follow_parent, daemon=True).start()
    with listener:
        serve(listener, settings)


def _follow_parent() -> None:
    """Stop when the supervisor was killed: nobody else would tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
