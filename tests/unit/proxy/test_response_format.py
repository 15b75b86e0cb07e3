"""The format of the answer, which gpt-oss does not take together with tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.request import InvalidRequest
from tests.unit.proxy.conversations import Json, sent

SCHEMA: Json = {"type": "object", "properties": {"größe": {"type": "integer"}}}
READ: Json = {"type": "function", "name": "read_file"}
OTHERS = ["zai-glm-4.7", "qwen-3.8-27b", "llama3.1-8b"]


def schema(**fields: object) -> Json:
    """Return the text options that Codex sends for an output schema."""
    format = {"type": "json_schema", "name": "codex_output_schema", "schema": SCHEMA, **fields}
    return {"verbosity": "low", "format": format}


# --- demanded ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-oss-120b", *OTHERS])
def test_a_schema_is_nested(model: str) -> None:
    assert sent(model=model, text=schema(strict=True))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "codex_output_schema", "schema": SCHEMA, "strict": True},
    }


@pytest.mark.parametrize("strict", [True, False])
def test_the_strictness_of_a_schema_passes(strict: bool) -> None:
    format = sent(text=schema(strict=strict))["response_format"]

    assert format["json_schema"]["strict"] is strict


@pytest.mark.parametrize("fields", [{}, {"strict": None}, {"strict": "very"}], ids=str)
def test_a_strictness_that_is_none_is_not_sent(fields: Json) -> None:
    assert "strict" not in sent(text=schema(**fields))["response_format"]["json_schema"]


@pytest.mark.parametrize("name", [None, ""])
def test_a_schema_gets_a_name(name: str | None) -> None:
    assert sent(text=schema(name=name))["response_format"]["json_schema"]["name"] == "answer"


@pytest.mark.parametrize("name", ["my schema", "x" * 65, "größe", 5])
def test_a_name_of_a_schema_that_the_provider_would_reject_is_not_sent(name: object) -> None:
    assert sent(text=schema(name=name))["response_format"]["type"] == "json_schema"


def test_any_json_object_may_be_demanded() -> None:
    text = {"format": {"type": "json_object"}}

    assert sent(text=text)["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("model", OTHERS)
def test_other_models_take_a_schema_beside_tools(model: str) -> None:
    request = sent(model=model, text=schema(), tools=[READ])

    assert request["response_format"]["type"] == "json_schema"
    assert request["messages"] == [{"role": "user", "content": "Hi"}]


# --- told ----------------------------------------------------------------------------------------


def test_gpt_oss_is_told_of_the_schema_where_it_has_tools() -> None:
    request = sent(text=schema(), tools=[READ], instructions="Be brief.")

    assert "response_format" not in request
    first, user, last = request["messages"]
    assert (first["content"], user["content"]) == ("Be brief.", "Hi")
    assert last["role"] == "system"
    told, _, told_schema = last["content"].partition("\n")
    assert told.startswith("Your final answer must be one JSON value that conforms to this")
    assert json.loads(told_schema) == SCHEMA
    assert "größe" in told_schema


def test_gpt_oss_is_told_to_answer_with_an_object_where_it_has_tools() -> None:
    request = sent(text={"format": {"type": "json_object"}}, tools=[READ])

    assert "response_format" not in request
    assert request["messages"][-1] == {
        "role": "system",
        "content": "Answer with one JSON object and nothing else.",
    }


def test_gpt_oss_takes_a_schema_where_none_of_the_tools_is_left() -> None:
    request = sent(text=schema(), tools=[{"type": "web_search"}])

    assert request == sent(text=schema())


def test_gpt_oss_takes_a_schema_where_no_tool_is_allowed() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": []}

    assert sent(text=schema(), tools=[READ], tool_choice=choice) == sent(text=schema())


# --- neither -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [None, {}, {"verbosity": "low"}, {"format": None}, {"format": {"type": "text"}}],
    ids=str,
)
@pytest.mark.parametrize("tools", [[], [READ]], ids=["without", "with"])
def test_text_goes_without_saying(text: Json | None, tools: list[Json]) -> None:
    assert sent(text=text, tools=tools) == sent(tools=tools)


@pytest.mark.parametrize("tools", [[], [READ]], ids=["without", "with"])
@pytest.mark.parametrize("value", [None, 5, []])
def test_a_schema_that_is_none_is_refused(value: object, tools: list[Json]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(text=schema(schema=value), tools=tools)

    assert caught.value.param == "text.format.schema"


# --- other limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [{"top_p": 1.5}, {"top_p": -0.1}],
    ids=str,
)
def test_a_value_that_the_provider_would_reject_is_not_sent(fields: Json) -> None:
    sent(**fields)


def test_a_temperature_below_zero_is_raised_to_it() -> None:
    assert sent(temperature=-1)["temperature"] == 0


@pytest.mark.parametrize(
    ("field", "value"), [("max_output_tokens", 0), ("max_output_tokens", -1), ("model", "")]
)
def test_a_value_that_asks_for_nothing_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(**{field: value})

    assert caught.value.param == field
