"""The conversation: items in, messages out."""

from __future__ import annotations

import json

import pytest

from proxy.request import InvalidRequest
from tests.unit.proxy.conversations import (
    Json,
    called,
    calls,
    messages,
    result,
    returns,
    says,
    sent,
    thinks,
)

# --- what is said --------------------------------------------------------------------------------


def test_input_that_is_a_string_is_the_users_message() -> None:
    assert sent(input="Say hello.")["messages"] == [{"role": "user", "content": "Say hello."}]


def test_instructions_come_first_as_system_message() -> None:
    assert messages(says("user", "Hi"), instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_instructions_come_before_input_that_is_a_string() -> None:
    assert sent(input="Hi", instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_empty_instructions_are_no_message() -> None:
    assert messages(says("user", "Hi"), instructions="") == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("role", "becomes"),
    [
        ("user", "user"),
        ("assistant", "assistant"),
        ("system", "system"),
        # Not every model at Cerebras takes the role `developer`.
        ("developer", "system"),
    ],
)
def test_a_message_keeps_its_text_and_gets_a_role_of_chat(role: str, becomes: str) -> None:
    assert messages(says(role, "Hi")) == [{"role": becomes, "content": "Hi"}]


def test_messages_keep_their_order() -> None:
    conversation = [says("developer", "1"), says("user", "2"), says("assistant", "3")]

    assert messages(*conversation, says("user", "4")) == [
        {"role": "system", "content": "1"},
        {"role": "user", "content": "2"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "4"},
    ]


def test_a_message_needs_no_type() -> None:
    assert messages({"role": "user", "content": "Hi"}) == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_content_may_be_a_string(role: str) -> None:
    assert messages({"type": "message", "role": role, "content": "Hi"})[0]["content"] == "Hi"


def test_text_parts_are_joined_without_a_separator() -> None:
    parts = [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": " two"}]

    assert messages({"role": "user", "content": parts})[0]["content"] == "one two"


def test_a_refusal_is_text_of_the_assistant() -> None:
    parts = [{"type": "refusal", "refusal": "I won't."}]

    assert messages({"role": "assistant", "content": parts})[0]["content"] == "I won't."


def test_text_of_any_script_passes_unchanged() -> None:
    text = 'Grüße, 日本, 🎉 and "quotes"\n\twith \\ control \x00 characters'

    assert messages(says("user", text))[0]["content"] == text


# --- one turn of the model is one message --------------------------------------------------------


def test_a_call_is_a_message_without_text() -> None:
    item = calls("call_1", "shell", '{"command": ["ls"]}')

    assert messages(item)[0] == {
        "role": "assistant",
        "tool_calls": [
            {
                "type": "function",
                "id": "call_1",
                "function": {"name": "shell", "arguments": '{"command": ["ls"]}'},
            }
        ],
    }


def test_arguments_that_are_no_json_pass_unchanged() -> None:
    (message, _) = messages(calls("call_1", arguments='{"command": ["l'))

    assert message["tool_calls"][0]["function"]["arguments"] == '{"command": ["l'


def test_text_and_the_calls_beside_it_are_one_message() -> None:
    assert messages(says("assistant", "I look."), calls("a"), calls("b")) == [
        {"role": "assistant", "content": "I look.", "tool_calls": called("a", "b")},
        result("a", "aborted"),
        result("b", "aborted"),
    ]


def test_text_behind_calls_belongs_to_the_same_message() -> None:
    (message, _) = messages(calls("a"), says("assistant", "I look."))

    assert message == {"role": "assistant", "content": "I look.", "tool_calls": called("a")}


def test_texts_that_follow_each_other_are_paragraphs_of_one_message() -> None:
    assert messages(says("assistant", "One."), says("assistant", "Two.")) == [
        {"role": "assistant", "content": "One.\n\nTwo."}
    ]


def test_an_empty_text_of_the_assistant_is_left_out() -> None:
    user = {"role": "user", "content": "Hi"}

    assert messages(says("assistant", ""), says("user", "Hi")) == [user]
    assert messages(says("assistant", ""), calls("a"))[0] == {
        "role": "assistant",
        "tool_calls": called("a"),
    }


def test_what_the_user_says_parts_two_turns() -> None:
    assert messages(says("assistant", "One."), says("user", "And?"), says("assistant", "Two.")) == [
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "Two."},
    ]


# --- reasoning -----------------------------------------------------------------------------------


def test_reasoning_goes_into_the_text_that_it_led_to() -> None:
    assert messages(thinks("It is easy."), says("assistant", "4")) == [
        {"role": "assistant", "content": "4", "reasoning": "It is easy."}
    ]


def test_reasoning_goes_into_the_calls_that_it_led_to() -> None:
    assert messages(thinks("I must look."), calls("a"), returns("a")) == [
        {"role": "assistant", "reasoning": "I must look.", "tool_calls": called("a")},
        result("a"),
    ]


def test_reasoning_stays_in_its_own_turn() -> None:
    conversation = [thinks("First."), calls("a"), returns("a"), thinks("Then."), calls("b")]

    (first, _, second, _) = messages(*conversation, returns("b"))

    assert (first["reasoning"], second["reasoning"]) == ("First.", "Then.")


def test_reasoning_of_one_turn_is_joined() -> None:
    assert messages(thinks("One."), thinks("Two."), says("assistant", "4")) == [
        {"role": "assistant", "content": "4", "reasoning": "One.\n\nTwo."}
    ]


def test_reasoning_between_text_and_a_call_belongs_to_both() -> None:
    conversation = [says("assistant", "I look."), thinks("Where?"), calls("a"), returns("a")]

    assert messages(*conversation)[0] == {
        "role": "assistant",
        "content": "I look.",
        "reasoning": "Where?",
        "tool_calls": called("a"),
    }


def test_the_content_of_reasoning_counts_before_its_summary() -> None:
    content = [{"type": "reasoning_text", "text": "in full"}]

    (message,) = messages({**thinks("in short"), "content": content}, says("assistant", "4"))

    assert message["reasoning"] == "in full"


@pytest.mark.parametrize("content", [None, []])
def test_without_content_the_summary_of_reasoning_counts(content: object) -> None:
    (message,) = messages({**thinks("in short"), "content": content}, says("assistant", "4"))

    assert message["reasoning"] == "in short"


def test_reasoning_that_holds_nothing_readable_is_left_out() -> None:
    encrypted = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}

    assert messages(encrypted, says("assistant", "4")) == [{"role": "assistant", "content": "4"}]


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    assert messages(says("user", "Hi"), thinks("Hm."), says("user", "Hello?")) == [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "Hello?"},
    ]


