"""The rest of a request: model, tools and sampling."""

from __future__ import annotations

import pytest

from proxy.request import InvalidRequest
from tests.unit.proxy.conversations import Json, sent

SCHEMA: Json = {
    "type": "object",
    "properties": {"path": {"type": "string", "pattern": "^/"}},
    "required": ["path"],
    "additionalProperties": False,
}
READ: Json = {
    "type": "function",
    "name": "read_file",
    "description": "Reads a file.",
    "strict": True,
    "parameters": SCHEMA,
}


def test_a_minimal_request_is_sent_as_a_minimal_request() -> None:
    assert sent(model="gpt-oss-120b", input="Hi") == {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_what_only_openai_understands_is_not_sent() -> None:
    request = sent(
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="0199",
        client_metadata={"x": "y"},
        text={"verbosity": "low"},
        service_tier="auto",
        truncation="auto",
        previous_response_id=None,
        metadata={"a": "b"},
        user="me",
        parallel_tool_calls=True,
    )

    assert request == sent()


# --- model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "gpt-5-codex",
        "gpt-5.5",
        "gpt-6.1-sol",
        "gpt-4.1-mini",
        "GPT-4o",
        "chatgpt-4o-latest",
        "codex-mini-latest",
        "o3",
        "o4-mini",
    ],
)
def test_a_model_of_openais_own_is_replaced(name: str) -> None:
    assert sent(model=name)["model"] == "the-configured-model"


@pytest.mark.parametrize(
    "name",
    [
        "gpt-oss-120b",
        "gpt-oss-20b",
        "openai/gpt-oss-120b",
        "qwen-3.8-27b",
        "zai-glm-4.7",
        "llama3.1-8b",
        "olmo-3",
    ],
)
def test_any_other_model_is_asked_for_by_its_name(name: str) -> None:
    assert sent(model=name)["model"] == name


# --- tools ---------------------------------------------------------------------------------------


def test_a_function_tool_is_nested_and_not_strict() -> None:
    assert sent(tools=[READ])["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "read_file",
                "description": "Reads a file.",
                "parameters": SCHEMA,
            },
        }
    ]


def test_a_function_tool_needs_neither_description_nor_parameters() -> None:
    assert sent(tools=[{"type": "function", "name": "now"}])["tools"] == [
        {"type": "function", "function": {"name": "now"}}
    ]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search"},
        {"type": "image_generation", "output_format": "png"},
        {"type": "custom", "format": {"type": "grammar"}},
        {"type": "namespace", "tools": [READ]},
        {"type": "namespace", "name": "agents"},
        {"type": "namespace", "name": "agents", "tools": [{"type": "function"}]},
        {"type": "function"},
        {"type": "function", "name": ""},
    ],
    ids=[
        "web_search",
        "image_generation",
        "custom without name",
        "namespace without name",
        "namespace without tools",
        "namespace of nameless tools",
        "nameless",
        "''",
    ],
)
def test_a_tool_that_is_hosted_or_nameless_is_left_out(tool: Json) -> None:
    assert sent(tools=[tool, READ])["tools"] == sent(tools=[READ])["tools"]


@pytest.mark.parametrize("tools", [None, [], [{"type": "web_search"}]])
def test_where_no_tool_is_left_nothing_is_said_of_tools(tools: list[Json] | None) -> None:
    request = sent(tools=tools, tool_choice="required", parallel_tool_calls=False)

    assert request == sent()


def test_tools_keep_their_order() -> None:
    tools = [{"type": "function", "name": name} for name in ("one", "two", "three")]

    names = [tool["function"]["name"] for tool in sent(tools=tools)["tools"]]

    assert names == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("tool", "message", "param"),
    [
        (
            {"name": "x"},
            "Invalid request at 'tools[1].type': Object missing required field `type`.",
            "tools[1].type",
        ),
        (
            {"type": "function", "name": 5},
            "Invalid request at 'tools[1].name': Expected `str | null`, got `int`.",
            "tools[1].name",
        ),
    ],
    ids=["missing", "wrong"],
)
def test_a_tool_that_is_wrong_is_named_by_its_place(tool: Json, message: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(tools=[READ, tool])

    assert str(caught.value) == message
    assert caught.value.param == param


# --- reasoning effort ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sent_on"),
    [
        ("none", "low"),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-oss-120b", "openai/gpt-oss-120b"])
def test_gpt_oss_gets_the_nearest_effort_that_it_takes(
    model: str, asked: str, sent_on: str
) -> None:
    request = sent(model=model, reasoning={"effort": asked, "summary": "auto"})

    assert request["reasoning_effort"] == sent_on


@pytest.mark.parametrize(
    "reasoning", [None, {}, {"effort": None, "summary": "auto"}, {"effort": "unheard-of"}]
)
def test_an_effort_that_is_not_given_or_not_known_is_not_sent(reasoning: Json | None) -> None:
    assert "reasoning_effort" not in sent(reasoning=reasoning)


@pytest.mark.parametrize("model", ["zai-glm-4.7", "qwen-3.8-27b"])
@pytest.mark.parametrize(
    ("asked", "sent_on"),
    [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"), ("xhigh", "high")],
)
def test_glm_and_qwen_get_the_nearest_effort_that_they_take(
    model: str, asked: str, sent_on: str
) -> None:
    assert sent(model=model, reasoning={"effort": asked})["reasoning_effort"] == sent_on


@pytest.mark.parametrize("model", ["zai-glm-4.7", "qwen-3.8-27b"])
def test_glm_and_qwen_can_be_told_not_to_think(model: str) -> None:
    assert sent(model=model, reasoning={"effort": "none"})["reasoning_effort"] == "none"


@pytest.mark.parametrize("model", ["gpt-oss-120b", "zai-glm-4.7", "qwen-3.8-27b"])
def test_an_effort_that_no_family_knows_is_not_sent(model: str) -> None:
    assert "reasoning_effort" not in sent(model=model, reasoning={"effort": "ultra"})


@pytest.mark.parametrize("effort", ["none", "low", "high"])
@pytest.mark.parametrize("model", ["llama3.1-8b", "gemma-4-31b"])
def test_a_model_of_no_known_family_gets_no_effort(model: str, effort: str) -> None:
    assert "reasoning_effort" not in sent(model=model, reasoning={"effort": effort})


def test_the_effort_is_for_the_model_that_answers_not_for_the_one_asked_for() -> None:
    assert "reasoning_effort" not in sent(model="gpt-5-codex", reasoning={"effort": "high"})


# --- sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "sent_on"), [(0, 0), (0.7, 0.7), (1.5, 1.5), (2, 1.5)])
def test_a_temperature_is_lowered_to_the_providers_limit(asked: float, sent_on: float) -> None:
    assert sent(temperature=asked)["temperature"] == sent_on


@pytest.mark.parametrize("top_p", [0, 0.5, 1])
def test_top_p_passes(top_p: float) -> None:
    assert sent(top_p=top_p)["top_p"] == top_p


def test_the_limit_of_output_tokens_has_another_name() -> None:
    request = sent(max_output_tokens=256)

    assert request["max_completion_tokens"] == 256
    assert "max_tokens" not in request
    assert "max_output_tokens" not in request
