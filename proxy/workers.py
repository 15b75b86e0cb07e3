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

#: Seconds in which a worker ends that cannot start, and after which another is tried in its place.
_TOO_SOON: Final = 2.0

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def run_workers(serve: Serve, listener: socket.socket, settings: Settings) -> int:
    """Run `settings.workers` processes until told to stop; return the exit status.

    The first signal is passed on, and the second one too: it ends them at once. One that ends by
    itself is replaced; where none has been able to start, all end.
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
        #: When there is to be another in the place of one that ended too soon.
        self._due: list[float] = []
        #: Whether one of them has lived long enough for it not to be their own fault.
        self._proven = False
        self._starting = False
        self._stopping = False

    def run(self) -> int:
        for sent in _STOPPING:
            signal.signal(sent, self._pass_on)
        for _ in range(self._settings.workers):
            self._start()
        failed = False
        while self._workers or (self._due and not self._stopping):
            wait([worker.sentinel for worker in self._workers], self._until_next())
            for worker in [one for one in self._workers if not one.is_alive()]:
                began = self._workers.pop(worker)
                worker.join()
                assert worker.pid is not None
                mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
                if self._stopping:
                    continue
                how = f"ended with status {worker.exitcode}"
                now = time.monotonic()
                self._proven |= any(now - then >= _TOO_SOON for then in self._workers.values())
                if now - began >= _TOO_SOON:
                    self._proven = True
                    _say(f"a worker {how}; starting another")
                    self._due.append(now)
                elif self._proven:
                    _say(f"a worker {how} as soon as it had started; starting another in a while")
                    self._due.append(now + _TOO_SOON)
                else:
                    failed = True
                    _say(f"a worker {how} as soon as it had started; stopping")
                    self._pass_on(signal.SIGTERM, None)
            for _ in range(self._take_due()):
                self._start()
        return 1 if failed else 0

    def _until_next(self) -> float | None:
        """Return the seconds until there is to be another worker; None where none is to be."""
        return max(0.0, min(self._due) - time.monotonic()) if self._due else None

    def _take_due(self) -> int:
        """Return how many are to be started now."""
        now = time.monotonic()
        due = sum(then <= now for then in self._due)
        self._due = [then for then in self._due if then > now]
        return due

    def _start(self) -> None:
        """Start another worker, but where all are to stop; a signal waits until it is known."""
        self._starting = True
        if not self._stopping:
            worker = multiprocessing.get_context("spawn").Process(
                target=_work, args=(self._serve, self._listener, self._settings)
            )
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