# --- every call has its result, right behind it --------------------------------------------------


def test_results_of_calls_made_one_by_one_follow_each_call() -> None:
    assert messages(calls("a"), returns("a"), calls("b"), returns("b")) == [
        {"role": "assistant", "tool_calls": called("a")},
        result("a"),
        {"role": "assistant", "tool_calls": called("b")},
        result("b"),
    ]


def test_results_of_calls_made_together_follow_them_all() -> None:
    assert messages(calls("a"), calls("b"), returns("a", "A"), returns("b", "B")) == [
        {"role": "assistant", "tool_calls": called("a", "b")},
        result("a", "A"),
        result("b", "B"),
    ]


def test_results_come_in_the_order_of_the_calls() -> None:
    assert messages(calls("a"), calls("b"), returns("b", "B"), returns("a", "A"))[1:] == [
        result("a", "A"),
        result("b", "B"),
    ]


def test_a_result_comes_before_what_the_user_said_meanwhile() -> None:
    assert messages(calls("a"), says("user", "Hurry!"), returns("a")) == [
        {"role": "assistant", "tool_calls": called("a")},
        result("a"),
        {"role": "user", "content": "Hurry!"},
    ]


def test_a_result_may_be_a_list_of_parts() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    output = [{"type": "input_text", "text": "Here: "}, picture]

    assert messages(calls("a"), returns("a", output))[1] == result(
        "a", "Here: [image left out: this model reads text only]"
    )


def test_a_result_may_be_empty() -> None:
    assert messages(calls("a"), returns("a", ""))[1] == result("a", "")


def test_a_call_without_a_result_was_aborted() -> None:
    assert messages(calls("a"), says("user", "Stop!")) == [
        {"role": "assistant", "tool_calls": called("a")},
        result("a", "aborted"),
        {"role": "user", "content": "Stop!"},
    ]


# --- what is not understood ----------------------------------------------------------------------


def test_an_item_of_another_kind_does_not_part_a_turn() -> None:
    search = {"type": "web_search_call", "id": "ws_1"}

    assert messages(thinks("Hm."), search, says("assistant", "4")) == [
        {"role": "assistant", "content": "4", "reasoning": "Hm."}
    ]


def test_fields_that_mean_nothing_here_are_not_sent() -> None:
    item = {**says("user", "Hi"), "id": "msg_1", "status": "completed", "phase": "final_answer"}

    assert messages(item) == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("item", "message", "param"),
    [
        (
            {"type": "function_call", "name": "shell", "arguments": "{}"},
            "Invalid request at 'input[1].call_id': Object missing required field `call_id`.",
            "input[1].call_id",
        ),
        (
            {"type": "function_call", "call_id": "a", "name": "shell", "arguments": {}},
            "Invalid request at 'input[1].arguments': Expected `str`, got `object`.",
            "input[1].arguments",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 5}]},
            "Invalid request at 'input[1].content[0].text': Expected `str | null`, got `int`.",
            "input[1].content[0].text",
        ),
        (
            {"type": "message", "role": "tool", "content": "x"},
            "Invalid request at 'input[1].role': Invalid enum value 'tool'.",
            "input[1].role",
        ),
    ],
    ids=["missing", "wrong", "deep", "role"],
)
def test_an_item_that_is_wrong_is_named_by_its_place(item: Json, message: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages(says("user", "Hi"), item)

    assert str(caught.value) == message
    assert caught.value.param == param


def test_a_whole_conversation_of_codex() -> None:
    conversation = messages(
        says("developer", "You are Codex."),
        says("user", "<environment/>"),
        says("user", "Create hello.txt."),
        thinks("I write the file."),
        says("assistant", "I create it."),
        calls("a", "exec_command", json.dumps({"cmd": "echo hi > hello.txt"})),
        returns("a", "Process exited with code 0"),
        thinks("Done."),
        says("assistant", "It is there."),
        says("user", "Thanks."),
    )

    roles = " ".join(message["role"] for message in conversation)
    assert roles == "system user user assistant tool assistant user"


# --- nothing to say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items", [[], [thinks("Hm.")], [says("assistant", "")]], ids=["none", "reasoning", "empty"]
)
def test_an_input_that_says_nothing_is_refused(items: list[Json]) -> None:
    with pytest.raises(InvalidRequest, match="nothing to answer") as caught:
        messages(*items)

    assert caught.value.param == "input"


def test_reasoning_that_cannot_be_read_leaves_no_gap() -> None:
    encrypted = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}

    said = messages(encrypted, thinks("Hm."), says("assistant", "Yes."))

    assert said == [{"role": "assistant", "content": "Yes.", "reasoning": "Hm."}]
