"""Thousands of requests to a provider that fails in every way, and a proxy that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import uvloop

from harness.client import Event, read_events
from harness.schema import check_event
from harness.server import BreakConnection, LoopbackServer, Receive, Scope, Send, read_body
from harness.subject import OwnProxy
from tests.soak.conftest import descriptors, memory, settled
from tests.unit.proxy.streams import finishes, says, tokens

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "10000"))

#: How many are asked at once.
AT_ONCE: Final = 100

#: Seconds that a provider may be silent.
SILENCE: Final = 2

TEXT = says("Hel") + says("lo")
STOP = finishes("stop", tokens(9, 2))


class Fault(NamedTuple):
    """What the provider does, and what the client must get."""

    #: The terminal event and its code, or the status of an answer that is no stream.
    expected: str
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    #: How the answer ends: as it should, a closed or reset connection, or never.
    end: str = ""


def _error(message: str, code: str = "") -> bytes:
    return json.dumps({"message": message, "type": "t", "param": "", "code": code}).encode()


FAILED: Final = "response.failed server_error"

#: Each is as likely as the others: ten, so each comes in 10 % of the requests.
FAULTS: Final = {
    "none": Fault("response.completed", body=TEXT + STOP),
    "too long": Fault(
        "response.failed context_length_exceeded",
        400,
        _error("Please reduce the length of the messages or completion."),
    ),
    "wrong key": Fault("HTTP 400", 401, _error("Wrong API Key", "wrong_api_key")),
    "rate limit": Fault(
        "response.failed rate_limit_exceeded",
        429,
        _error("Too many requests.", "request_quota_exceeded"),
        ((b"retry-after", b"1"),),
    ),
    "server error": Fault(FAILED, 500, _error("Oh no.")),
    "cut": Fault(FAILED, body=TEXT, end="cut"),
    "reset": Fault(FAILED, body=TEXT, end="reset"),
    "silence": Fault(FAILED, body=TEXT, end="silence"),
    "error in the stream": Fault(
        "response.failed rate_limit_exceeded",
        body=TEXT + b'data: {"error":{"message":"Too many.","code":429},"status_code":429}\n\n',
    ),
    "length": Fault(
        "response.incomplete max_output_tokens", body=TEXT + finishes("length", tokens(9, 2))
    ),
}


async def provider(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the one message of the request names."""
    asked = json.loads(await read_body(receive))
    fault = FAULTS[asked["messages"][0]["content"]]
    head = ((b"content-type", b"text/event-stream"), *fault.headers)
    await send({"type": "http.response.start", "status": fault.status, "headers": head})
    more = bool(fault.end)
    await send({"type": "http.response.body", "body": fault.body, "more_body": more})
    if fault.end == "silence":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif fault.end:
        raise BreakConnection(reset=fault.end == "reset")


def outcome(status: int, events: list[Event]) -> str:
    """Return what an answer came to; anything that is not well-formed is said instead."""
    if status != 200:
        return f"HTTP {status}"
    if [event["sequence_number"] for event in events] != list(range(len(events))):
        return "events are missing or out of order"
    if any(event.data is None or check_event(event.data) for event in events):
        return "an event does not conform to its schema"
    ends = ("response.completed", "response.failed", "response.incomplete")
    terminal = [event for event in events if event.type in ends]
    if terminal != events[-1:]:
        return f"{len(terminal)} terminal events"
    response = terminal[0]["response"]
    reason = (response["error"] or {}).get("code") or (response["incomplete_details"] or {}).get(
        "reason"
    )
    return f"{terminal[0].type} {reason}" if reason else terminal[0].type


async def ask(url: str, kinds: list[str]) -> Counter[tuple[str, str]]:
    """Ask for each of these kinds, so many at once; return how often each came to what."""
    found: Counter[tuple[str, str]] = Counter()
    left = iter(kinds)

    async def client(http: httpx.AsyncClient) -> None:
        for kind in left:
            body = {"model": "gpt-oss-120b", "input": kind, "stream": True}
            answer = await http.post(f"{url}/v1/responses", json=body)
            events = read_events(answer.content) if answer.status_code == 200 else []
            found[kind, outcome(answer.status_code, events)] += 1

    # Connections are kept, and none is idle for as long as the proxy keeps one: nothing is asked
    # twice, and whatever fails is told.
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        await asyncio.gather(*(client(http) for _ in range(AT_ONCE)))
    return found


