"""Which tools the model may call, in every form that Codex and the SDK have for it."""

from __future__ import annotations

import pytest

from proxy.settings import Settings
from tests.unit.proxy.conversations import SETTINGS, Json, sent

READ: Json = {"type": "function", "name": "read_file"}
WRITE: Json = {"type": "function", "name": "write_file"}
PATCH: Json = {"type": "custom", "name": "apply_patch"}
AGENTS: Json = {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "x"}]}
SHELL: Json = {"type": "local_shell"}
TOOLS = [READ, WRITE, PATCH, AGENTS, SHELL, {"type": "web_search"}]


def offered(request: Json) -> list[str]:
    """Return the names of the tools that are offered to the provider."""
    return [tool["function"]["name"] for tool in request.get("tools", [])]


def only(name: str) -> Json:
    """Return the provider's choice of one function."""
    return {"type": "function", "function": {"name": name}}


# --- one word ------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["none", "required"])
def test_a_tool_choice_passes(choice: str) -> None:
    assert sent(tools=[READ], tool_choice=choice)["tool_choice"] == choice


@pytest.mark.parametrize("choice", ["auto", None, "unheard-of"])
def test_auto_goes_without_saying(choice: str | None) -> None:
    assert "tool_choice" not in sent(tools=[READ], tool_choice=choice)


# --- one tool ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (READ, "read_file"),
        (PATCH, "apply_patch"),
        ({"type": "function", "name": "x", "namespace": "agents"}, "agents__x"),
        (SHELL, "local_shell"),
    ],
    ids=["function", "custom", "namespace", "local_shell"],
)
def test_the_choice_of_one_tool_is_of_the_function_that_stands_for_it(
    choice: Json, name: str
) -> None:
    assert sent(tools=TOOLS, tool_choice=choice)["tool_choice"] == only(name)


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x"},
        {"type": "function", "name": "gone"},
        {"type": "custom", "name": "read_file"},
        {"type": "function", "name": "x"},
        {"type": "function", "name": "x", "namespace": "others"},
        {"type": "function", "name": 5},
        {"type": "function"},
        {},
    ],
    ids=[
        "hosted",
        "mcp",
        "not offered",
        "another kind",
        "no namespace",
        "another namespace",
        "no string",
        "no name",
        "nothing",
    ],
)
def test_the_choice_of_a_tool_that_is_not_offered_is_auto(choice: Json) -> None:
    request = sent(tools=TOOLS, tool_choice=choice)

    assert request == sent(tools=TOOLS)


# --- some tools ----------------------------------------------------------------------------------


def allowed(*tools: object, mode: str = "auto") -> Json:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


def test_only_tools_that_are_allowed_are_offered() -> None:
    request = sent(tools=TOOLS, tool_choice=allowed(PATCH, READ))

    assert offered(request) == ["read_file", "apply_patch"]
    assert "tool_choice" not in request


def test_tools_of_every_kind_may_be_allowed() -> None:
    inner = {"type": "function", "name": "x", "namespace": "agents"}

    request = sent(tools=TOOLS, tool_choice=allowed(inner, SHELL, {"type": "web_search"}))

    assert offered(request) == ["agents__x", "local_shell"]


def test_one_of_the_allowed_tools_may_be_required() -> None:
    request = sent(tools=TOOLS, tool_choice=allowed(READ, mode="required"))

    assert offered(request) == ["read_file"]
    assert request["tool_choice"] == "required"


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_where_no_tool_is_allowed_none_is_offered(mode: str) -> None:
    request = sent(tools=TOOLS, tool_choice=allowed({"type": "web_search"}, 5, mode=mode))

    assert request == sent()


# --- no tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["auto", "none", "required", READ, allowed(READ)], ids=str)
@pytest.mark.parametrize("tools", [None, [], [{"type": "web_search"}]], ids=str)
def test_without_tools_there_is_no_choice(tools: list[Json] | None, choice: object) -> None:
    request = sent(tools=tools, tool_choice=choice, parallel_tool_calls=True)

    assert request == sent()


def test_for_a_summary_there_is_no_choice() -> None:
    conversation = [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]

    request = sent(tools=TOOLS, tool_choice="required", input=conversation)

    assert request.keys() == {"model", "messages", "stream"}


# --- parallel calls ------------------------------------------------------------------------------

PARALLEL = Settings(api_key="csk-unused", send_parallel_tool_calls=True)


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_tool_calls_pass_where_the_settings_say_so(parallel: bool) -> None:
    request = sent(settings=PARALLEL, tools=[READ], parallel_tool_calls=parallel)

    assert request["parallel_tool_calls"] is parallel


@pytest.mark.parametrize(
    ("settings", "tools", "parallel"),
    [(SETTINGS, [READ], True), (PARALLEL, [], True), (PARALLEL, [READ], None)],
    ids=["switched off", "no tools", "not asked for"],
)
def test_nothing_else_is_said_of_parallel_tool_calls(
    settings: Settings, tools: list[Json], parallel: bool | None
) -> None:
    request = sent(settings=settings, tools=tools, parallel_tool_calls=parallel)

    assert "parallel_tool_calls" not in request
