"""Requests and answers that are almost right: those of the cassettes, with something changed.

Whatever comes of one is judged here too. The unit tests try a few, the soak test does for minutes.
"""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from harness import cassette
from harness.schema import check
from proxy.reconstruct import ResponseStream
from proxy.request import InvalidRequest, decode_request
from proxy.responses import Response
from proxy.settings import Settings
from proxy.translate import translate
from tests.unit.proxy.streams import (
    Json,
    answer_of,
    cut,
    final,
    finishes,
    read,
    replay_of,
    says,
    stream_of,
)

__all__ = [
    "REQUESTS",
    "STREAMS",
    "bodies",
    "chunks",
    "damaged",
    "explore",
    "in_pieces",
    "judge_body",
    "judge_error",
    "judge_events",
    "judge_pieces",
    "streams",
    "wires",
]


def _recorded() -> tuple[list[Json], list[bytes]]:
    """Return what clients asked for responses, and what Cerebras answered."""
    requests: list[Json] = []
    streams: list[bytes] = []
    for path in sorted((Path(__file__).parents[3] / "cassettes").glob("*/*.yaml")):
        for response in cassette.load(path).responses:
            asked = response.get("client_request")
            if asked is not None and "/responses" in asked["path"]:
                requests.append(json.loads(asked["body"]))
            if path.parent.name == "cerebras":
                streams.append(b"".join(data for _, data in cassette.chunks_of(response)))
    return requests, [stream for stream in streams if stream]


REQUESTS, STREAMS = _recorded()

# --- what is changed -----------------------------------------------------------------------------

