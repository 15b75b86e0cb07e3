"""HTTP/1.1 as a provider may speak it: framing, connections, and a body as it comes."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
import weakref
from itertools import pairwise

import pytest

from proxy.failures import Fault
from proxy.http_client import HttpClient
from tests.unit.proxy.provider import bare_provider
from tests.unit.proxy.raw_provider import (
    OK,
    answered,
    ask,
    body_of,
    failed,
    provider,
    saying,
)

# --- framing -------------------------------------------------------------------------------------


def test_a_body_has_the_length_that_its_head_says() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc") == (200, b"abc")


def test_a_body_may_come_in_chunks_with_what_nobody_needs() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    assert answered(head, b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\ntrailer: z\r\n\r\n") == (200, b"abc")


def test_a_body_may_end_with_the_connection() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\n\r\nabc", then_close=True) == (200, b"abc")


@pytest.mark.parametrize("wire", [b"204 No Content\r\n", b"304 No\r\ncontent-length: 7\r\n"])
def test_some_answers_have_no_body(wire: bytes) -> None:
    assert answered(b"HTTP/1.1 " + wire + b"\r\n") == (int(wire[:3]), b"")


def test_the_answer_to_head_has_no_body() -> None:
    wire = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"

    assert answered(wire, method="HEAD") == (200, b"")


def test_an_answer_may_be_announced() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"

    assert answered(hints, OK) == (200, b"ok")


def test_an_answer_is_not_announced_for_ever() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"

    assert answered(hint * 32, OK) == (200, b"ok")
    assert failed(hint * 33, OK) is Fault.BROKEN


def test_headers_come_as_they_were_sent() -> None:
    async def run() -> None:
        wire = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: \xe9\r\nx-empty:\r\ncontent-length: 0\r\n\r\n"
        async with provider(saying(wire)) as client, client.request("GET", "/", []) as answer:
            assert answer.headers[:3] == [(b"X-A", b"1"), (b"x-a", b"\xe9"), (b"x-empty", b"")]
            assert answer.fields["x-a"] == "é"

    asyncio.run(run())


def test_a_request_is_what_it_was_asked_to_be() -> None:
    received = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.readuntil(b"{}")
        writer.write(OK)

    async def run() -> None:
        async with provider(serve) as client:
            headers = [(b"X-A", b"1"), (b"x-a", b"\xe9")]
            async with client.request("POST", "/v1/x?y", headers, b"{}"):
                pass

    asyncio.run(run())

    first, host, *rest = received.split(b"\r\n")
    assert first == b"POST /v1/x?y HTTP/1.1"
    assert host.startswith(b"Host: 127.0.0.1:")
    assert rest == [b"X-A: 1", b"x-a: \xe9", b"content-length: 2", b"", b"{}"]


@pytest.mark.parametrize(
    ("method", "headers", "body", "said"),
    [
        ("POST", [(b"Content-Length", b"999"), (b"x", b"1")], b"{}", b"Content-Length: 2|x: 1"),
        ("POST", [(b"content-length", b"999")], b"", b"content-length: 0"),
        ("POST", [(b"x", b"1")], b"", b"x: 1|content-length: 0"),
        ("GET", [(b"content-length", b"999")], b"", b"content-length: 0"),
        ("GET", [(b"x", b"1")], b"", b"x: 1"),
    ],
)
def test_the_length_that_is_said_is_that_of_what_is_sent(
    method: str, headers: list[tuple[bytes, bytes]], body: bytes, said: bytes
) -> None:
    received = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.readuntil(b"\r\n\r\n" + body)
        writer.write(OK)

    async def run() -> None:
        async with provider(serve) as client, client.request(method, "/", headers, body):
            pass

    asyncio.run(run())

    _, _, *lines, _, sent = received.split(b"\r\n")
    assert (b"|".join(line for line in lines if line), sent) == (said, body)


# --- connections ---------------------------------------------------------------------------------


def connections_of(*wires: bytes, read: bool = True, pause: float = 0.0) -> int:
    """Return over how many connections two requests go."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await saying(*wires)(reader, writer)

    async def run() -> None:
        async with provider(serve) as client:
            for _ in range(2):
                async with client.request("GET", "/", []) as answer:
                    if read:
                        assert await body_of(answer) == b"ok"
                await asyncio.sleep(pause)

    asyncio.run(run())
    return count


def test_a_connection_serves_one_request_after_the_other() -> None:
    assert connections_of(OK, OK) == 1


def test_a_connection_that_the_provider_wants_closed_is() -> None:
    assert connections_of(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) == 2


def test_a_connection_that_closed_meanwhile_is_not_used() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(OK, then_close=True)(reader, writer)

    async def run() -> None:
        async with provider(serve) as client:
            assert await ask(client) == (200, b"ok")
            await asyncio.sleep(0.05)
            assert await ask(client) == (200, b"ok")

    asyncio.run(run())


