"""The guard of the core's speed, and the bench's command line."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from harness.bench import guard as guard_module
from harness.bench.__main__ import main
from harness.bench.core import new_stream
from harness.bench.guard import COSTS, guard
from harness.bench.traffic import KINDS, Plan
from proxy.reconstruct import ResponseStream

#: Fewer than the guard takes: a slower core is far beyond what they differ by.
SLICES = 40


def slower(by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the core take so many times its processor time."""
    receive_data = ResponseStream.receive_data

    def receive_slowly(stream: ResponseStream, data: bytes | None) -> bytes:
        start = time.thread_time()
        events = receive_data(stream, data)
        end = start + (time.thread_time() - start) * by
        while time.thread_time() < end:
            pass
        return events

    monkeypatch.setattr(ResponseStream, "receive_data", receive_slowly)


def test_a_core_that_is_thirty_percent_slower_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard_module, "_SLICES", SLICES)
    slower(1.3, monkeypatch)

    assert main(["guard"]) == 1
    assert capsys.readouterr().out.count("TOO SLOW") == len(COSTS)


def test_every_kind_of_stream_is_guarded() -> None:
    assert list(COSTS) == list(KINDS)


def test_a_cost_is_told_beside_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "_SLICES", 2)

    for guarded in guard():
        assert guarded.cost > 0
        assert str(guarded).startswith(f"{guarded.kind:<10} {guarded.cost:.2f} times")
        assert str(guarded).endswith("TOO SLOW" if guarded.is_too_slow else "ok")


def test_the_stream_of_the_bench_is_one_of_the_proxy() -> None:
    assert new_stream(Plan("text", 1)).start().startswith(b"event: response.created\n")


def test_who_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m harness.bench core | head -1"

    finished = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False
    )

    assert finished.stdout.startswith("text")
    assert finished.stderr == ""


def test_measurements_that_are_not_there_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["page", "/nowhere"]) == 2
    assert capsys.readouterr().err.startswith("bench: [Errno 2] No such file or directory")
