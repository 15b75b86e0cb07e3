"""Many streams, slow readers, and clients that leave. `tox -e soak` prints the figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import uvloop

from harness.server import LoopbackServer, Receive, Scope, Send, read_body
from harness.subject import OwnProxy
from tests.soak.conftest import Watch, descriptors, memory, processor_time, settled
from tests.soak.listener import Heard, listen, read_slowly, request
from tests.unit.proxy.streams import says

#: Fewer are for a smaller machine.
STREAMS = int(os.environ.get("SOAK_STREAMS", "1000"))
RATE = int(os.environ.get("SOAK_RATE", "30"))
SECONDS = int(os.environ.get("SOAK_SECONDS", "30"))

#: Tokens of the longest answer that the models give.
LONGEST = 40_000

#: Megabytes.
MOST_MEMORY = 200
MOST_EACH = 5


@pytest.fixture(scope="module", autouse=True)
def enough_files() -> None:
    """A stream is two sockets in the proxy, which inherits this."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


@pytest.fixture
def proxy(ticker: str) -> Iterator[OwnProxy]:
    with OwnProxy(ticker) as proxy:
        yield proxy


def port_of(proxy: OwnProxy) -> int:
    return int(proxy.url.rpartition(":")[2])


def test_many_streams_at_once(proxy: OwnProxy) -> None:
    count = RATE * SECONDS

    async def play() -> list[Heard]:
        return await asyncio.gather(*(listen(port_of(proxy), RATE, count) for _ in range(STREAMS)))

    uvloop.run(asyncio.wait_for(listen(port_of(proxy), 0, 10), 10))  # all is loaded
    before = descriptors(proxy.pid)
    with Watch(proxy.pid) as watch:
        start, worked = time.monotonic(), processor_time(proxy.pid)
        heard = uvloop.run(play())
        took, worked = time.monotonic() - start, processor_time(proxy.pid) - worked

    half = watch.memory[len(watch.memory) // 2 :]
    print(
        f"\n{STREAMS} streams at {RATE} events/s for {SECONDS} s: took {took:.1f} s, "
        f"{STREAMS * count / took:,.0f} events/s "
        f"({STREAMS * count / worked:,.0f} for each second of the proxy's processor); "
        f"last first chunk after {max(each.first for each in heard):.1f} s; memory at most "
        f"{max(watch.memory):.0f} MB, in the second half {min(half):.0f} to {max(half):.0f} MB"
    )
    assert [(each.count, each.wrong, each.completed) for each in heard] == [(count, 0, 1)] * STREAMS
    assert max(watch.memory) < MOST_MEMORY
    # One for each stream is kept, for the next turn: that upstream.
    assert settled(proxy.pid, before + STREAMS) <= before + STREAMS


class Round(NamedTuple):
    """How it went for those who read at once."""

    heard: list[Heard]
    #: Milliseconds that their events were late, in the middle and at the 99th percentile.
    delay: float
    worst: float
    #: Seconds of the proxy's processor.
    worked: float


def test_slow_readers_take_bounded_memory_and_nothing_from_others(proxy: OwnProxy) -> None:
    """The longest answers, for 20 clients that take 1 KB a second, beside 50 that read at once.

    Alone and beside them in turn: so what else the machine does is in both.
    """
    slow, quick, rate, count, rounds = 20, 50, 20, 120, 3
    port = port_of(proxy)

    async def ask() -> Round:
        worked = processor_time(proxy.pid)
        heard = await asyncio.gather(*(listen(port, rate, count) for _ in range(quick)))
        worked = processor_time(proxy.pid) - worked
        delays = sorted(1000 * delay for each in heard for delay in each.delays(rate))
        middle, worst = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        return Round(heard, middle, worst, worked)

    async def play() -> tuple[list[Round], list[Round]]:
        alone, beside = [], []
        for _ in range(rounds):
            alone.append(await ask())
            readers = [
                asyncio.create_task(read_slowly(port, LONGEST, 8, 1024)) for _ in range(slow)
            ]
            await until_quiet(proxy.pid)  # all buffers are full
            beside.append(await ask())
            for reader in readers:
                reader.cancel()
            assert all(total > 0 for total in await asyncio.gather(*readers))
            await until_quiet(proxy.pid)
        return alone, beside

    uvloop.run(listen(port, 0, 10))  # all is loaded
    before = memory(proxy.pid)
    with Watch(proxy.pid) as watch:
        alone, beside = uvloop.run(play())

    each_takes = (max(watch.memory) - before) / slow
    print(
        f"\n{slow} slow readers: {each_takes:.1f} MB for each, {max(watch.memory):.0f} MB in all; "
        f"{quick} others at {rate} events/s, {rounds} times without and with them:"
    )
    for name, figures in (("alone", alone), ("beside", beside)):
        print(
            f"  {name:<6} events late by (ms) "
            + ", ".join(f"{each.delay:.1f} ({each.worst:.0f})" for each in figures)
            + "; the proxy's processor (s) "
            + ", ".join(f"{each.worked:.2f}" for each in figures)
        )
    for each in alone + beside:
        assert [(one.count, one.wrong, one.completed) for one in each.heard] == [
            (count, 0, 1)
        ] * quick
    # The proxy has to know the text at the end, and keeps what it has read of it.
    assert each_takes < MOST_EACH
    # The best of each: whatever else the machine does makes them worse.
    assert best(beside, "delay") < 1.5 * best(alone, "delay") + 5
    assert best(beside, "worked") < 1.25 * best(alone, "worked") + 0.05


def best(figures: list[Round], name: str) -> float:
    return min(float(getattr(each, name)) for each in figures)


async def until_quiet(pid: int) -> None:
    """Return once a process does next to nothing, or in 60 s."""
    for _ in range(60):
        worked = processor_time(pid)
        await asyncio.sleep(1)
        if processor_time(pid) - worked < 0.05:
            return


def test_what_a_client_left_is_cancelled_upstream() -> None:
    """200 clients leave in the middle of a stream, all at once."""
    clients = 200
    here, gone = threading.Semaphore(0), threading.Semaphore(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": says("Hel"), "more_body": True})
        here.release()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.release()

    async def ask(port: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(1, 1, 1))
        await reader.readuntil(b'"delta":"Hel"')
        return writer

    async def leave(port: int) -> float:
        writers = await asyncio.gather(*(ask(port) for _ in range(clients)))
        for _ in range(clients):
            assert await asyncio.to_thread(here.acquire, timeout=10)
        start = time.monotonic()
        for writer in writers:
            writer.close()
        for _ in range(clients):
            assert await asyncio.to_thread(gone.acquire, timeout=10)
        return time.monotonic() - start

    with LoopbackServer(app) as server, OwnProxy(f"{server.url}/v1") as proxy:
        before = descriptors(proxy.pid)
        took = uvloop.run(leave(port_of(proxy)))
        after = settled(proxy.pid, before)
        print(
            f"\n{clients} clients left: the last request upstream was cancelled after "
            f"{took * 1000:.0f} ms; {after - before} more descriptors than before, "
            f"{memory(proxy.pid):.0f} MB"
        )

    assert took < 1
    assert after <= before


def test_a_listener_notices_what_is_lost_or_repeated() -> None:
    """The soak is worth what its listener notices."""

    async def play() -> list[tuple[int, int, int]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for number in (0, 1, 1, 3):
                delta = b'{"type":"response.output_text.delta","delta":"%d:"}' % number
                writer.write(b"data: " + delta + b"\n\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        heard = await listen(server.sockets[0].getsockname()[1], 0, 4)
        server.close()
        return [(heard.count, heard.wrong, heard.completed)]

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        assert loop.run_until_complete(play()) == [(2, 2, 0)]