def test_a_connection_that_closed_while_this_program_was_busy_is_not_used() -> None:
    """Its end has come, but the loop has not seen it yet."""

    async def run(url: str) -> None:
        client = HttpClient(url)
        try:
            assert await ask(client) == (200, b"ok")
            time.sleep(0.5)  # noqa: ASYNC251 - so that the loop sees nothing
            assert await ask(client) == (200, b"ok")
        finally:
            await client.aclose()

    with bare_provider(OK, b"") as (url, asked):
        asyncio.run(run(url))
        assert len(asked) == 2


def test_what_nobody_asked_for_is_in_no_answer() -> None:
    assert connections_of(OK + OK.replace(b"ok", b"no"), pause=0.05) == 2


def test_a_body_that_was_not_read_is_in_no_other_answer() -> None:
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"

    assert connections_of(long, read=False) == 2


def test_a_connection_whose_last_request_is_not_read_is_not_used() -> None:
    """Else the next request would wait behind what is left of that one."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK.replace(b"200 OK", b"413 Too Large"))
        await over.wait()

    async def run() -> None:
        async with provider(serve) as client:
            body = bytes(16_000_000)  # more than the system holds
            try:
                for _ in range(2):
                    async with client.request("POST", "/", [], body) as answer:
                        assert answer.status == 413
                        assert await body_of(answer) == b"ok"
                    assert not client._idle
            finally:
                over.set()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="the options are those of Linux")
def test_a_connection_tells_the_system_when_a_path_is_dead() -> None:
    """A laptop slept, or has another network: only the system sees that nothing acknowledges."""

    async def run() -> None:
        async with provider(saying(OK)) as client:
            await ask(client)
            (connection,) = client._idle
            assert connection._transport is not None
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            quiet, between, probes = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert quiet + between * probes == 20
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000

    asyncio.run(run())


def test_requests_at_a_time_have_a_connection_each() -> None:
    async def run() -> None:
        async with provider(saying(OK, OK)) as client:
            answers = await asyncio.gather(*(ask(client) for _ in range(200)))
            assert answers == [(200, b"ok")] * 200
            assert len(client._idle) == 200
            assert await ask(client) == (200, b"ok")
            assert len(client._idle) == 200

    asyncio.run(run())


def test_a_connection_that_is_kept_holds_no_answer() -> None:
    async def run() -> None:
        async with provider(saying(OK, OK)) as client:
            async with client.request("GET", "/", []) as answer:
                assert await body_of(answer) == b"ok"
            ended = weakref.ref(answer)
            async with client.request("GET", "/", []) as answer:
                gc.collect()
                assert ended() is None

    asyncio.run(run())


def test_who_leaves_early_closes_the_connection() -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await reader.read()
        left.set()

    async def run() -> None:
        async with provider(serve) as client:
            async with client.request("GET", "/", []):
                assert not left.is_set()
            await left.wait()

    asyncio.run(run())


def test_a_body_is_not_collected_for_who_reads_slowly() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 50_000_000:
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    async def run() -> None:
        async with provider(serve) as client, client.request("GET", "/", []) as answer:
            await asyncio.sleep(0.7)  # longer than the provider may be silent, but it is not
            assert sent < 20_000_000
            assert len(await body_of(answer)) == 50_000_000

    asyncio.run(run())


def test_what_is_large_comes_in_pieces_and_what_is_small_in_one() -> None:
    large = [bytes([number]) * 30_000 for number in range(4)]
    small = [b"%d;" % number for number in range(1000)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for chunks in (large, small):
            writer.write(b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))
            await asyncio.sleep(0.2)  # until the client has looked
        writer.write(b"0\r\n\r\n")
        await reader.read()

    async def run() -> None:
        async with provider(serve) as client, client.request("GET", "/", []) as answer:
            reads = []
            while pieces := await answer.read_pieces():
                reads.append(pieces)
                await asyncio.sleep(0.1)  # until all is here that was sent together
        assert reads[-1] == [b"".join(small)]
        assert max(map(len, reads)) > 1
        assert b"".join(map(b"".join, reads[:-1])) == b"".join(large)

    asyncio.run(run())


def test_answers_that_come_at_a_time_are_not_mixed() -> None:
    """All are read into one buffer."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        data = b"%d" % asked * 10_000
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def run() -> None:
        async with provider(serve) as client:
            answers = await asyncio.gather(*(ask(client) for _ in range(5)))
        assert sorted(answers) == [(200, b"%d" % number * 1_000_000) for number in range(1, 6)]

    asyncio.run(run())


def test_who_has_much_to_read_lets_others_have_their_turn() -> None:
    body = bytes(range(256)) * 800
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def run() -> None:
        wire = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(wire + body)
            await reader.read()

        async with provider(serve) as client, client.request("GET", "/", []) as answer:
            await asyncio.sleep(0.2)  # until it is all here
            others = asyncio.create_task(take_turns())
            await asyncio.sleep(0)  # until they have begun
            parts = []
            while data := await answer.read(16 * 1024):
                parts.append((data, turns))
            parts.append((data, turns))
            others.cancel()
        assert b"".join(data for data, _ in parts) == body
        assert max(len(data) for data, _ in parts) == 16 * 1024
        assert all(then < now for (_, then), (_, now) in pairwise(parts))

    asyncio.run(run())
