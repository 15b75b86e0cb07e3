"""A recorded answer calls what was offered, however the recording is cut."""

from __future__ import annotations

import copy
import json

import pytest

from harness.chat_stream import SaidCall, read_chat_stream
from harness.offered import in_offered_words
from harness.rules.asked import tools_of
from tests.unit.harness.handmade import Json, response

#: What the client offers, and what the recording calls of it.
CLIENTS = tools_of(
    {
        "tools": [
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
            {"type": "custom", "name": "patch"},
            {"type": "function", "name": "g"},
        ]
    }
)


def chunk(index: int, **function: str) -> bytes:
    delta = {"tool_calls": [{"index": index, "function": function}]}
    said = {"choices": [{"delta": delta, "index": 0}]}
    return b"data: %b\n\n" % json.dumps(said, ensure_ascii=False).encode()


STREAM = b"".join(
    [
        b': hm\n\ndata: {"choices":[{"delta":{"content":"input \xc3\xb6"}}]}\r\n\r\n',
        chunk(0, name="n__f", arguments='{"input":1}'),
        chunk(1, name="patch", arguments=""),
        *(chunk(1, arguments=piece) for piece in ('{"', "inp", 'ut": "ü', ' input"}')),
        chunk(2, name="g", arguments='{"input":2}'),
        b"data: [DONE]\n\n",
    ]
)


def answer(size: int) -> Json:
    """Return the recording, in chunks of `size` bytes."""
    given = response(STREAM)
    sizes = [len(STREAM[at : at + size]) for at in range(0, len(STREAM), size)]
    given["stream"] = {"chunks": [[at, size] for at, size in enumerate(sizes)], "end": "complete"}
    return given


def request(**parameters: list[str]) -> bytes:
    """Return a request that offers these functions, with these parameters."""
    tools = [
        {"function": {"name": name, "parameters": {"properties": {key: {} for key in names}}}}
        for name, names in parameters.items()
    ]
    return json.dumps({"tools": tools}).encode()


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize("name", ["f", "n_f"])
@pytest.mark.parametrize("parameter", ["p", "a_longer_one"])
def test_a_call_has_the_name_and_the_parameter_that_were_offered(
    size: int, name: str, parameter: str
) -> None:
    given = answer(size)

    in_offered_words(given, CLIENTS, request(**{name: ["input"], "patch": [parameter], "g": []}))

    said = read_chat_stream(given["body"]["string"])
    assert said.text == "input ö"
    assert [(call.name, call.arguments) for call in said.calls] == [
        (name, '{"input":1}'),
        ("patch", f'{{"{parameter}": "ü input"}}'),
        ("g", '{"input":2}'),
    ]
    sizes = [size for _, size in given["stream"]["chunks"]]
    assert sum(sizes) == len(given["body"]["string"])
    assert min(sizes) > 0
    assert len(sizes) >= len(answer(size)["stream"]["chunks"]) * 0.7


@pytest.mark.parametrize(
    "asked",
    [
        request(n__f=["input"], patch=["input"], g=["input"]),
        request(n__f=[], patch=["one", "two"]),
        request(other=["p"]),
        b"{}",
        b"[]",
        b"no JSON",
        b'{"tools": [{"function": 7}]}',
    ],
)
def test_a_call_of_what_was_offered_is_as_it_was_recorded(asked: bytes) -> None:
    given = answer(7)
    before = copy.deepcopy(given)

    in_offered_words(given, CLIENTS, asked)

    assert given == before


def test_what_the_client_does_not_have_is_called_as_it_was_recorded() -> None:
    given = answer(7)

    in_offered_words(given, [], request(f=["p"], patch=["p"]))

    assert read_chat_stream(given["body"]["string"]).calls[0] == SaidCall("", "n__f", '{"input":1}')
