"""A provider's streams to feed, and Responses streams to read, for the tests of `proxy/`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from harness.schema import check_event
from proxy import responses
from proxy.reconstruct import ResponseStream
from proxy.request import decode_request
from proxy.settings import Settings
from proxy.translate import translate

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


# --- what a provider sends -----------------------------------------------------------------------


def data(value: object) -> bytes:
    """Return one event with `value` as JSON."""
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode()


def chunk(delta: Json, *, finish_reason: str | None = None, usage: Json | None = None) -> bytes:
    """Return one chunk in the shape of Cerebras: what is not there is absent, not null."""
    choice: Json = {"delta": delta, "index": 0}
    if finish_reason is not None:
        choice["finish_reason"] = finish_reason
    whole: Json = {
        "id": "chatcmpl-1",
        "choices": [choice],
        "created": 1,
        "model": "gpt-oss-120b",
        "object": "chat.completion.chunk",
    }
    return data(whole if usage is None else {**whole, "usage": usage})


def says(text: str) -> bytes:
    return chunk({"content": text})


def thinks(text: str) -> bytes:
    return chunk({"reasoning": text})


def calls(*fragments: Json) -> bytes:
    return chunk({"tool_calls": list(fragments)})


def fragment(
    index: int | None = None,
    *,
    id: str | None = None,
    name: str | None = None,
    arguments: str | None = None,
) -> Json:
    """Return an element of `tool_calls`: a whole call, the opener of one, or some arguments."""
    function = {"name": name, "arguments": arguments}
    whole: Json = {
        "index": index,
        "id": id,
        "type": "function",
        "function": {key: value for key, value in function.items() if value is not None},
    }
    return {key: value for key, value in whole.items() if value is not None}


def tokens(prompt: int, completion: int, **details: Json) -> Json:
    """Return a provider's usage."""
    total = prompt + completion
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {**counts, **details}


def finishes(reason: str = "stop", usage: Json | None = None) -> bytes:
    return chunk({}, finish_reason=reason, usage=usage)


# --- what the proxy makes of it ------------------------------------------------------------------


def new_stream(**request: Any) -> ResponseStream:
    """Return the stream that answers a request with these fields."""
    body = json.dumps({"model": "gpt-oss-120b", "input": "Hi", "stream": True, **request}).encode()
    response = responses.Response.to(
        decode_request(body), id="resp_abc", created_at=1, model="gpt-oss-120b"
    )
    return ResponseStream(response, clock=_clock)


def stream_of(
    request: Json, *, knows_incomplete: bool = True, think_tags: bool = False
) -> ResponseStream:
    """Return the stream that answers a request with these fields, with all that is known of it."""
    body = json.dumps({"model": "gpt-oss-120b", "input": "Hi", "stream": True, **request}).encode()
    client_request = decode_request(body)
    translation = translate(client_request, Settings(api_key="csk-unused"))
    return ResponseStream(
        responses.Response.to(client_request, id="resp_abc", created_at=1, model="gpt-oss-120b"),
        toolbox=translation.toolbox,
        call_ids=translation.call_ids,
        compacts=translation.compacts,
        cut={}
        if knows_incomplete
        else dict.fromkeys(("max_output_tokens", "content_filter"), "completed"),
        think_tags=think_tags,
        clock=_clock,
    )


def _clock() -> float:
    """Tell that two seconds have passed since the epoch."""
    return 2.9


def answer_of(stream: ResponseStream, *pieces: bytes) -> list[Json]:
    """Return the events of `stream` for a provider's stream that arrives in `pieces`."""
    return read(replay_of(stream, *pieces))


def replay_of(stream: ResponseStream, *pieces: bytes) -> bytes:
    """Return all of `stream` for a provider's stream that arrives in `pieces`."""
    outgoing = [stream.start(), *(stream.receive_data(piece) for piece in pieces)]
    return b"".join([*outgoing, stream.receive_data(None)])


def replay(*pieces: bytes) -> bytes:
    """Return the whole Responses stream for a provider's stream that arrives in `pieces`."""
    return replay_of(new_stream(), *pieces)


def answer(*pieces: bytes) -> list[Json]:
    """Return the events for a provider's stream that arrives in `pieces`."""
    return read(replay(*pieces))


def read(stream: bytes) -> list[Json]:
    """Return the events of a whole Responses stream; each must be framed, numbered and valid."""
    *blocks, rest = stream.split(b"\n\n")
    assert rest == b"", "the stream ends in the middle of an event"
    events = [_read_event(block) for block in blocks]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def _read_event(block: bytes) -> Json:
    name, data = block.split(b"\n")
    event: Json = json.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + event["type"].encode()
    assert check_event(event) == []
    return event


def outline(events: Sequence[Json]) -> list[str]:
    """Return the events in short: type, output index, and what text they carry."""
    return [" ".join(_words(event)) for event in events]


def _words(event: Json) -> list[str]:
    words = [event["type"].removeprefix("response.")]
    if "output_index" in event:
        words.append(str(event["output_index"]))
    return words + [
        event[name] for name in ("delta", "text", "arguments", "input") if name in event
    ]


def items(events: Sequence[Json]) -> list[Json]:
    """Return the items that are done, in the order in which they were."""
    return [event["item"] for event in events if event["type"] == "response.output_item.done"]


def final(events: Sequence[Json]) -> Json:
    """Return the response of the terminal event, which must be the only one, and the last."""
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    response: Json = events[-1]["response"]
    assert response["status"] == events[-1]["type"].removeprefix("response.")
    return response


# --- cuts ----------------------------------------------------------------------------------------


def one_by_one(stream: bytes) -> list[bytes]:
    """Return `stream` cut after every byte."""
    return [stream[at : at + 1] for at in range(len(stream))]


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """Return `stream` cut at `places`."""
    bounds = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in pairwise(bounds)]


@st.composite
def cuts(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    """Draw one of `streams`, cut anywhere."""
    stream = draw(streams)
    return cut(stream, draw(st.lists(st.integers(0, len(stream)), max_size=8)))
