"""The ChatGPT backend, in time: what arrives when, who may leave, and what breaks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import re
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.server import BreakConnection, LoopbackServer
from harness.subject import OwnProxy
from proxy.app import create_app
from proxy.asgi import Application, BrokenOff
from proxy.settings import Settings
from tests.unit.proxy.backend import (
    Backend,
    answers,
    connect,
    exchange,
    passing_to,
)
from tests.unit.proxy.provider import (
    PATIENCE,
    Answer,
    Message,
    Receive,
    Send,
    bare_provider,
    hold,
    stream,
    stream_and_break,
)

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpus" / "chatgpt-backend"
RECORDINGS = sorted(CORPUS.glob("*.sse"))

GET = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"

#: What reaches the one end before it leaves the other is no pass-through.
SOON = 1.0


# --- what arrives when ---------------------------------------------------------------------------


def step_by_step(steps: threading.Semaphore, *pieces: bytes) -> Answer:
    """Answer with an event stream, whose each piece waits for the test to allow a step."""

    async def answer(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces:
            if not await asyncio.to_thread(steps.acquire, timeout=PATIENCE):
                raise BreakConnection
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return answer


def read_step_by_step(http: httpx.Client, backend: Backend, *pieces: bytes) -> bytes:
    """Return a body of which each piece was here before the next was sent."""
    steps = threading.Semaphore(0)
    backend.answer = step_by_step(steps, *pieces)
    received = b""
    with http.stream("POST", "/v1/responses", json={}) as answer:  # its head is here already
        data = answer.iter_raw()
        sent = b""
        for piece in pieces:
            sent += piece
            steps.release()
            while len(received) < len(sent):
                received += next(data)
            assert received == sent
        received += b"".join(data)
    return received


def awkwardly_cut(recording: bytes, seed: str) -> list[bytes]:
    """Return the recording in pieces that end anywhere, and some of which are one byte."""
    chance = random.Random(seed)  # noqa: S311 - the same cuts each time
    cuts = chance.sample(range(1, len(recording)), 20)
    at = sorted({0, *cuts, cuts[0] + 1, cuts[1] + 1, len(recording)})
    return [recording[start:end] for start, end in itertools.pairwise(at)]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not here: {CORPUS}")
def test_the_corpus_has_recordings() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_passes_byte_for_byte_and_piece_by_piece(
    http: httpx.Client, backend: Backend, path: Path
) -> None:
    recording = path.read_bytes()

    assert read_step_by_step(http, backend, *awkwardly_cut(recording, path.stem)) == recording
    assert read_step_by_step(http, backend, *recording.splitlines(keepends=True)) == recording


def events_counted(http: httpx.Client) -> int:
    found = re.search(r"^codex_proxy_events_total (\d+)", http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_events_are_counted_however_they_are_cut(http: httpx.Client, backend: Backend) -> None:
    before = events_counted(http)
    events = [b'data: {"sequence_number":%d}' % number for number in range(3)]
    whole = b"\nid: 1\n\n".join(events) + b"\n\n"

    read_step_by_step(
        http, backend, whole[:20], whole[20:30], whole[30:60], whole[60:-1], whole[-1:]
    )

    end = time.monotonic() + PATIENCE
    while events_counted(http) < before + 3 and time.monotonic() < end:
        time.sleep(0.01)  # they are counted when the request is over, a little after its last byte
    assert events_counted(http) == before + 3


def test_a_character_and_an_end_of_line_may_be_cut(http: httpx.Client, backend: Backend) -> None:
    pieces = [bytes([byte]) for byte in 'data: {"delta":"é👋"}\r\n\r\n'.encode()]

    assert read_step_by_step(http, backend, *pieces) == b"".join(pieces)


def test_the_login_and_what_is_said_are_nowhere_printed(
    http: httpx.Client, backend: Backend, proxy: OwnProxy
) -> None:
    backend.answer = answers(401, [(b"set-cookie", b"se;ss/ion=1")], b'{"detail":"No."}')

    http.post("/v1/responses", json={}, headers={"authorization": "Bearer the-clients"})

    assert proxy.said.count("\n") == 1  # its address


# --- a backend that is not there, or breaks ------------------------------------------------------


def test_a_backend_that_is_not_there_is_told_with_what_mends_it() -> None:
    # Bound but not listening: whoever connects is refused, and nobody else gets the port.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with passing_to(f"http://127.0.0.1:{closed.getsockname()[1]}") as proxy:
            head, body = exchange(proxy, GET)

    assert head.startswith(b"HTTP/1.1 502 ")
    message = json.loads(body)["error"]["message"]
    assert message.startswith("The provider cannot be reached: Cannot connect to host 127.0.0.1:")
    assert message.endswith(" Check CHATGPT_BASE_URL, and the network.")


def test_a_backend_without_a_name_is_told_with_what_mends_it() -> None:
    with passing_to("https://nowhere.invalid/v1") as proxy:
        head, body = exchange(proxy, GET)

    assert head.startswith(b"HTTP/1.1 502 ")
    message = json.loads(body)["error"]["message"]
    assert message.startswith("The provider's host name is not known: ")
    assert message.endswith(" Check CHATGPT_BASE_URL, and the network.")


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"", "The provider closed the connection before it had answered: "),
        (b"nonsense\r\n\r\n", "The provider's answer broke off: what came is no HTTP."),
        (
            b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
            "The provider's answer broke off: 999 is no status of HTTP.",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
            "The provider's answer broke off: 101 is no status of HTTP.",
        ),
        (
            b"HTTP/1.1 200 OK\r\nx-name: \x01\r\ncontent-length: 0\r\n\r\n",
            "The provider's answer broke off: what came is no HTTP.",
        ),
    ],
    ids=["nothing", "no HTTP", "no status", "no answer", "no header"],
)
def test_a_backend_that_speaks_no_http_is_told(wire: bytes, message: str) -> None:
    with bare_provider(wire) as (url, _), passing_to(url) as proxy:
        head, body = exchange(proxy, GET.replace(b"GET", b"POST"))

    assert head.startswith(b"HTTP/1.1 502 ")
    assert json.loads(body)["error"]["message"].startswith(message)


@pytest.mark.parametrize("pieces", [[], [b"data: 1\n\n"], [b"data: 1\n\n", b"data: {"]])
def test_a_stream_that_breaks_breaks_at_the_client_after_what_had_come(
    proxy: OwnProxy, backend: Backend, pieces: list[bytes]
) -> None:
    backend.answer = stream_and_break(*pieces)

    head, body = exchange(proxy, GET)

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"".join(body.split(b"\r\n")[1::2]) == b"".join(pieces)
    assert b"\r\n0\r\n" not in b"\r\n" + body


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\ndata: 1\n\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n999\r\ndata: 1\n\n",
    ],
    ids=["length", "chunks", "chunk"],
)
def test_an_answer_that_stops_short_is_no_complete_one(wire: bytes, reset: bool) -> None:
    with bare_provider(wire, reset=reset) as (url, _), passing_to(url) as proxy:
        try:
            answer = httpx.get(f"{proxy.url}/v1/models", trust_env=False)
        except httpx.RemoteProtocolError:
            return
    # A reset can overtake even the head.
    assert reset
    assert answer.status_code == 502


def test_an_answer_that_goes_on_with_no_http_breaks_and_does_not_hang() -> None:
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
    with bare_provider(wire, b"nonsense\r\n") as (url, _), passing_to(url) as proxy:
        _, body = exchange(proxy, GET)

    assert body == b"9\r\ndata: 1\n\n\r\n"


@asynccontextmanager
async def running(app: Application) -> AsyncIterator[None]:
    """Run the lifespan of an application around a block."""
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    outgoing: asyncio.Queue[Message] = asyncio.Queue()
    lifespan = asyncio.ensure_future(app({"type": "lifespan"}, incoming.get, outgoing.put))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert await outgoing.get() == {"type": "lifespan.startup.complete"}
    yield
    incoming.put_nowait({"type": "lifespan.shutdown"})
    await lifespan
    assert await outgoing.get() == {"type": "lifespan.shutdown.complete"}


def test_what_a_slow_client_has_not_read_yet_outlasts_the_break() -> None:
    """Straight to the application: in a server's buffers no client of a test would be slow."""
    pieces = [b"%d;" % number for number in range(1000)]
    backend = Backend()
    backend.answer = stream_and_break(*pieces)
    received = b""

    async def take(message: Message) -> None:
        nonlocal received
        received += message.get("body", b"")
        await asyncio.sleep(0.2)  # meanwhile the backend says all the rest, and breaks

    async def fetch(url: str) -> None:
        app = create_app(Settings(backend="chatgpt", base_url=url))
        scope = {"type": "http", "method": "GET", "path": "/x", "raw_path": b"/x"}
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        incoming.put_nowait({"type": "http.request"})
        async with running(app):
            with pytest.raises(BrokenOff):
                await app({**scope, "query_string": b"", "headers": []}, incoming.get, take)

    with LoopbackServer(backend) as server:
        asyncio.run(asyncio.wait_for(fetch(server.url), PATIENCE))

    assert received == b"".join(pieces)