#: What some program somewhere does not expect.
_ODD: Final[list[Any]] = [
    *(None, True, 0, -1, 2**31, 2**63, 2**64, 10**30, -(10**400), 0.5, -1e308),
    *("", "\0", "\u2028", "\r\n\r\ndata: [DONE]", "😀", "a" * 70, "id", "auto", "error"),
    *([], {}, [None], [[[]]], [""], {"": ""}, {"type": "message"}, {"error": "x"}),
    *({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    *({"index": 2**70}, {"message": 1, "code": []}, {"role": "user", "content": [{}]}),
]
_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_VALUE: Final = st.one_of(
    st.sampled_from(_ODD).map(copy.deepcopy), _TEXT, st.integers(), st.floats(allow_nan=False)
)

#: How deep a list of lists is: as one is, or as deep as Python follows it, or almost.
_DEPTH: Final = st.one_of(st.integers(1, 20), st.integers(850, 1010))
_DEEP: Final = re.compile(rb'"\\u0000deep(\d+)"')

_BYTES: Final = st.one_of(
    st.binary(min_size=1, max_size=4),
    st.sampled_from(
        [
            *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b":", b" ", b"\t", b"\0", b"\xff", b","),
            *(b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud83d", b"null", b"1e999", b"-0", b"0"),
            *(b"data: ", b"data: [DONE]\n\n", b"data\n\n", b"event: error\n", b"\xef\xbb\xbf"),
        ]
    ),
)


def _places(value: object) -> list[tuple[Any, Any]]:
    """Return each list or object below `value`, with each of its keys."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found = [(value, key) for key in value]
    elif isinstance(value, list):
        found = [(value, index) for index in range(len(value))]
    for holder, key in list(found):
        found += _places(holder[key])
    return found


@st.composite
def _changed(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """Draw JSON, with a few things in it removed, replaced, moved, repeated or wrapped."""
    root = [copy.deepcopy(draw(values))]
    for _ in range(draw(st.integers(0, 4))):
        places = _places(root[0]) or [(root, 0)]
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        other, other_key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.integers(0, 6)):
            case 0 if holder is not root:
                del holder[key]
            case 1:
                holder[key] = draw(_VALUE)
            case 2:
                holder[key] = copy.deepcopy(other[other_key])
            case 3 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 4 if isinstance(holder, dict):
                holder[draw(_TEXT)] = draw(_VALUE)
            case 5:
                holder[key] = f"\0deep{draw(_DEPTH)}"
            case _ if isinstance(text := holder[key], str):
                at = draw(st.integers(0, len(text)))
                holder[key] = text[:at] + draw(_TEXT) + text[at:]
    plain = json.dumps(root[0], ensure_ascii=draw(st.booleans())).encode()
    return _DEEP.sub(lambda found: b"[" * int(found[1]) + b"]" * int(found[1]), plain)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Draw bytes of which some are lost, repeated, or others."""
    data = draw(whole)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        between = draw(st.one_of(st.just(b""), st.just(data[start:end] * 2), _BYTES))
        data = data[:start] + between + data[end:]
    return data


# --- requests ------------------------------------------------------------------------------------

bodies: Final = st.one_of(
    _changed(st.sampled_from(REQUESTS)), damaged(_changed(st.sampled_from(REQUESTS)))
)

# --- answers -------------------------------------------------------------------------------------


def _chunk(stream: bytes) -> st.SearchStrategy[bytes]:
    """Draw one event of a stream, changed."""
    data = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n")]
    values = [json.loads(each) for each in data if each.startswith(b"{")] or [{}]
    return _changed(st.sampled_from(values)).map(lambda value: b"data: " + value)


chunks: Final = st.sampled_from(STREAMS).flatmap(_chunk)


@st.composite
def _mixed(draw: st.DrawFn) -> bytes:
    """Draw a stream, with some of its events lost, repeated, exchanged, changed or strange."""
    events = draw(st.sampled_from(STREAMS)).split(b"\n\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(events) - 1))
        match draw(st.integers(0, 4)):
            case 0 if len(events) > 1:
                del events[at]
            case 1:
                events.insert(at, events[at])
            case 2:
                other = draw(st.integers(0, len(events) - 1))
                events[at], events[other] = events[other], events[at]
            case 3:
                strange = draw(st.sampled_from(STREAMS)).split(b"\n\n")
                events[at:at] = strange[: draw(st.integers(1, len(strange)))]
            case _:
                events.insert(at, draw(chunks))
    return b"\n\n".join(events)


streams: Final = st.one_of(_mixed(), damaged(_mixed()))


@st.composite
def in_pieces(draw: st.DrawFn, whole: st.SearchStrategy[bytes] = streams) -> list[bytes]:
    """Draw the pieces in which a stream arrives."""
    stream = draw(whole)
    return cut(stream, draw(st.lists(st.integers(0, len(stream)), max_size=6)))


_STATUSES: Final = st.sampled_from(
    [
        *(b"200 OK", b"200 OK", b"200 OK", b"200 OK", b"200", b"201 Yes", b"204 No", b"304 No"),
        *(b"101 Other", b"302 There", b"400 Bad", b"401 Who", b"404 Where", b"418 Tea"),
        *(b"429 Slow", b"504 Late", b"999 ?"),
    ]
)
_HEADERS: Final = st.sampled_from(
    [
        *(b"content-type: text/event-stream", b"content-type: application/json", b"x: \xe9"),
        *(b"content-length: 5", b"content-length: 99999999999999999999", b"content-length: -1"),
        *(
            b"transfer-encoding: chunked",
            b"transfer-encoding: gzip",
            b"transfer-encoding: x, chunked",
        ),
        *(b"connection: close", b"connection: upgrade\r\nupgrade: h2c", b"location: http://x/"),
        *(
            b"content-encoding: gzip",
            b"retry-after: 1e999",
            b"retry-after: nan",
            b"retry-after: -1",
        ),
        *(b"x-ratelimit-reset-tokens-minute: 1e308", b"retry-after: Tue, 1 Jan", b" folded: x"),
        *(b"set-cookie: a=b", b"trailer: x", b"x:", b"\xff: x", b"x: " + b"y" * 70_000),
    ]
)


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    """Draw all that a provider sends on a connection, as HTTP frames it, or almost."""
    pieces = draw(in_pieces())
    head = [b"HTTP/1.1 " + draw(_STATUSES), *draw(st.lists(_HEADERS, max_size=2))]
    match draw(st.integers(0, 2)):
        case 0:
            head.append(b"content-length: %d" % sum(map(len, pieces)))
        case 1:
            head.append(b"transfer-encoding: chunked")
            pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
            pieces.append(b"0\r\n\r\n")
    return draw(damaged(st.just(b"\r\n".join([*head, b"", b"".join(pieces)]))))


# --- what must come of them ----------------------------------------------------------------------


def judge_body(body: bytes, *, compacts: bool = False) -> bool:
    """Judge what is made of a client's body; tell whether it was taken."""
    try:
        request = decode_request(body)
        translation = translate(request, Settings(api_key="csk-unused"), compacts=compacts)
    except InvalidRequest:
        return False
    sent = json.loads(msgspec.json.encode(translation.chat_request))
    assert check(sent, "chat/request.json") == []
    stream = ResponseStream(
        Response.to(request, id="resp_abc", created_at=1, model="gpt-oss-120b"),
        toolbox=translation.toolbox,
        call_ids=translation.call_ids,
        compacts=translation.compacts,
    )
    assert final(answer_of(stream, says("Hello"), finishes()))["status"] == "completed"
    return True


def judge_pieces(pieces: Sequence[bytes], request: Json, *, think_tags: bool = False) -> None:
    """Judge what the core makes of a provider's stream, which is the same however it is cut."""
    events = replay_of(stream_of(request, think_tags=think_tags), *pieces)
    judge_events(events)
    assert replay_of(stream_of(request, think_tags=think_tags), b"".join(pieces)) == events


def judge_events(stream: bytes) -> Json:
    """Judge a whole stream of events; return the response of the last one."""
    response = final(read(stream))
    assert (response["status"] == "failed") == (response["error"] is not None)
    return response


def judge_error(body: bytes) -> None:
    """Judge the body of an error."""
    error = json.loads(body)["error"]
    assert error["message"]
    assert error["code"]


# --- how long ------------------------------------------------------------------------------------


def explore(
    judge: Callable[..., None], *strategies: st.SearchStrategy[Any], examples: int, start: int
) -> None:
    """Try so many examples, always the same ones for a `start`; the simplest that fails is told."""

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def trial(arguments: tuple[Any, ...]) -> None:
        judge(*arguments)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # of how long an example is
        trial()
