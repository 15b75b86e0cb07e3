"""Many streams, slow readers, and clients that leave. `tox -e soak` prints the figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator

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


def test_slow_readers_take_bounded_memory_and_nothing_from_others(proxy: OwnProxy) -> None:
    """The longest answers, for 20 clients that take 1 KB a second, beside 100 that read at once."""
    slow, quick, count = 20, 100, 300

    async def play(with_slow: bool) -> list[Heard]:
        readers = [
            asyncio.create_task(read_slowly(port_of(proxy), LONGEST, 8, 1024))
            for _ in range(slow if with_slow else 0)
        ]
        await asyncio.sleep(20 if with_slow else 0)  # until all buffers are full
        heard = await asyncio.gather(*(listen(port_of(proxy), 30, count) for _ in range(quick)))
        for reader in readers:
            reader.cancel()
        taken = await asyncio.gather(*readers)
        assert all(total > 0 for total in taken)
        return heard

    alone = uvloop.run(play(with_slow=False))
    before = memory(proxy.pid)
    with Watch(proxy.pid) as watch:
        beside = uvloop.run(play(with_slow=True))

    each_takes = (max(watch.memory) - before) / slow
    print(
        f"\n{slow} slow readers: {quick} others took "
        f"{max(each.last for each in beside):.2f} s beside them and "
        f"{max(each.last for each in alone):.2f} s alone; {each_takes:.1f} MB for each slow one, "
        f"{max(watch.memory):.0f} MB in all"
    )
    assert [(each.count, each.wrong, each.completed) for each in beside] == [(count, 0, 1)] * quick
    # The proxy has to know the text at the end, and keeps what it has read of it.
    assert each_takes < MOST_EACH


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
