"""The schemas against the installed SDK; `tox -e drift` has it."""

from __future__ import annotations

import pytest

pytest.importorskip("openai", reason="the openai SDK is not installed: tox -e drift installs it")

from harness.client import Event, read_events
from harness.compare import Accepted, Difference, unmatched
from harness.drift.sdk import Sdk, sdk_differences
from harness.replay import recorded_turns
from tests.cassettes import FOLDER


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    return Sdk()


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return [event for turn in recorded_turns(FOLDER / "chatgpt" / "hello.yaml") for event in turn]


def ids(found: list[Difference]) -> list[str]:
    return [one.id for one in found if one.reason is None]


def test_every_model_is_found(sdk: Sdk) -> None:
    assert len(sdk.models["event"]) >= 59
    assert {"message", "function_call", "reasoning", "custom_tool_call"} <= set(sdk.models["item"])
    assert {"output_text", "refusal", "reasoning_text", "summary_text"} <= set(sdk.models["part"])


def test_a_field_that_the_sdk_requires_and_a_schema_does_not_is_a_difference(sdk: Sdk) -> None:
    assert sdk.required("event", "response.output_text.delta") == {
        "content_index", "delta", "item_id", "logprobs", "output_index", "sequence_number", "type",
    }  # fmt: skip
    assert "event error: field message not required" in ids(sdk_differences(sdk, [], accepted=[]))


def test_what_the_schemas_accept_and_the_sdk_does_not_is_a_difference(
    sdk: Sdk, events: list[Event]
) -> None:
    found = sdk_differences(sdk, [("hello", events)], accepted=[])

    usage = "response: usage.input_tokens_details.cache_write_tokens: Field required rejected"
    assert usage in ids(found)
    assert next(one.where for one in found if one.id == usage).endswith("(response.completed)")


def test_what_the_schemas_reject_is_no_difference(sdk: Sdk) -> None:
    (broken,) = read_events(b'event: x\ndata: {"type": "response.output_text.delta"}\n\n')

    assert sdk.rejects(broken.data or {}) is not None
    assert sdk_differences(sdk, [("x", [broken])], []) == sdk_differences(sdk, [], [])


def test_a_reason_accepts_a_difference_and_gets_stale_without_it(sdk: Sdk) -> None:
    accepted = [Accepted("why not", ["event response.audio.* missing", "item gone missing"])]

    found = sdk_differences(sdk, [], accepted)

    reasons = {one.id: one.reason for one in found}
    assert reasons["event response.audio.delta missing"] == "why not"
    assert reasons["event response.queued missing"] is None
    assert unmatched(found, accepted) == ["item gone missing"]
