"""The emulator refuses what Cerebras refuses, in its words."""

from __future__ import annotations

import json

import pytest

from harness.emulator import Emulator
from tests.unit.harness.emulated import ASKED, CALLING, Answered, ask

# --- refusals ------------------------------------------------------------------------------------


def test_a_path_that_does_not_exist_is_404_with_nothing_in_it(emulator: Emulator) -> None:
    answer = ask(emulator.url, path="/v1/responses")

    assert (answer.status, answer.body) == (404, b"")


def test_only_post_exists(emulator: Emulator) -> None:
    assert ask(emulator.url, method="GET").status == 404


def test_no_key_is_403(emulator: Emulator) -> None:
    answer = ask(emulator.url, key=None)

    assert answer.status == 403
    assert json.loads(answer.body) == {"detail": "Not authenticated"}


def test_a_wrong_key_is_401(emulator: Emulator) -> None:
    answer = ask(emulator.url, key="wrong")

    assert answer.status == 401
    assert json.loads(answer.body) == {
        "message": "Wrong API Key",
        "type": "invalid_request_error",
        "param": "api_key",
        "code": "wrong_api_key",
    }


def test_a_model_that_does_not_exist_is_404(emulator: Emulator) -> None:
    answer = ask(emulator.url, model="gpt-5")

    assert answer.status == 404
    assert json.loads(answer.body) == {
        "message": "Model gpt-5 does not exist or you do not have access to it.",
        "type": "not_found_error",
        "param": "model",
        "code": "model_not_found",
    }


@pytest.mark.parametrize("content", [b"", b"no JSON", b'{"model":', b'"\xff"'], ids=ascii)
def test_a_body_that_is_no_json_is_400(emulator: Emulator, content: bytes) -> None:
    answer = ask(emulator.url, content=content)

    assert refused_format(answer) == "body: not valid JSON"


def test_a_body_that_is_no_object_is_400(emulator: Emulator) -> None:
    answer = ask(emulator.url, content=b"5")

    assert refused_format(answer) == "$: 5 is not of type 'object'"


def test_an_unknown_property_is_400(emulator: Emulator) -> None:
    answer = ask(emulator.url, store=False)

    assert "('store' was unexpected)" in refused_format(answer)


def test_an_unknown_property_of_a_message_is_400(emulator: Emulator) -> None:
    said = {"role": "assistant", "content": "4.", "reasoning_content": "2 + 2"}

    answer = ask(emulator.url, [*ASKED, said])

    assert refused_format(answer).startswith("$.messages[1]: ")
    assert "'reasoning_content' was unexpected" in refused_format(answer)


def test_everything_that_is_wrong_is_told_at_once(emulator: Emulator) -> None:
    answer = ask(emulator.url, temperature=3, seed="x")

    assert refused_format(answer) == (
        "$.seed: 'x' is not of type 'integer'; $.temperature: 3 is greater than the maximum of 1.5"
    )


def test_a_call_without_its_result_is_400(emulator: Emulator) -> None:
    answer = ask(emulator.url, [*ASKED, CALLING])

    assert refused_format(answer) == "messages: the calls ['a1'] have no result"


def test_a_call_whose_result_comes_too_late_is_400(emulator: Emulator) -> None:
    result = {"role": "tool", "tool_call_id": "a1", "content": "one"}

    answer = ask(emulator.url, [*ASKED, CALLING, *ASKED, result])

    assert refused_format(answer) == "messages: the calls ['a1'] have no result"


def test_a_result_without_its_call_is_400(emulator: Emulator) -> None:
    result = {"role": "tool", "tool_call_id": "a1", "content": "one"}

    answer = ask(emulator.url, [*ASKED, result])

    assert refused_format(answer) == "messages.1.tool: answers no call: 'a1'"


def test_a_second_result_of_a_call_is_400(emulator: Emulator) -> None:
    result = {"role": "tool", "tool_call_id": "a1", "content": "one"}

    answer = ask(emulator.url, [*ASKED, CALLING, result, result])

    assert refused_format(answer) == "messages.3.tool: answers no call: 'a1'"


def test_a_turn_after_the_last_is_400(emulator: Emulator) -> None:
    said = {"role": "assistant", "content": "Done."}

    answer = ask(emulator.url, [*ASKED, said, *ASKED, said, *ASKED])

    assert refused_format(answer) == "messages: scenario handmade is over"


def refused_format(answer: Answered) -> str:
    """Return the message of a refusal in the flat shape in which Cerebras says that."""
    assert answer.status == 400
    assert answer.content_type == "application/json"
    error = json.loads(answer.body)
    assert list(error) == ["message", "type", "param", "code"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "validation_error"
    assert error["code"] == "wrong_api_format"
    return str(error["message"])
