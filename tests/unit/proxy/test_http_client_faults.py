"""What goes wrong between the proxy and its provider, and when."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time

import pytest

from proxy.failures import Fault
from proxy.http_client import ConnectionFault, HttpClient
from tests.unit.proxy.provider import PATIENCE
from tests.unit.proxy.raw_provider import OK, ask, body_of, failed, provider, saying

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (b"", Fault.DISCONNECTED),
        (b"HTTP/1.1 200 OK\r\ncont", Fault.DISCONNECTED),
        (b"nonsense\r\n\r\n", Fault.BROKEN),
        (b"HTTP/1.1 200 OK\r\nx: \x01\r\n\r\n", Fault.BROKEN),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", Fault.BROKEN),
        (CHUNKED, Fault.BROKEN),
        (CHUNKED + b"nonsense\r\n", Fault.BROKEN),
        (b"HTTP/1.1 200 OK\r\n" + b"x: %b\r\n" % (b"y" * 1000) * 70, Fault.BROKEN),
    ],
    ids=["nothing", "no head", "no HTTP", "no header", "length", "chunks", "no chunk", "long head"],
)
def test_an_answer_that_is_none_or_not_whole_is_a_fault(wire: bytes, fault: Fault) -> None:
    assert failed(wire) is fault


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nx: ",
        b"HTTP/1.1 200 O",
        CHUNKED + b"2;x=",
        CHUNKED + b"0\r\nx: ",
    ],
    ids=["header", "reason", "chunk extension", "trailer"],
)
def test_what_is_no_body_and_has_no_end_is_a_fault(wire: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire)
        while True:
            writer.write(b"y" * 65536)
            await writer.drain()

    async def run() -> None:
        async with provider(serve) as client:
            with pytest.raises(ConnectionFault) as caught:
                await ask(client)
            assert caught.value.fault is Fault.BROKEN

    asyncio.run(run())


def test_what_came_before_a_break_comes_before_the_fault() -> None:
    async def run() -> None:
        breaking = provider(saying(CHUNKED, then_close=True))
        async with breaking as client, client.request("GET", "/", []) as answer:
            await asyncio.sleep(0.1)
            assert await answer.read(1) == b"o"
            assert await answer.read(1) == b"k"
            with pytest.raises(ConnectionFault):
                await answer.read(1)

    asyncio.run(run())


@pytest.mark.parametrize("wire", [b"", b"HTTP/1.1 200 OK\r\n\r\nsome"], ids=["head", "body"])
def test_a_provider_that_falls_silent_is_given_up(wire: bytes) -> None:
    start = time.monotonic()

    assert failed(wire, then_close=False) is Fault.SILENT
    assert 0.4 < time.monotonic() - start < PATIENCE


def test_a_provider_that_says_a_little_now_and_then_is_not_silent() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in OK:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)  # 40 bytes take longer than the patience

    async def run() -> None:
        async with provider(serve) as client:
            assert await ask(client) == (200, b"ok")

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when it sent what")
@pytest.mark.parametrize("answers", [True, False])
def test_silence_begins_when_the_request_is_sent(answers: bool) -> None:
    """A long one over a slow network takes longer than the patience."""
    body = bytes(16_000_000)
    read_after = 0.0
    start = time.monotonic()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read_after
        await reader.readuntil(b"\r\n\r\n")
        left = len(body)
        while left:
            left -= len(await reader.read(200_000))
            await asyncio.sleep(0.01)
        read_after = time.monotonic() - start
        if answers:
            writer.write(OK)
        await reader.read()

    async def run() -> None:
        async with provider(serve) as client, client.request("POST", "/", [], body) as answer:
            assert await body_of(answer) == b"ok"

    if answers:
        asyncio.run(run())
    else:
        with pytest.raises(ConnectionFault) as caught:
            asyncio.run(run())
        assert caught.value.fault is Fault.SILENT
        assert time.monotonic() - start < read_after + 0.7
    assert read_after > 0.7


def connecting_to(url: str) -> ConnectionFault:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE):
            await ask(HttpClient(url))

    with pytest.raises(ConnectionFault) as caught:
        asyncio.run(run())
    return caught.value


def test_a_host_without_a_name_is_told() -> None:
    fault = connecting_to("http://nowhere.invalid")

    assert fault.fault is Fault.UNRESOLVED
    assert "nowhere.invalid" in fault.detail


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        fault = connecting_to(f"http://127.0.0.1:{port}")

    assert fault.fault is Fault.REFUSED
    assert fault.detail.startswith(f"Cannot connect to host 127.0.0.1:{port}: ")


def test_a_host_without_tls_is_told() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no TLS\r\n")
        await reader.read()

    async def run() -> None:
        async with provider(serve) as client:
            await ask(HttpClient(f"https://127.0.0.1:{client._port}"))

    with pytest.raises(ConnectionFault) as caught:
        asyncio.run(run())
    assert caught.value.fault is Fault.TLS


def test_a_connection_verifies_who_is_at_its_other_end() -> None:
    tls = HttpClient("https://example.com")._tls

    assert tls is not None
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
