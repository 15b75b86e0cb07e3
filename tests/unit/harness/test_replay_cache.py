"""The proxy on recordings: what was asked before comes from files, what is new is recorded."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import scenarios
from harness.cassette import check_digest, load, provenance
from harness.client import Answer, send
from harness.codex_requests import begin
from harness.emulator import Emulator
from harness.record import Live
from harness.replay_cache import ReplayCache
from tests.cassettes import cerebras

KEY = "csk-of-the-emulator"

HELLO = scenarios.load("hello")


@contextmanager
def serving(*paths: Path, **more: Any) -> Iterator[tuple[ReplayCache, list[str]]]:
    """Yield a cache, and what it tells."""
    told: list[str] = []
    with ReplayCache(paths, backend="cerebras", on_request=told.append, **more) as cache:
        yield cache, told


def text(answer: Answer) -> str:
    last = answer.events[-1]
    assert last.type == "response.completed", answer.text
    return "".join(part["text"] for item in last["response"]["output"] for part in item["content"])


def asked(prompt: str = HELLO.prompt, **more: object) -> dict[str, Any]:
    request = copy.deepcopy(begin(HELLO).request())
    request["input"][-1]["content"][0]["text"] = prompt
    return {**request, **more}


def test_what_was_recorded_is_answered_as_often_as_it_is_asked() -> None:
    with serving(cerebras("hello")) as (cache, told):
        answers = [text(send(cache.url, asked())) for _ in range(3)]

    assert answers == ["Hello, world!"] * 3
    assert told == []
    assert cache.summary == "3 answered from recordings, 0 recorded, 0 in no recording"


def test_another_version_of_codex_finds_the_recording() -> None:
    other = asked(instructions="Be another model, with quite another prompt.")
    other["tools"][0]["description"] = "Described in other words."

    with serving(cerebras("hello")) as (cache, _):
        assert text(send(cache.url, other)) == "Hello, world!"


def test_a_conversation_goes_on_whatever_a_tool_printed() -> None:
    talk = begin(scenarios.load("create-file"))
    with serving(cerebras("create-file"), cerebras("hello")) as (cache, told):
        first = send(cache.url, talk.request())
        talk.take(first.events)
        request = talk.request()
        request["input"][-1]["output"] = '{"output":"something else","metadata":{}}'
        second = send(cache.url, request)

    assert second.events[-1].type == "response.completed"
    assert told == []


def test_what_is_in_no_recording_is_told_with_the_difference() -> None:
    with serving(cerebras("hello")) as (cache, told):
        answer = send(cache.url, asked("say goodbye"))

    assert answer.status == 200
    assert answer.events[-1].type == "response.failed"
    (miss,) = told
    assert "is in no recording" in miss
    assert "say goodbye" in miss


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(HELLO, api_key=KEY) as emulator:
        yield emulator


def test_what_is_new_is_asked_once_and_recorded(tmp_path: Path, emulator: Emulator) -> None:
    target = tmp_path / "mine" / "served.yaml"
    live = Live(emulator.base_url, KEY)

    with serving(live=live, target=target) as (cache, told):
        first = text(send(cache.url, asked("something new")))
        second = text(send(cache.url, asked("something new")))
    with serving(target=target) as (offline, told_offline):
        third = text(send(offline.url, asked("something new")))

    assert [first, second, third] == ["Hello, world!"] * 3
    assert told == [f"recorded in {target}: 1 answers"]
    assert told_offline == []
    recorded = load(target)
    check_digest(recorded)
    assert provenance(recorded)["upstream"] == "live"
    assert (
        "something new"
        in json.loads(recorded.responses[0]["client_request"]["body"])["input"][-1]["content"][0][
            "text"
        ]
    )
    assert KEY not in target.read_text()


def test_what_comes_later_is_added_to_what_was_recorded(tmp_path: Path, emulator: Emulator) -> None:
    target = tmp_path / "served.yaml"
    live = Live(emulator.base_url, KEY)

    for prompt in ("one", "two", "one"):
        with serving(cerebras("create-file"), target, live=live, target=target) as (cache, _):
            text(send(cache.url, asked(prompt)))

    assert len(load(target)) == 2


def test_a_failure_that_was_got_over_is_got_over_again() -> None:
    limited = begin(scenarios.load("rate-limit")).request()

    with serving(cerebras("rate-limit")) as (cache, _):
        ends = [send(cache.url, limited).events[-1].type for _ in range(4)]

    assert ends == ["response.failed", *["response.completed"] * 3]


def test_an_answer_that_is_not_whole_is_not_kept(tmp_path: Path) -> None:
    once = scenarios.load("rate-limit")
    target = tmp_path / "served.yaml"

    with (
        Emulator(once, api_key=KEY) as limited,
        serving(live=Live(limited.base_url, KEY), target=target) as (cache, _),
    ):
        ends = [send(cache.url, asked()).events[-1].type for _ in range(3)]

    assert ends == ["response.failed", "response.completed", "response.completed"]
    assert len(load(target)) == 1


def test_each_answer_is_kept_with_its_own_question(tmp_path: Path, emulator: Emulator) -> None:
    target = tmp_path / "served.yaml"
    prompts = [f"question {number} of several" for number in range(6)]

    with serving(live=Live(emulator.base_url, KEY), target=target) as (cache, _):
        # The proxy refuses it, and asks nobody.
        refused = send(cache.url, asked("the first of all", previous_response_id="resp_1"))
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda prompt: text(send(cache.url, asked(prompt))), prompts))

    assert refused.status == 400
    pairs = [
        (last_prompt(response["client_request"]["body"]), last_prompt(request.body))
        for request, response in load(target).data
    ]
    assert sorted(pairs) == [(prompt, prompt) for prompt in prompts]


def last_prompt(body: str | bytes) -> str:
    """Return what the person said last, in a request of either API."""
    request = json.loads(body)
    said = request.get("messages") or request["input"]
    content = said[-1]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def test_a_request_that_is_packed_is_answered_too() -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    with serving(cerebras("hello")) as (cache, _):
        answer = httpx.post(
            f"{cache.url}/v1/responses",
            content=gzip.compress(json.dumps(asked()).encode()),
            headers=headers,
            trust_env=False,
        )

    assert answer.status_code == 200
    assert "Hello, world!" in answer.text


def test_where_nothing_can_be_written_that_is_told(tmp_path: Path, emulator: Emulator) -> None:
    (tmp_path / "file").write_text("no folder")
    target = tmp_path / "file" / "served.yaml"

    with serving(live=Live(emulator.base_url, KEY), target=target) as (cache, told):
        assert text(send(cache.url, asked("new"))) == "Hello, world!"

    (line,) = told
    assert line.startswith(f"not recorded: {target}: cannot be written: ")
    assert cache.summary.endswith("0 recorded, 0 in no recording")
