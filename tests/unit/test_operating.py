"""What docs/operating.md tells people to write, tried out."""

from __future__ import annotations

import asyncio
import contextlib
import plistlib
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.server import BreakConnection, LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.provider import (
    KEY,
    PATIENCE,
    Answer,
    Message,
    Provider,
    Receive,
    Send,
    stream,
)
from tests.unit.proxy.streams import finishes, says, tokens

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()

HELLO = says("Hello.") + finishes("stop", tokens(9, 1))
REQUEST = {"model": "gpt-oss-120b", "input": "Say hello.", "stream": True}


def block(language: str) -> str:
    """Return the one block of code in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


def needed(program: str) -> str:
    """Return where a program is, or skip: what is written for it cannot be tried without it."""
    found = shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


# --- nginx ---------------------------------------------------------------------------------------


@pytest.fixture
def upstream() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    assert provider.rejected == []


@pytest.fixture
def instances(upstream: Provider) -> Iterator[list[OwnProxy]]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(LoopbackServer(upstream))
        proxies = [OwnProxy(f"{server.url}/v1", api_key=KEY) for _ in range(2)]
        yield [stack.enter_context(proxy) for proxy in proxies]


@contextlib.contextmanager
def nginx_before(urls: list[str], folder: Path) -> Iterator[str]:
    """nginx as the document has it, in front of two; its URL."""
    program = needed("nginx")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = f"127.0.0.1:{listener.getsockname()[1]}"
    written = block("nginx").replace("127.0.0.1:10001", own)
    for port, url in zip((10011, 10012), urls, strict=True):
        written = written.replace(f"127.0.0.1:{port}", url.removeprefix("http://"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr warn;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{written}}}\n"
    )
    process = subprocess.Popen(
        [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", int(own.rpartition(":")[2]))).close()
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        yield f"http://{own}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def nginx(instances: list[OwnProxy], tmp_path: Path) -> Iterator[str]:
    with nginx_before([proxy.url for proxy in instances], tmp_path) as url:
        yield url


def when_seen(seen: threading.Semaphore, *pieces: bytes) -> Answer:
    """Answer with an event stream, whose each piece but the first waits for the one before it."""

    async def answer(receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if not await asyncio.to_thread(seen.acquire, timeout=PATIENCE):
                raise BreakConnection
        await send({"type": "http.response.body"})

    return answer


def test_nginx_hands_on_each_event_when_it_comes(nginx: str, upstream: Provider) -> None:
    # Short ones, and more than one: it is the second that a buffer keeps back.
    words = ["Hel", "lo", ",", " wor", "ld"]
    seen = threading.Semaphore(0)
    upstream.answer = when_seen(seen, *map(says, words), finishes("stop"))
    body = ""

    with (
        httpx.Client(timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", f"{nginx}/v1/responses", json=REQUEST) as answer,
    ):
        for text in answer.iter_text():
            body += text
            while words and f'"delta":"{words[0]}"' in body:
                words.pop(0)
                seen.release()
            if "response.completed" in body:
                seen.release()

    assert answer.status_code == 200
    assert words == []
    assert body.count("event: response.completed\n") == 1


def test_nginx_keeps_nothing_for_who_does_not_read(tmp_path: Path) -> None:
    # More than the kernel's buffers on both sides of nginx.
    pieces, sent = 64, 0
    left = threading.Event()

    async def flood(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
            sent += 1
        left.set()

    with (
        LoopbackServer(flood) as server,
        nginx_before([server.url] * 2, tmp_path) as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), PATIENCE) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        before = -1
        while before != sent:
            before = sent
            time.sleep(1)
        client.close()
        assert left.wait(PATIENCE)

    assert 0 < before < pieces


def test_nginx_shows_each_instance_the_host_that_was_asked_for(
    nginx: str, upstream: Provider
) -> None:
    upstream.answer = stream(HELLO)
    url = f"{nginx}/v1/responses"

    own = httpx.post(url, json=REQUEST, timeout=PATIENCE, trust_env=False)
    anothers = httpx.post(url, json=REQUEST, headers={"host": "evil.example"}, trust_env=False)
    page = httpx.post(url, json=REQUEST, headers={"origin": "null"}, trust_env=False)
    forged = {
        "host": "evil.example",
        "x-forwarded-host": "localhost",
        "forwarded": "host=localhost",
    }
    claims = httpx.post(url, json=REQUEST, headers=forged, trust_env=False)

    statuses = [answer.status_code for answer in (own, anothers, page, claims)]
    assert statuses == [200, 403, 403, 403]
    assert len(upstream.seen) == 1


def test_nginx_does_without_an_instance_that_is_gone(
    nginx: str, upstream: Provider, instances: list[OwnProxy]
) -> None:
    upstream.answer = stream(HELLO)
    instances[0].__exit__(None, None, None)

    with httpx.Client(base_url=nginx, timeout=PATIENCE, trust_env=False) as client:
        answers = [client.post("/v1/responses", json=REQUEST) for _ in range(6)]

    assert [answer.text.count("response.completed") // 2 for answer in answers] == [1] * 6
    assert len(upstream.seen) == 6


def test_nginx_takes_a_long_conversation(nginx: str, upstream: Provider) -> None:
    upstream.answer = stream(HELLO)
    long = {**REQUEST, "input": "x" * 3_000_000}

    answer = httpx.post(f"{nginx}/v1/responses", json=long, timeout=PATIENCE, trust_env=False)

    assert "response.completed" in answer.text


# --- systemd, launchd ----------------------------------------------------------------------------


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = needed("systemd-analyze")
    home = tmp_path / "codex-proxy-conformance" / ".venv" / "bin"
    home.mkdir(parents=True)
    (home / "codex-proxy").write_text("#!/bin/sh\n")
    (home / "codex-proxy").chmod(0o755)
    unit = tmp_path / "codex-proxy@10001.service"
    unit.write_text(block("ini").replace("%h", str(tmp_path)))

    run = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    about = [line for line in run.stderr.splitlines() if "codex-proxy@" in line]
    assert about == []


def test_the_plist_is_one() -> None:

    plist = plistlib.loads(block("xml").encode())

    assert plist["Umask"] == 0o077
    assert plist["ProgramArguments"][0].endswith("/.venv/bin/codex-proxy")
