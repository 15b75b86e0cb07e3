"""The scenarios that ChatGPT's backend alone can play: it fails, in its own words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from harness import scenarios
from harness.codex_requests import begin
from harness.schema import check_event
from tests.unit.harness.backends import CHATGPT, KEY, RESPONSES, events_of
from tests.unit.harness.handmade import Json


def played(name: str) -> httpx.Response:
    """Return the answer to the first request of the scenario's client."""
    scenario = scenarios.load(name)
    assert scenario.backends == ("chatgpt",)
    return CHATGPT.play(scenario, begin(scenario, model="gpt-5.5").request())


def own_refusal(request: Json = RESPONSES, key: str = KEY) -> httpx.Response:
    """Return what the emulator says of itself to such a request."""
    with CHATGPT.emulator(scenarios.load("hello")) as emulator:
        return CHATGPT.ask(emulator, request, key=key)


def test_a_usage_limit_says_when_it_is_over_in_body_and_headers() -> None:
    answer = played("usage-limit")

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (429, "usage_limit_reached")
    headers = answer.headers
    assert headers["x-codex-primary-used-percent"] == "100"
    assert headers["x-codex-primary-reset-at"] == str(error["resets_at"])
    assert headers["x-codex-primary-reset-after-seconds"] == str(error["resets_in_seconds"])
    assert headers["x-codex-plan-type"] == error["plan_type"]


@pytest.mark.parametrize("name", ["unsupported-model", "expired-login"])
def test_a_refusal_has_the_words_that_the_emulator_itself_has(name: str) -> None:
    asked: dict[str, Any] = {
        "unsupported-model": {"request": {**RESPONSES, "model": "gpt-5.2-codex"}},
        "expired-login": {"key": "expired"},
    }

    answer, own = played(name), own_refusal(**asked[name])

    assert (answer.status_code, answer.content) == (own.status_code, own.content)


def test_a_response_that_fails_in_mid_stream_is_valid_to_its_end() -> None:
    events = events_of(played("failed-in-stream"))

    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1]["response"]["error"]["code"] == "server_is_overloaded"
    assert "response.output_text.delta" in {event.type for event in events}
    assert all(check_event(event.data or {}) == [] for event in events)
