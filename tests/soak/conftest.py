"""What the soak tests share: the provider for load, and a look at a process from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ticker() -> Iterator[str]:
    """The base URL of a ticker, a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.ticker"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    process.communicate()


class Watch:
    """Takes down a process' memory, in MB, once a second while a `with` lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self.memory: list[float] = []

    def _watch(self) -> None:
        while not self._over.wait(1):
            self.memory.append(memory(self._pid))

    def __enter__(self) -> Watch:
        self._watching.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._watching.join()


def memory(pid: int) -> float:
    """Return a process' memory in MB, as Linux counts it (RSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} is gone")


def processor_time(pid: int) -> float:
    """Return how many seconds of a processor a process has used."""
    figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def settled(pid: int, most: int) -> int:
    """Return how many descriptors there are, once they are no more than `most`, or in 20 s."""
    for _ in range(200):
        if descriptors(pid) <= most:
            break
        time.sleep(0.1)
    return descriptors(pid)
