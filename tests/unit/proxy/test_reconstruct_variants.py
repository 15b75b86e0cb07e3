"""Recorded streams at the core, where nothing merges what was cut: every cut, and every end."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise

import pytest

from harness.cassette import chunks_of, load
from harness.variants import AS_RECORDED, PLACES, VARIANTS, Stream, Variant, unfinished, with_crlf
from tests.cassettes import cerebras
from tests.unit.proxy.streams import Json, final, items, read, replay_of, stream_of

#: Text; reasoning in one chunk; calls in fragments, whole, interleaved, not ASCII; custom tools.
NAMES = (
    "apply-patch-custom",
    "hello",
    "parallel-calls",
    "reasoning-turns",
    "text-before-call",
    "unicode-arguments",
    "update-plan",
    "whole-calls",
)

STREAMS = [
    pytest.param(name, turn, id=f"{name}-{turn + 1}")
    for name in NAMES
    for turn in range(len(load(cerebras(name)).responses))
]
streams = pytest.mark.parametrize(("name", "turn"), STREAMS)


@cache
def recorded(name: str, turn: int) -> tuple[Json, Stream]:
    """Return what the client had asked, and what the provider then streamed."""
    response = load(cerebras(name)).responses[turn]
    asked: Json = json.loads(response["client_request"]["body"])
    return asked, Stream(chunks_of(response), response["stream"]["end"])


def answer(name: str, turn: int, stream: Stream) -> bytes:
    asked, _ = recorded(name, turn)
    return replay_of(stream_of(asked), *(data for _, data in stream.chunks))


@cache
def whole(name: str, turn: int) -> bytes:
    return answer(name, turn, recorded(name, turn)[1])


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("ends", ["lf", "crlf"])
@streams
def test_it_is_the_same_wherever_it_is_cut(name: str, turn: int, ends: str, where: str) -> None:
    _, stream = recorded(name, turn)
    body = with_crlf(stream.body) if ends == "crlf" else stream.body
    bounds = sorted({0, *PLACES[where](body), len(body)})
    pieces = [(0.0, body[start:end]) for start, end in pairwise(bounds)]

    assert answer(name, turn, Stream(pieces)) == whole(name, turn)


SAME = [one for one in VARIANTS.values() if one.expects == "same" and one is not AS_RECORDED]


@pytest.mark.parametrize("variant", SAME, ids=[one.name for one in SAME])
@streams
def test_it_is_the_same_in_every_variant(name: str, turn: int, variant: Variant) -> None:
    varied = variant.change(recorded(name, turn)[1])

    # Where it cannot be done to this stream, it is with another: test_variants.py says so.
    assert varied is None or answer(name, turn, varied) == whole(name, turn)


@streams
def test_it_fails_after_every_chunk_until_the_provider_has_finished(name: str, turn: int) -> None:
    alone = VARIANTS["events"].change(recorded(name, turn)[1])
    assert alone is not None
    told = read(whole(name, turn))
    heads = unfinished(alone)
    assert heads

    for head in heads:
        events = read(answer(name, turn, head))

        assert final(events)["status"] == "failed"
        assert events[:-1] == told[: len(events) - 1]
        assert not [item for item in items(events) if item["type"].endswith("_call")]
        assert final(events)["output"] == items(events)


@streams
def test_it_is_whole_after_every_chunk_once_the_provider_has_finished(name: str, turn: int) -> None:
    alone = VARIANTS["events"].change(recorded(name, turn)[1])
    assert alone is not None
    finished = len(unfinished(alone)) + 1

    for count in range(finished, len(alone.chunks) + 1):
        response = final(read(answer(name, turn, Stream(alone.chunks[:count]))))

        assert response["status"] == "completed"
        assert response["output"] == final(read(whole(name, turn)))["output"]


@streams
def test_nothing_comes_of_what_follows_an_error(name: str, turn: int) -> None:
    varied = VARIANTS["error"].change(recorded(name, turn)[1])
    assert varied is not None

    events = read(answer(name, turn, varied))

    assert final(events)["error"]["code"] == "server_error"
    told = read(whole(name, turn))
    assert events[:-1] == told[: len(events) - 1]
