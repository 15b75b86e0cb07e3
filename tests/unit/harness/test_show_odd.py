"""Odd cassettes, and hostile ones: they are shown, and nothing gets at the terminal."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from vcr.request import Request

from harness.cassette import open_cassette
from harness.show import show
from harness.terminal import width_of
from tests.cassettes import FOLDER
from tests.unit.harness.handmade import Json, request, response, sse, write
from tests.unit.harness.shown import (
    CHATGPT,
    NOW,
    ORIGIN,
    answered,
    asking,
    calling,
    chunks,
    rows,
    sending,
    shown,
    without_color,
)

RECORDED = sorted(FOLDER.rglob("*.yaml"))


# --- odd ones ------------------------------------------------------------------------------------

EURO = 'data: {"choices":[{"index":0,"delta":{"content":"€"}}]}\n\n'.encode()

ODD = {
    "nothing": b"",
    "nothing of a stream": b"\n\n",
    "cut inside a character": EURO[: EURO.index("€".encode()) + 2],
    "cut inside an event": EURO[:-20],
    "binary": bytes(range(256)) * 4,
    "zeros": b"\0" * 1000,
    "binary that looks like a stream": b"data: " + bytes(range(256)) * 4,
    "JSON that is no object": b"[1, 2]",
    "an empty object": b"{}",
    "JSON that is too deep": b'{"a":' * 100_000,
    "a stream of JSON that is too deep": b"data: " + b"[" * 100_000 + b"\n\n",
    "lines that end as on Windows": EURO.replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + EURO,
    "one long line": b"x" * 200_000,
}


@pytest.mark.parametrize(
    "uri", ["http://p/v1/chat/completions", CHATGPT], ids=["chat", "responses"]
)
@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_whatever_the_body_is_it_is_shown(tmp_path: Path, body: bytes, uri: str) -> None:
    text = answered(tmp_path, body, uri=uri)

    assert_safe(text)
    assert len(text.splitlines()) < 60


def test_bytes_that_are_no_text_are_counted(tmp_path: Path) -> None:
    assert "1.0 KB that are no text" in answered(tmp_path, ODD["binary"])
    assert "1.0 KB that are no text" in answered(tmp_path, ODD["zeros"])


def test_a_stream_that_was_cut_says_so(tmp_path: Path) -> None:
    text = answered(tmp_path, ODD["cut inside a character"])

    assert rows(text, "odd") == ['data: {"choices":[{"index":0,"delta":{"content":"\ufffd']
    assert rows(text, "finish") == ["the answer has no end"]


def test_an_answer_without_a_byte_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (sending({}), response(end="timeout")))

    assert rows(shown(path), "stream") == ["nothing came"]
    assert rows(shown(path), "ended") == ["timeout"]


def assert_safe(text: str) -> None:
    acting = [
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character != "\n")
        or unicodedata.bidirectional(character) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI")
    ]
    assert acting == []


ATTACK = "\x1b]0;owned\x07\x1b[2J\r\x9b1m\u202egnp"


def test_no_text_can_act_on_the_terminal(tmp_path: Path) -> None:
    """Everything that is text in a cassette tries to."""
    item = {"type": ATTACK, ATTACK: ATTACK}
    inputs = [
        {"type": "message", "role": ATTACK, "content": ATTACK},
        {"type": "function_call_output", "call_id": ATTACK, "output": json.dumps({ATTACK: ATTACK})},
        item,
    ]
    body = {
        "model": ATTACK,
        "instructions": ATTACK,
        "input": inputs,
        "tools": [{"name": ATTACK}],
        ATTACK: ATTACK,
    }
    stream = chunks(
        {"reasoning": ATTACK},
        {"content": ATTACK},
        calling(ATTACK, ATTACK, json.dumps({ATTACK: [ATTACK, ATTACK + "\n"]})),
        finish=ATTACK,
    )
    ours = {**asking(body), "method": ATTACK, "path": f"/{ATTACK}"}
    answer = response(*stream, ATTACK.encode(), client_request=ours)
    answer |= {
        "status": {"code": 200, "message": ATTACK},
        "headers": {ATTACK: [ATTACK]},
    }
    events = response(
        sse(
            {"type": "response.output_item.done", "output_index": 1, "item": item},
            {"type": "response.failed", "response": {"error": {"code": ATTACK, "message": ATTACK}}},
        )
    )
    error = response(json.dumps({ATTACK: ATTACK}).encode())
    origin = {**dict.fromkeys(ORIGIN, ATTACK), "upstream": "live", "sha256": "0f" * 32}

    path = write(
        tmp_path / "c.yaml",
        (sending({**body, "messages": inputs, "x": 1}), answer),
        (Request(ATTACK, f"http://p/{ATTACK}", ATTACK.encode(), {}), events),
        (sending(body), error),
        provenance=origin,
    )
    text = shown(path, width=200)

    assert_safe(text)
    assert text.count(r"\x1b]0;owned\x07") > 25
    assert_safe(without_color(shown(path, width=200, color=True)))


def test_a_cassette_that_does_not_say_where_it_is_from_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    text = shown(path)

    assert text.startswith("── ")
    assert "it does not say where it is from" in text
    assert "client ─▶ proxy" not in text


@pytest.mark.parametrize("date", ["yesterday", "2026-11-22", "0001-01-01T00:00:00+14:00", ""])
def test_any_date_is_shown(tmp_path: Path, date: str) -> None:
    origin = {**ORIGIN, "recorded_at": date}
    path = write(tmp_path / "c.yaml", (request(), response(b"x")), provenance=origin)

    assert rows(shown(path), "recorded")[0].startswith(date)


#: What the schema of a cassette allows, and no recorder writes.
STRANGE: dict[str, Json] = {
    "times at the end of time": {"stream": {"chunks": [[0, 1], [1e308, 1]]}},
    "times in disorder": {"stream": {"chunks": [[9, 1], [3, 1]]}},
    "empty chunks": {"stream": {"chunks": [[0, 0], [1, 2], [1, 0]]}},
    "headers of all kinds": {"headers": {"a": "text", "b": None, "c": [1, None], "d": {"e": []}}},
    "a status of its own": {"status": {"code": -1, "message": ["odd"]}},
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_the_schema_allows_is_shown(tmp_path: Path, strange: Json) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"xy", client_request=asking({}))))
    document = yaml.safe_load(path.read_text())
    recorded = document["interactions"][0]["response"]
    for name, value in strange.items():
        recorded[name] = {**recorded[name], **value} if name == "stream" else value
    path.write_text(yaml.safe_dump(document))

    assert_safe(shown(path))


@pytest.mark.parametrize("body", [None, 5, ["a"], {"a": 1}, ""], ids=repr)
def test_a_request_of_any_kind_is_shown(tmp_path: Path, body: object) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))
    document = yaml.safe_load(path.read_text())
    document["interactions"][0]["request"]["body"] = body
    path.write_text(yaml.safe_dump(document))

    assert_safe(shown(path))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
items = json_values | st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call_output", "x"]) | json_values},
    optional=dict.fromkeys(["role", "content", "output", "call_id"], json_values),
)
requests = json_values | st.fixed_dictionaries(
    {},
    optional={
        "input": st.lists(items) | json_values,
        "messages": st.lists(items) | json_values,
        "tools": st.lists(items) | json_values,
        "model": json_values,
        "instructions": json_values,
    },
)


@given(st.lists(requests, min_size=1, max_size=2), requests, st.binary(), st.integers(1, 130))
def test_anything_is_shown_in_its_width(
    tmp_path_factory: pytest.TempPathFactory,
    clients: list[Json],
    sent: Json,
    body: bytes,
    width: int,
) -> None:
    path = write(
        tmp_path_factory.getbasetemp() / "any.yaml",
        *((sending(sent), response(body, client_request=asking(asked))) for asked in clients),
    )

    text = shown(path, width=width)

    assert_safe(text)
    assert without_color(shown(path, width=width, color=True)) == text
    assert [line for line in text.splitlines() if width_of(line) > max(width, 40)] == []


@pytest.mark.parametrize("depth", range(100, 1001, 25))
def test_arguments_and_requests_of_any_depth_are_shown(tmp_path: Path, depth: int) -> None:
    """As deep as JSON can be read, and not be written again."""
    deep = "[" * depth + "]" * depth
    asked = {**asking({}), "body": f'{{"input": [{deep}], "tools": {deep}, "x": {deep}}}'}
    stream = chunks(calling("1", "shell", f'{{"a": {deep}}}'))
    path = write(tmp_path / "c.yaml", (request(), response(*stream, client_request=asked)))

    assert_safe(shown(path))


def test_a_long_recording_is_shown_at_once(tmp_path: Path) -> None:
    arguments = json.dumps({"cmd": "x" * 200_000, "patch": "+ line\n" * 20_000})
    stream = chunks({"reasoning": "thinking " * 20_000}, calling("1", "shell", arguments))
    path = write(tmp_path / "c.yaml", (sending({}), response(*stream)))

    with open_cassette(path) as cassette:
        start = time.perf_counter()
        text = show(cassette, color=True, width=80, now=NOW)
        took = time.perf_counter() - start

    assert took < 1
    assert len(text.splitlines()) < 80
