"""The emulator's headers and refusals beside those that were recorded of the real providers."""

from __future__ import annotations

import json
from typing import Final

import pytest

from harness.scenarios import Refusal, Turn
from tests.unit.harness.backends import (
    ASKED,
    CEREBRAS,
    CHAT,
    CHATGPT,
    CORPUS,
    KEY,
    RESPONSES,
    chunks_of,
)
from tests.unit.harness.handmade import Json, scenario, turn

OF_CEREBRAS: Final = CORPUS / "cerebras" / "errors.jsonl"
OF_CHATGPT: Final = CORPUS / "chatgpt-backend" / "headers-and-errors.json"

pytestmark = pytest.mark.skipif(
    not (OF_CEREBRAS.exists() and OF_CHATGPT.exists()),
    reason=f"there are no recordings at {CORPUS}",
)


def asking(message: Json) -> Json:
    return {**CHAT, "messages": [ASKED, message]}


# --- headers -------------------------------------------------------------------------------------


def test_cerebras_headers_are_there() -> None:
    """Streams were recorded without them; the corpus names them."""
    names = [
        f"x-ratelimit-{kind}-{unit}"
        for kind in ("limit", "remaining", "reset")
        for unit in ("requests-day", "tokens-minute")
    ]

    answer = CEREBRAS.play(scenario(turn("Hi")))

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert not {*names, "x-request-id"} - set(answer.headers)
    assert all(float(answer.headers[name]) for name in names)
    assert {chunk["id"] for chunk in chunks_of(answer)} == {answer.headers["inference-id"]}


def test_chatgpts_headers_are_there() -> None:
    recorded, *_ = json.loads(OF_CHATGPT.read_bytes())
    theirs = dict(line.lower().split(": ") for line in recorded["response_headers"])

    ours = CHATGPT.play(scenario(turn("Hi")))

    assert {name: _likeness(ours.headers.get(name)) for name in theirs} == {
        name: _likeness(value) for name, value in theirs.items()
    }


def _likeness(value: str | None) -> str:
    """Return what a header is, not what it says."""
    if value is None or value.lower() in ("true", "false"):
        return str(value).lower()
    return "number" if value.isdecimal() else value[:5].lower()


# --- refusals ------------------------------------------------------------------------------------

#: What the emulator refuses itself: part of the line that was recorded, what is sent, and the word
#: that the message names where it has one of its own: of its schema, that is.
REFUSED: Final[tuple[tuple[str, Json, str], ...]] = (
    ("Wrong API Key", {"key": "wrong"}, ""),
    ("Not authenticated", {"key": None}, ""),
    ("unrouted path", {"path": "/responses"}, ""),
    ("model_not_found", {"request": {**CHAT, "model": "invalid model"}}, ""),
    (
        "reasoning_content",
        {"request": asking({"role": "assistant", "content": "4.", "reasoning_content": "2 + 2"})},
        "reasoning_content",
    ),
    (
        "Input should be 'text'",
        {"request": asking({"role": "user", "content": [{"type": "image_url"}]})},
        "image_url",
    ),
)


def recorded_refusals() -> list[str]:
    """Return the lines of what was recorded with a body."""
    lines = OF_CEREBRAS.read_text(encoding="utf-8").splitlines() if OF_CEREBRAS.exists() else []
    return [line for line in lines if "body" in json.loads(line)]


@pytest.mark.parametrize(("needle", "sent", "word"), REFUSED)
def test_cerebras_refusals_are_those_that_were_recorded(needle: str, sent: Json, word: str) -> None:
    (theirs,) = (json.loads(line) for line in recorded_refusals() if needle in line)

    with CEREBRAS.emulator(scenario(turn("Hi"))) as emulator:
        ours = CEREBRAS.ask(emulator, **sent)

    assert ours.status_code == theirs["status"]
    assert ours.headers["content-type"] == theirs.get("content_type", "application/json")
    if not word:
        assert ours.text == theirs["body"]
    else:
        own, recorded = ours.json(), json.loads(theirs["body"])
        assert list(own) == list(recorded)
        assert {**own, "message": recorded["message"]} == recorded
        assert word in own["message"]


@pytest.mark.parametrize("line", recorded_refusals(), ids=lambda line: line[:60])
def test_a_scenario_can_refuse_in_words_that_were_recorded(line: str) -> None:
    theirs = json.loads(line)
    body = json.loads(theirs["body"]) if theirs["body"] else ""
    refused = Turn(refusal=Refusal(theirs["status"], body, headers=theirs.get("headers", {})))

    ours = CEREBRAS.play(scenario(refused))

    assert (ours.status_code, ours.text) == (theirs["status"], theirs["body"])
    assert theirs.get("headers", {}).items() <= dict(ours.headers).items()


def test_chatgpts_refusals_are_those_that_were_recorded() -> None:
    _, *recorded = json.loads(OF_CHATGPT.read_bytes())
    asked: dict[int, tuple[Json, str]] = {
        400: ({**RESPONSES, "model": "gpt-5.2-codex"}, KEY),
        401: (RESPONSES, "wrong"),
    }

    for theirs in recorded:
        request, key = asked.pop(theirs["status"])
        with CHATGPT.emulator(scenario(turn("Hi"))) as emulator:
            ours = CHATGPT.ask(emulator, request, key=key)
        assert (ours.status_code, ours.json()) == (theirs["status"], theirs["body"])
    assert not asked
