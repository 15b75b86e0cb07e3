"""What stands in place of prose, in requests and in streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.redact import Elision, matchable, placeholder, prose_of
from tests.unit.harness.asked import codex, message, prose
from tests.unit.harness.handmade import Json, sse

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus"
RECORDED = sorted(CORPUS.rglob("*.sse"))

# --- what stands in the place of prose ------------------------------------------------------------


def test_a_placeholder_is_a_digest_and_a_length() -> None:
    # printf 'Be brief.' | sha256sum
    assert placeholder("Be brief.") == "[elided sha256:213c22ed7234, 9 characters]"
    assert placeholder("naïve").endswith(", 5 characters]")
    assert placeholder("\ud83d").endswith(", 1 characters]")  # half of a pair


def test_what_is_elided_is_elided_no_further() -> None:
    asked = codex("codex-0.163")
    elided = Elision(asked).of_json(asked)

    assert prose_of(elided) == ["Files below /tmp may be written."]  # too short for a message
    assert Elision(elided).of_json(elided) == elided


def test_the_request_itself_is_not_touched() -> None:
    asked = codex("codex-0.163")
    before = json.dumps(asked)

    Elision(asked).of_json(asked)
    matchable(asked)

    assert json.dumps(asked) == before


def test_a_text_in_another_is_replaced_where_it_is_long() -> None:
    long = prose("long")
    said = {"input": [message("developer", long), message("user", f"You said {long}, right?")]}

    elided = Elision(said).of_json(said)

    assert elided["input"][1] == message("user", f"You said {placeholder(long)}, right?")


def test_a_short_text_is_not_looked_for_in_others() -> None:
    tool = {"parameters": {"properties": {"cmd": {"type": "string", "description": "string"}}}}
    asked = {"tools": [tool], "input": [message("user", "string"), message("developer", "Run")]}

    elided = Elision(asked).of_json({**asked, "model": "string", "text": "string, Run"})

    assert elided == {
        **asked,
        "tools": [
            json.loads(json.dumps(tool).replace(': "string"}', f': "{placeholder("string")}"}}'))
        ],
        "model": "string",
        "text": "string, Run",
    }


def test_a_text_that_is_part_of_another_stays_itself() -> None:
    inner = prose("inner")
    outer = f"Before. {inner} After."
    asked = {"instructions": inner, "input": [message("developer", outer)]}

    elided = Elision(asked).of_json({**asked, "joined": f"{outer}{inner}"})

    assert elided == {
        "instructions": placeholder(inner),
        "input": [message("developer", placeholder(outer))],
        "joined": placeholder(outer) + placeholder(inner),
    }


@pytest.mark.parametrize("ascii", [True, False])
def test_a_text_in_json_in_a_string_is_replaced(ascii: bool) -> None:
    long = prose("long")
    arguments = json.dumps({"input": f"# {long}"}, ensure_ascii=ascii)

    elided = Elision({"instructions": long}).of_json({"arguments": arguments})

    assert elided == {"arguments": f'{{"input": "# {placeholder(long)}"}}'}


# --- streams ---------------------------------------------------------------------------

INSTRUCTIONS = prose("instructions", 5000)
TOOL: Json = {
    "type": "custom",
    "name": "apply_patch",
    "description": prose("patch", 200),
    "format": {"type": "grammar", "syntax": "lark", "definition": prose("lark", 300)},
    "tools": [{"parameters": {"properties": {"a": {"description": "The working directory."}}}}],
}
ASKED: Json = {"instructions": INSTRUCTIONS, "tools": [TOOL]}


def echoing(*, ascii: bool, **more: Any) -> bytes:
    """Return the stream of a provider that echoes the request."""
    response = {"type": "response.created", "response": {"id": "resp_1", **ASKED, **more}}
    return b"data: " + json.dumps(response, ensure_ascii=ascii).encode() + b"\n\n"


@pytest.mark.parametrize("ascii", [True, False])
def test_what_a_stream_echoes_is_elided_and_as_long(ascii: bool) -> None:
    said = {"type": "response.output_text.delta", "delta": "Voilà", "obfuscation": "aZ"}
    stream = echoing(ascii=ascii) + sse(said)

    elided = Elision(ASKED).of_stream(stream)

    assert len(elided) == len(stream)
    echo, rest = elided.split(b"\n\n", 1)
    assert rest == sse(said)
    response = json.loads(echo.removeprefix(b"data: "))["response"]
    assert response["instructions"].rstrip(".") == placeholder(INSTRUCTIONS)
    (tool,) = response["tools"]
    assert tool["description"].rstrip(".") == placeholder(prose("patch", 200))
    assert tool["format"]["definition"].rstrip(".") == placeholder(prose("lark", 300))
    # Shorter than a placeholder: of that there is as much as there is room for.
    short = tool["tools"][0]["parameters"]["properties"]["a"]["description"]
    assert short == "[elided sha256:68c5126"
    # All else is as it was.
    assert {**response, **ASKED} == {"id": "resp_1", **ASKED}
    assert {**tool, "description": "", "format": "", "tools": ""} == {
        **TOOL,
        "description": "",
        "format": "",
        "tools": "",
    }


def test_what_the_model_says_stays() -> None:
    said = sse(
        {"type": "response.output_text.done", "text": f"You told me: {INSTRUCTIONS}"},
        {"type": "response.output_text.done", "text": "The working directory."},
        {"type": "response.output_text.delta", "delta": INSTRUCTIONS[:30]},
        {
            "type": "response.output_item.done",
            "arguments": '{"description":"The working directory."}',
        },
    )

    assert Elision(ASKED).of_stream(said) == said


def test_a_very_short_text_stays_in_a_stream() -> None:
    asked = {"tools": [{"description": "Eleven char"}, {"description": "Twelve chars"}]}

    elided = Elision(asked).of_stream(json.dumps(asked).encode())

    assert json.loads(elided) == {
        "tools": [{"description": "Eleven char"}, {"description": "[elided sha2"}]
    }


def test_what_is_no_json_stays() -> None:
    stream = b'<html class="a">"quoted" \n data: {"a": "\n"} \xff "' + b'"' * 99

    assert Elision(ASKED).of_stream(stream) == stream
    assert Elision({}).of_stream(b'"description": "What is it?"') == b'"description": "What is it?"'


@pytest.mark.parametrize("ascii", [True, False])
def test_wherever_a_stream_is_cut_nothing_of_the_prose_is_left(ascii: bool) -> None:
    stream = echoing(ascii=ascii)
    elision = Elision(ASKED)
    left = "Be brief, and say so"  # behind the first 40 characters of each text it may be told

    for size in [*range(40, 400), *range(4800, len(stream), 37)]:
        elided = elision.of_stream(stream[:size])
        assert len(elided) == size
        assert left not in elided[:-60].decode(errors="replace")


def test_what_only_begins_like_the_prose_stays_where_a_stream_is_cut() -> None:
    cut = b'data: {"delta":"' + INSTRUCTIONS[:30].encode()

    assert Elision(ASKED).of_stream(cut) == cut


@pytest.mark.skipif(not RECORDED, reason=f"there are no recordings at {CORPUS}")
def test_a_recorded_stream_without_an_echo_is_not_touched() -> None:
    streams = [file.read_bytes() for file in RECORDED]

    assert [Elision(ASKED).of_stream(stream) for stream in streams] == streams
