"""What the bench measures of a subject, with real processes on loopback."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.bench.rows import Measured, passed
from harness.bench.subjects import OWN, PASS_THROUGH, RELAY, UPSTREAM, Running
from harness.bench.traffic import Plan, stream
from harness.errors import HarnessError

compares = pytest.mark.skipif(
    sys.platform != "linux", reason="the bench reads what things cost from /proc"
)

#: A client of its own process that asks a port which accepts, and says nothing.
ASKING = """
import asyncio, sys
from harness.bench.rows import passed
from harness.bench.subjects import Running
asyncio.run(passed(Running("silent", 0, int(sys.argv[1]), "/", 0.0)))
"""


@functools.cache
def rendered(plan: Plan) -> bytes:
    body = b"".join(stream(plan))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def compared(row: str, folder: Path) -> dict[str, Any]:
    """Return what one round of a row gave, by the bench's own command."""
    command = [sys.executable, "-m", "harness.bench", "compare", "--rounds", "1", "--only", row]
    subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True, timeout=300)
    made: dict[str, Any] = json.loads((folder / "bench.json").read_text())
    return made


@compares
def test_in_a_round_three_paced_streams_count_of_each_subject(tmp_path: Path) -> None:
    made = compared(f"{OWN.name}/paced/text", tmp_path)

    assert made["measured"] == 6
    assert made["faults"] == {}
    assert set(made["figures"]["text"]["latency p99"]) == {UPSTREAM, OWN.name}


@compares
def test_what_passes_through_is_told_by_chunks_and_by_the_clients_memory(tmp_path: Path) -> None:
    made = compared(PASS_THROUGH.name, tmp_path)

    assert made["faults"] == {}
    assert set(made["figures"]["text"]) == {
        "pass bulk",
        "pass bulk again",
        "pass events",
        "pass events again",
    }
    for by_subject in made["figures"]["text"].values():
        assert set(by_subject) == {UPSTREAM, RELAY.name, PASS_THROUGH.name}
        assert all(rate > 0 for (rate,) in by_subject.values())


@pytest.mark.parametrize("wrong", [0, 21])
def test_what_is_wrong_with_an_answer_comes_from_the_process_that_asked(wrong: int) -> None:
    """Also with a single late one: of those into memory that the client had."""
    numbers = itertools.count()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"]")
        while b"[bench" not in request:
            request += await reader.readuntil(b"]")
        if next(numbers) != wrong:
            writer.write(rendered(Plan.of(request)))
        else:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        await reader.read()  # all of the request, until the client has left
        writer.close()

    async def measured() -> Measured:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, limit=1_000_000) as server:
            port = server.sockets[0].getsockname()[1]
            return await passed(Running("refusing", os.getpid(), port, "/", 0.0))

    found = asyncio.run(measured())

    assert found.fault == "HTTP 502"
    assert set(found.figures) == {"pass events", "pass events again"}


@pytest.mark.parametrize("at", ["the client asks", "the client has asked"])
def test_ctrl_c_ends_what_a_silent_subject_would_hold(at: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", ASKING, str(listener.getsockname()[1])]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as asking:
            listener.settimeout(60)
            connection, _ = listener.accept()
            if at == "the client has asked":
                connection.recv(1)
            try:
                os.killpg(asking.pid, signal.SIGINT)
                assert asking.wait(30) != 0
            finally:
                connection.close()
                asking.kill()


def test_a_client_that_is_killed_is_a_word() -> None:
    async def kill(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for client in multiprocessing.active_children():
            client.kill()
        writer.close()

    async def measured() -> Measured:
        async with await asyncio.start_server(kill, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await passed(Running("killing", os.getpid(), port, "/", 0.0))

    with pytest.raises(HarnessError, match="the client that asked killing was killed"):
        asyncio.run(measured())