def test_for_a_client_that_does_not_read_little_is_kept() -> None:
    sent = 0
    full = threading.Event()

    def send(listener: socket.socket) -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                while sent < 200_000_000:
                    sent += connection.send(bytes(100_000))
            full.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = threading.Thread(target=send, args=(listener,))
        sending.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with OwnProxy(url, backend="chatgpt") as proxy:
            parts = urlsplit(proxy.url)
            with socket.create_connection((parts.hostname, parts.port), PATIENCE) as client:
                client.sendall(b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert full.wait(PATIENCE)
        sending.join(PATIENCE)

    assert sent < 40_000_000  # all that the system keeps, on two connections


# --- a client that leaves ------------------------------------------------------------------------


def test_when_the_client_leaves_the_request_to_the_backend_ends_soon(
    http: httpx.Client, backend: Backend
) -> None:
    left = threading.Event()
    backend.answer = hold(left, b"data: 1\n\n")

    with http.stream("POST", "/v1/responses", json={}) as answer:
        data = answer.iter_raw()
        assert next(data) == b"data: 1\n\n"
        assert not left.is_set()

    assert left.wait(SOON)


def test_when_the_client_leaves_before_any_answer_the_request_to_the_backend_ends_soon(
    proxy: OwnProxy, backend: Backend
) -> None:
    left = threading.Event()
    backend.answer = hold(left)

    with connect(proxy) as connection:
        connection.sendall(GET)
        assert backend.asked.wait(PATIENCE)
        assert not left.is_set()

    assert left.wait(SOON)


def test_a_client_that_leaves_in_its_own_request_never_reaches_the_backend(
    http: httpx.Client, proxy: OwnProxy, backend: Backend
) -> None:
    backend.answer = stream(b"data: 1\n\n")

    with connect(proxy) as connection:
        connection.sendall(
            b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"
        )

    http.post("/v1/responses", json={})
    assert len(backend.seen) == 1