def open_streams(url: str) -> float:
    """Return how many requests the proxy is answering, by its own account."""
    metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    (figure,) = re.findall(r"^codex_proxy_streams_open (.*)$", metrics, re.MULTILINE)
    return float(figure)


def test_every_fault_in_a_mix() -> None:
    chosen = random.Random(7).choices(sorted(FAULTS), k=REQUESTS)  # noqa: S311 - the same each time
    with (
        LoopbackServer(provider) as server,
        OwnProxy(f"{server.url}/v1", environment={"CEREBRAS_TIMEOUT": str(SILENCE)}) as proxy,
    ):
        uvloop.run(ask(proxy.url, sorted(FAULTS) * AT_ONCE))  # all is loaded, pools are full
        before, heavy = settled(proxy.pid, 0), memory(proxy.pid)
        start = time.monotonic()
        found = uvloop.run(ask(proxy.url, chosen))
        took = time.monotonic() - start
        after, heavier = settled(proxy.pid, before), memory(proxy.pid)
        still_open = open_streams(proxy.url)
        said = proxy.said

    print(
        f"\n{REQUESTS} requests, {len(FAULTS)} kinds, {AT_ONCE} at once: {took:.0f} s; "
        f"descriptors {before} before, {after} after; memory {heavy:.0f} MB, {heavier:.0f} MB"
    )
    for (kind, what), count in sorted(found.items()):
        print(f"  {kind:<20} {what:<45} {count:>5}")
    wrong = {kind: what for kind, what in found if FAULTS[kind].expected != what}
    assert wrong == {}
    assert found.total() == REQUESTS
    assert still_open == 0
    assert after <= before
    assert heavier < heavy * 1.2
    assert said.count("\n") == 1, said


def test_kill_and_restart(tmp_path: Path) -> None:
    """`kill -9` in the middle of streams; the next request, after `proxy.sh enable`, works."""
    script = Path(__file__).parents[2] / "proxy.sh"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with LoopbackServer(provider) as server:
        environment = {
            "PATH": os.environ["PATH"],
            "XDG_STATE_HOME": str(tmp_path),
            "PROXY_PYTHON": sys.executable,
            "PROXY_PORT": str(port),
            "CEREBRAS_API_KEY": "csk-soak",
            "CEREBRAS_BASE_URL": f"{server.url}/v1",
        }

        def sh(command: str) -> None:
            subprocess.run(["sh", str(script), command], env=environment, check=True)

        url = f"http://127.0.0.1:{port}"
        body = {"model": "gpt-oss-120b", "input": "silence", "stream": True}
        with httpx.Client(timeout=10, trust_env=False) as http:
            for _ in range(5):
                sh("enable")
                with http.stream("POST", f"{url}/v1/responses", json=body) as answer:
                    next(answer.iter_raw())
                    pid = int((tmp_path / "codex-proxy" / f"proxy_{port}.pid").read_text())
                    os.kill(pid, signal.SIGKILL)
                start = time.monotonic()
                sh("enable")
                hello = http.post(f"{url}/v1/responses", json={**body, "input": "none"})
                print(f"\nworks again {time.monotonic() - start:.1f} s after kill -9")
                assert outcome(200, read_events(hello.content)) == "response.completed"
                sh("disable")


def test_the_outcome_tells_what_is_wrong() -> None:
    """The soak is worth what this notices."""
    with LoopbackServer(provider) as server, OwnProxy(f"{server.url}/v1") as proxy:
        body = {"model": "gpt-oss-120b", "input": "none", "stream": True}
        answer = httpx.post(f"{proxy.url}/v1/responses", json=body, trust_env=False)
        assert descriptors(proxy.pid) > 0
    events = read_events(answer.content)

    assert outcome(200, events) == "response.completed"
    assert outcome(200, events[:-1]) == "0 terminal events"
    assert outcome(200, events[:3] + events[4:]) == "events are missing or out of order"
    assert outcome(200, events + events) == "events are missing or out of order"
