"""Cassettes, scenarios and streams made by hand, small enough to be read in a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vcr.request import Request

from harness.cassette import open_cassette
from harness.chat_stream import Said
from harness.client import Answer, Event, read_events
from harness.rules import Exchange
from harness.scenarios import Call, Scenario, Timing, Turn, Usage

Json = dict[str, Any]

URL = "http://provider/v1/chat/completions"
ASKED = b'{"model":"m","messages":[]}'


# --- cassettes -----------------------------------------------------------------------------------

#: Where a cassette is from.
ORIGIN: Json = {
    "scenario": "hello",
    "backend": "cerebras",
    "model": "gpt-oss-120b",
    "upstream": "emulator",
    "client": "a script",
    "recorded_at": "2026-11-22T12:00:00+00:00",
    "recorder": "a test",
    "sha256": "0f" * 32,
}


def request(body: bytes = ASKED) -> Request:
    return Request("POST", URL, body, {"content-type": "application/json"})


def response(
    *chunks: bytes,
    at: Iterable[float] | None = None,
    end: str = "complete",
    client_request: Json | None = None,
) -> Json:
    """Return an answer of these chunks, which came at these milliseconds."""
    times = [float(number) for number in range(len(chunks))] if at is None else at
    answer: Json = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"]},
        "body": {"string": b"".join(chunks)},
        "stream": {
            "chunks": [[time, len(chunk)] for time, chunk in zip(times, chunks, strict=True)],
            "end": end,
        },
    }
    return answer if client_request is None else {**answer, "client_request": client_request}


def write(path: Path, *interactions: tuple[Request, Json], provenance: Json | None = None) -> Path:
    """Write a cassette as the recorder does."""
    with open_cassette(path, record=True) as cassette:
        for asked, answer in interactions:
            cassette.append(asked, answer)
        if provenance is not None:
            cassette.get_metadata("provenance", provenance)
    return path


# --- scenarios -----------------------------------------------------------------------------------


def turn(
    text: str = "",
    *,
    reasoning: str = "",
    reasoning_chunks: int | None = None,
    calls: Sequence[Call] = (),
    interleaved: bool = False,
    timing: tuple[float, float, float] = (0, 0, 0),
) -> Turn:
    """Return a turn that takes `timing`: seconds in the queue, for the prompt, for the answer."""
    return Turn(
        usage=Usage(prompt_tokens=11, completion_tokens=5, cached_tokens=3, reasoning_tokens=2),
        timing=Timing(*timing, total=sum(timing)),
        reasoning=reasoning,
        reasoning_chunks=reasoning_chunks,
        text=text,
        calls=list(calls),
        interleaved=interleaved,
    )


def scenario(*turns: Turn, **more: Any) -> Scenario:
    given = {"client": "codex-0.45", "prompt": "say hello", "name": "handmade", **more}
    return Scenario(title="Made by hand", turns=list(turns), **given)


# --- streams -------------------------------------------------------------------------------------


def sse(*events: Json) -> bytes:
    """Return these events as a Responses stream has them."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


def done(*items: Json) -> list[Event]:
    """Return the events that end these items."""
    return read_events(
        sse(*({"type": "response.output_item.done", "item": item} for item in items))
    )


def exchange(*events: Json, said: Said | None = None) -> Exchange:
    """Return the exchange in which the client got these events."""
    answer = Answer(200, "text/event-stream", read_events(sse(*events)))
    return Exchange(answer, said or Said(), "cassettes/a/b.yaml, turn 1")


RESPONSE: Json = {"id": "resp_1", "output": []}

STOPPED = Said(finish_reason="stop")


def event(kind: str, **data: object) -> Json:
    """Return the event `response.KIND`."""
    return {"type": f"response.{kind}", **data}


def ends(kind: str, *items: Json, **more: object) -> Json:
    """Return the event that ends a response with these items."""
    error = {"code": "server_error", "message": "It broke."} if kind == "failed" else None
    response = {"id": "resp_1", "output": list(items), "error": error, **more}
    return event(kind, response=response)


def told(*events: Json, said: Said = STOPPED) -> Exchange:
    """Return the exchange in which a response began, and then the client got these events."""
    begins = [event(kind, response=RESPONSE) for kind in ("created", "in_progress")]
    numbered = [{**one, "sequence_number": number} for number, one in enumerate([*begins, *events])]
    return exchange(*numbered, said=said)
