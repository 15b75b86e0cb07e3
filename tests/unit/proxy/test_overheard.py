"""What the log tells of an exchange that is only passed on."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from proxy.overheard import Overheard
from proxy.record import Record
from tests.unit.proxy.backend import BASE, Backend
from tests.unit.proxy.provider import PATIENCE, hold, stream, stream_and_break
from tests.unit.proxy.serving import wait_for
from tests.unit.proxy.streams import Json

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpus" / "chatgpt-backend"
RECORDINGS = sorted(CORPUS.glob("*.sse"))

REQUEST: Json = {"model": "gpt-5.2", "instructions": "Be kind.", "input": [], "stream": True}
USAGE: Json = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
RESPONSE: Json = {"id": "resp_1", "model": "gpt-5.2-2026", "usage": USAGE, "text": {"a": ["x"]}}


def event(type: str, **fields: Any) -> bytes:
    """Return one event, as the backend writes it."""
    return f"event: {type}\ndata: {json.dumps({**fields, 'type': type})}\n\n".encode()


CREATED = event("response.created", response={**RESPONSE, "usage": None}, sequence_number=0)
DELTA = event("response.output_text.delta", delta="x", sequence_number=1)
COMPLETED = event("response.completed", response=RESPONSE, sequence_number=2)


def overheard(*pieces: bytes, request: bytes = b"{}", encoding: str = "") -> Record:
    """Return the record of an exchange whose answer came in these pieces."""
    record = Record(method="POST", path="/responses")
    heard = Overheard(record)
    for piece in pieces:
        heard.receive(piece)
    heard.close(request, encoding)
    return record


def said(record: Record) -> tuple[str, str, str, int | None, int | None]:
    return record.outcome, record.id, record.used, record.input_tokens, record.output_tokens


# --- the log -------------------------------------------------------------------------------------


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[tuple[Backend, OwnProxy, Path]]:
    """A backend, a pass-through that logs, and where."""
    backend = Backend()
    logs = {"PROXY_LOG": "on", "PROXY_LOG_DIR": str(tmp_path)}
    with (
        LoopbackServer(backend) as server,
        OwnProxy(server.url + BASE, backend="chatgpt", environment=logs) as proxy,
    ):
        yield backend, proxy, tmp_path


def line(place: Path) -> Json:
    """Return the only line of the log, once it is written."""
    (log,) = place.glob("proxy_*.log")
    wait_for(lambda: log.read_text().endswith("\n"))
    found: Json = json.loads(log.read_text())
    return found


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstd.compress)],
)
def test_a_line_has_models_tokens_times_and_outcome(
    logged: tuple[Backend, OwnProxy, Path], encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    backend, proxy, place = logged
    backend.answer = stream(CREATED, DELTA, COMPLETED)
    body = compress(json.dumps(REQUEST).encode())

    url, headers = f"{proxy.url}/v1/responses", {"content-encoding": encoding}
    answer = httpx.post(url, content=body, headers=headers, timeout=PATIENCE, trust_env=False)

    assert answer.content == CREATED + DELTA + COMPLETED
    assert backend.seen[0].body == body
    told = line(place)
    assert told.pop("time").endswith("+00:00")
    assert 0 < told.pop("first") <= told.pop("total") < PATIENCE
    assert told.pop("upstream").endswith(f"{BASE}/responses")
    assert told == {
        "method": "POST",
        "path": "/v1/responses",
        "id": "resp_1",
        "asked": "gpt-5.2",
        "used": "gpt-5.2-2026",
        "status": 200,
        "outcome": "completed",
        "input_tokens": 9,
        "output_tokens": 1,
        "events": 3,
        "retries": 0,
    }


def test_who_leaves_behind_the_last_event_has_not_left(
    logged: tuple[Backend, OwnProxy, Path],
) -> None:
    backend, proxy, place = logged
    left = threading.Event()
    backend.answer = hold(left, CREATED + COMPLETED)

    with httpx.stream(
        "POST", f"{proxy.url}/v1/responses", json=REQUEST, timeout=PATIENCE, trust_env=False
    ) as answer:
        data = answer.iter_raw()
        received = b""
        while COMPLETED not in received:
            received += next(data)

    assert left.wait(PATIENCE)
    told = line(place)
    assert (told["outcome"], told["input_tokens"]) == ("completed", 9)


def test_what_breaks_off_is_told_with_the_model_that_was_asked(
    logged: tuple[Backend, OwnProxy, Path],
) -> None:
    backend, proxy, place = logged
    backend.answer = stream_and_break(CREATED, DELTA[:-5])

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{proxy.url}/v1/responses", json=REQUEST, timeout=PATIENCE, trust_env=False)

    told = line(place)
    assert (told["outcome"], told["faults"], told["asked"]) == ("broken", ["broken"], "gpt-5.2")
    assert told["events"] == 1


def test_a_stream_without_numbers_has_as_many_events_as_nobody_knows(
    logged: tuple[Backend, OwnProxy, Path],
) -> None:
    backend, proxy, place = logged
    backend.answer = stream(event("response.completed", response=RESPONSE))

    httpx.post(f"{proxy.url}/v1/responses", json=REQUEST, timeout=PATIENCE, trust_env=False)

    told = line(place)
    assert told["outcome"] == "completed"
    assert "events" not in told
    metrics = httpx.get(f"{proxy.url}/metrics", timeout=PATIENCE, trust_env=False).text
    assert "codex_proxy_events_total 0.0" in metrics.splitlines()


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (b'{"model":"a","input":[]}', "a"),
        (b' {\n "model" : "a\\"\\u00e9" , "input": "' + b"x" * 1_000_000, 'a"é'),
        (b'{"input":"\\"model\\":\\"b\\"","x":{"model":"c"},"model":"a"}', "a"),
        (b'{"input":"' + b"x" * 1_000_000 + b'","model":"a"}', ""),
        (b'{"model":7}', ""),
        (b'{"model":"\xff","input":[]}', ""),
        (b'{"model":"' + b"\\" * 300_000, ""),
        (b'{"x":' * 50_000, ""),
        (b"[]", ""),
        (b"", ""),
    ],
    ids=[
        "first",
        "long",
        "last",
        "long and last",
        "number",
        "no text",
        "no end",
        "deep",
        "list",
        "nothing",
    ],
)
def test_the_model_is_what_the_request_names(request_: bytes, asked: str) -> None:
    assert overheard(request=request_).asked == asked


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("zstd", b"no zstd"), ("gzip", b"no gzip"), ("br", b"x"), ("zstd", zstd.compress(b"{}")[:-3])],
)
def test_a_body_that_is_not_what_it_says_has_no_model(encoding: str, body: bytes) -> None:
    assert overheard(request=body, encoding=encoding).asked == ""


def test_of_a_bomb_little_is_unpacked() -> None:
    bomb = zstd.compress(b'{"model":"a","input":"' + bytes(200_000_000))

    began = time.process_time()
    record = overheard(request=bomb, encoding="zstd")

    assert record.asked == "a"
    assert time.process_time() - began < 0.05


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3, 7, 50, 10_000])
def test_it_does_not_matter_how_a_stream_is_cut(length: int) -> None:
    whole = CREATED + DELTA + COMPLETED

    record = overheard(*(whole[at : at + length] for at in range(0, len(whole), length)))

    assert said(record) == ("completed", "resp_1", "gpt-5.2-2026", 9, 1)
    assert record.events == 3


@pytest.mark.parametrize("length", [1, 100, 50_000])
@pytest.mark.parametrize("before", [1, 40_000, 200_000])
def test_of_a_long_stream_the_end_is_known(length: int, before: int) -> None:
    text = "x" * before
    delta = event("response.output_text.delta", delta=text, sequence_number=1)
    done = event("response.output_text.done", text=text, sequence_number=2)
    number = {"sequence_number": 3}
    completed = event("response.completed", response={**RESPONSE, "output": text}, **number)
    whole = CREATED + delta * 3 + done + completed

    for end, events in ((0, 4), (-1, 3), (-len(completed), 3), (1 - len(done) - len(completed), 2)):
        data = whole[:end] if end else whole
        record = overheard(*(data[at : at + length] for at in range(0, len(data), length)))

        assert record.events == events
        assert record.outcome == ("" if end else "completed")


@pytest.mark.parametrize(
    ("answer", "events"),
    [
        (b"", 0),
        (json.dumps(RESPONSE).encode(), 0),
        (json.dumps(RESPONSE, indent=1).replace("\n", "\n\n").encode(), 0),
        (b"<p>No</p>\n", 0),
        (b"<p>\n\nNo\n\n</p>\n", None),
        (CREATED + DELTA + b": still here\n\n", None),
        (CREATED + DELTA + b"\n\n", None),
        (CREATED[:-1], 0),
        (CREATED + DELTA[:-1], 1),
        (CREATED + DELTA + b"data: [DONE]\n\n", None),
        (event("response.created", sequence_number=-1), None),
        (event("response.created", sequence_number="x"), None),
        (event("response.created", sequence_number=True), None),
        (event("response.created", sequence_number=10**30), None),
        (event("response.created", text="x" * 2_000_000, sequence_number=0), None),
        (event("response.created", text="x" * 2_000_000) + DELTA, 2),
    ],
)
def test_events_are_known_by_the_number_of_the_last(answer: bytes, events: int | None) -> None:
    assert overheard(answer).events == events


#: What is told of an answer that is complete, and has no number of tokens.
UNKNOWN = ("completed", "", None)


@pytest.mark.parametrize(
    ("answer", "outcome", "code", "tokens"),
    [
        (event("response.incomplete", response=RESPONSE), "incomplete", "", 9),
        (
            event("response.failed", response={"error": {"code": "rate_limit_exceeded"}}),
            "failed",
            "rate_limit_exceeded",
            None,
        ),
        (event("error", error={"type": "server_error"}), "failed", "server_error", None),
        (json.dumps(RESPONSE).encode(), "", "", 9),
        (b'{"error":{"type":"usage_limit_reached"}}', "", "usage_limit_reached", None),
        (b'{"detail":"Not Found"}', "", "", None),
        (CREATED, "", "", None),
        (COMPLETED + DELTA[:-1], "", "", None),
        (event("response.completed", response=RESPONSE, sequence_number="2"), "completed", "", 9),
        (event("response.completed", response=RESPONSE, sequence_number=-1), "completed", "", 9),
        (event("response.completed", response={"usage": {"input_tokens": -1}}), *UNKNOWN),
        (event("response.completed", response={"usage": {"input_tokens": "9"}}), *UNKNOWN),
        (event("response.completed", response={"usage": {"input_tokens": 10**30}}), *UNKNOWN),
        (COMPLETED[:-9], "", "", None),
        (b"data: {no JSON\n\n", "", "", None),
        (b'data: {"type":"response.completed","response":[]}\n\n', "", "", None),
        (bytes(range(256)) * 5, "", "", None),
        (b'data: {"x":' + b'{"x":' * 50_000, "", "", None),
        (b'data: {"type":"\xff"}', "", "", None),
        (b"", "", "", None),
    ],
)
def test_what_has_another_end_is_told_as_far_as_it_is_known(
    answer: bytes, outcome: str, code: str, tokens: int | None
) -> None:
    record = overheard(answer)

    assert (record.outcome, record.code, record.input_tokens) == (outcome, code, tokens)


@pytest.mark.parametrize(("length", "count"), [(65_536, 100), (2, 200_000)])
def test_what_is_very_long_is_not_kept(length: int, count: int) -> None:
    pieces = [b"x" * length] * count

    long = Record(method="POST", path="/responses")
    listening = Overheard(long)
    tracemalloc.start()
    try:
        for piece in pieces:
            listening.receive(piece[:1] + piece[1:])  # each has its own memory
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    listening.close(b"", "")

    assert most < 6_000_000
    assert said(long) == ("", "", "", None, None)
    assert said(overheard(*pieces, b"\n\n", COMPLETED))[0] == "completed"
    assert said(overheard(b"data: ", *pieces, b"\n\n", COMPLETED))[0] == "completed"


@pytest.mark.skipif(not RECORDINGS, reason="the corpus is not beside this repository")
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_what_the_real_backend_said_is_understood(recording: Path) -> None:
    data = recording.read_bytes()

    record = overheard(*(data[at : at + 1000] for at in range(0, len(data), 1000)))

    assert record.outcome == "completed"
    assert record.id.startswith("resp_")
    assert record.used.startswith("gpt-")
    assert record.input_tokens is not None
    assert record.output_tokens is not None
    assert record.events == data.count(b"\n\n")
