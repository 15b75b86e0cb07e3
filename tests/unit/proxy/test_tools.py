"""Each kind of tool: how it is offered, and that its names hold in every request."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.request import LONGEST_REMEMBERED, Tool
from proxy.tools import Kind, Origin, Toolbox, custom_arguments
from tests.unit.proxy.conversations import Json, calls, calls_custom, messages, returns, says, sent

READ: Json = {"type": "function", "name": "read_file"}
GRAMMAR: Json = {"type": "grammar", "syntax": "lark", "definition": 'start: "x"+'}
PATCH: Json = {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": GRAMMAR}
LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")


def namespace(name: str, *tools: Json) -> Json:
    return {"type": "namespace", "name": name, "description": "Tools.", "tools": list(tools)}


def function(name: str) -> Json:
    return {"type": "function", "name": name}


def names(*tools: Json) -> list[str]:
    """Return the names by which these tools are offered."""
    return [tool["function"]["name"] for tool in sent(tools=list(tools))["tools"]]


def name_of_call(*items: Json, tools: list[Json]) -> str:
    """Return the name by which the first call of a conversation goes."""
    message = next(m for m in messages(*items, tools=tools) if "tool_calls" in m)
    name: str = message["tool_calls"][0]["function"]["name"]
    return name


# --- custom tools --------------------------------------------------------------------------------


def test_a_custom_tool_is_a_function_of_one_string() -> None:
    (tool,) = sent(tools=[{"type": "custom", "name": "exec"}])["tools"]

    assert tool == {
        "type": "function",
        "function": {
            "name": "exec",
            "parameters": {
                "type": "object",
                "properties": {
                    "input": {"type": "string", "description": "The whole input, as plain text."}
                },
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    }


def test_the_grammar_of_a_custom_tool_is_told_in_its_description() -> None:
    (tool,) = sent(tools=[PATCH])["tools"]

    assert tool["function"]["description"] == (
        'Edits.\n\nThe input must match this lark grammar:\nstart: "x"+'
    )


def test_a_grammar_needs_no_description_beside_it() -> None:
    (tool,) = sent(tools=[{"type": "custom", "name": "x", "format": GRAMMAR}])["tools"]

    assert tool["function"]["description"].startswith("The input must match this lark grammar:")


@pytest.mark.parametrize("format", [None, {"type": "text"}, {"type": "grammar"}, {}])
def test_a_format_that_constrains_nothing_is_not_told(format: Json | None) -> None:
    (tool,) = sent(tools=[{**PATCH, "format": format}])["tools"]

    assert tool["function"]["description"] == "Edits."


@pytest.mark.parametrize("text", ["", '*** Begin Patch\n+"x"\\d\n', "日本 \x00"])
def test_a_call_of_a_custom_tool_is_a_call_with_one_argument(text: str) -> None:
    (_, message, answer) = messages(
        says("user", "Go."),
        calls_custom("a", text),
        returns("a", "Done.", "custom_tool_call_output"),
        tools=[PATCH],
    )

    function = {"name": "apply_patch", "arguments": custom_arguments(text)}
    assert message["tool_calls"] == [{"type": "function", "id": "a", "function": function}]
    assert answer == {"role": "tool", "tool_call_id": "a", "content": "Done."}


# --- the local shell -----------------------------------------------------------------------------


def test_the_local_shell_is_a_function_that_takes_a_command() -> None:
    (tool,) = sent(tools=[{"type": "local_shell"}])["tools"]

    assert tool["function"]["name"] == "local_shell"
    assert tool["function"]["parameters"]["required"] == ["command"]
    assert tool["function"]["parameters"]["properties"]["command"]["type"] == "array"


def test_the_local_shell_is_offered_once() -> None:
    assert names({"type": "local_shell"}, {"type": "local_shell"}) == ["local_shell"]


def test_the_local_shell_and_a_function_of_its_name_are_told_apart() -> None:
    shell, other = names({"type": "local_shell"}, function("local_shell"))

    assert shell == "local_shell"
    assert other != shell


# --- namespaces ----------------------------------------------------------------------------------


def test_the_tools_of_a_namespace_are_flattened() -> None:
    tool = namespace("agents", function("spawn"), function("wait"))

    assert names(READ, tool) == ["read_file", "agents__spawn", "agents__wait"]


def test_a_namespace_may_hold_custom_tools() -> None:
    (tool,) = sent(tools=[namespace("functions", PATCH)])["tools"]

    assert tool["function"]["name"] == "functions__apply_patch"
    assert "lark grammar" in tool["function"]["description"]


def test_hosted_and_nameless_tools_of_a_namespace_are_left_out() -> None:
    tool = namespace("agents", {"type": "web_search"}, {"type": "function"}, function("wait"))

    assert names(tool) == ["agents__wait"]


def test_a_call_in_a_namespace_goes_by_its_flattened_name() -> None:
    call = {**calls("a", "wait"), "namespace": "agents"}

    assert name_of_call(call, tools=[namespace("agents", function("wait"))]) == "agents__wait"


# --- tools among the items -----------------------------------------------------------------------


def test_tools_among_the_items_are_offered_beside_the_others() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [PATCH, {"type": "web"}]}

    request = sent(input=[more, says("user", "Hi")], tools=[READ])

    offered = [tool["function"]["name"] for tool in request["tools"]]
    assert offered == ["read_file", "apply_patch"]
    assert request["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_tool_that_is_offered_twice_is_offered_once() -> None:
    more = {"type": "additional_tools", "tools": [READ]}

    assert len(sent(input=[more, says("user", "Hi")], tools=[READ, READ])["tools"]) == 1


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool",
    [
        function("do.it"),
        function("größe"),
        function("with space"),
        function("x" * 65),
        namespace("n" * 40, function("x" * 40)),
        namespace("codex.apps", function("read/write")),
        namespace("日本", function("日本")),
    ],
    ids=["dot", "umlaut", "space", "long", "long together", "slash", "script"],
)
def test_a_name_that_the_provider_would_reject_is_changed(tool: Json) -> None:
    (name,) = names(tool)

    assert LEGAL.fullmatch(name)
    assert names(READ, tool)[1] == name


@pytest.mark.parametrize("name", ["a", "x" * 64, "A-b_9", "--", "__"])
def test_a_legal_name_is_not_changed(name: str) -> None:
    assert names(function(name)) == [name]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (function("a.b"), function("a_b")),
        (function("a.b"), function("a/b")),
        (function("x" * 70 + "1"), function("x" * 70 + "2")),
        (namespace("a", function("b")), function("a__b")),
        (function("a__b"), namespace("a", function("b"))),
        (namespace("a", function("b__c")), namespace("a__b", function("c"))),
        (function("patch"), {"type": "custom", "name": "patch"}),
    ],
    ids=["dot", "both changed", "long", "namespace", "namespace last", "two ways", "kinds"],
)
def test_two_tools_never_have_one_name(one: Json, other: Json) -> None:
    first, second = names(one, other)

    assert first != second
    assert LEGAL.fullmatch(first)
    assert LEGAL.fullmatch(second)


NAME = st.text(st.sampled_from("ab._ é"), min_size=1, max_size=70)
TOOL = st.builds(
    Tool,
    type=st.sampled_from(["function", "custom"]),
    name=NAME,
)
SPACE = st.builds(Tool, type=st.just("namespace"), name=NAME, tools=st.lists(TOOL, max_size=3))


@given(st.lists(st.one_of(TOOL, SPACE), max_size=6))
def test_any_tools_get_names_that_are_legal_and_lead_back(tools: list[Tool]) -> None:
    toolbox = Toolbox(tools)

    offered = [tool.function.name for tool in toolbox.offered]

    assert all(LEGAL.fullmatch(name) for name in offered)
    assert len(set(offered)) == len(offered)
    assert [toolbox.name(toolbox.origin(name)) for name in offered] == offered


@given(st.lists(TOOL, max_size=6, unique_by=lambda tool: (tool.type, tool.name)))
def test_a_request_with_the_same_tools_gives_them_the_same_names(tools: list[Tool]) -> None:
    first, second = Toolbox(tools), Toolbox(tools)

    assert [t.function.name for t in first.offered] == [t.function.name for t in second.offered]


# --- calls of tools that are offered no more -----------------------------------------------------


@pytest.mark.parametrize("tools", [[], [READ]], ids=["none", "others"])
@pytest.mark.parametrize(
    ("item", "name"),
    [
        (calls("a", "shell"), "shell"),
        ({**calls("a", "wait"), "namespace": "agents"}, "agents__wait"),
        (calls_custom("a", "x", "exec"), "exec"),
        ({"type": "local_shell_call", "call_id": "a", "action": {}}, "local_shell"),
    ],
    ids=["function", "namespace", "custom", "local_shell"],
)
def test_a_call_of_a_tool_that_is_offered_no_more_keeps_its_name(
    item: Json, name: str, tools: list[Json]
) -> None:
    assert name_of_call(item, tools=tools) == name


def test_a_call_by_a_name_that_the_provider_would_reject_gets_the_name_it_was_offered_by() -> None:
    assert name_of_call(calls("a", "do.it"), tools=[]) == names(function("do.it"))[0]


def test_a_call_whose_name_another_tool_has_by_now_gets_one_of_its_own() -> None:
    call = {**calls("a", "b"), "namespace": "a"}

    name = name_of_call(call, tools=[function("a__b")])

    assert LEGAL.fullmatch(name)
    assert name != "a__b"


def test_a_call_without_a_name_in_the_history_is_sent_with_one() -> None:
    assert LEGAL.fullmatch(name_of_call(calls("a", ""), tools=[]))


def test_a_tool_keeps_its_name_when_another_comes_before_it() -> None:
    inner = namespace("a", function("b"))

    assert names(inner, function("a__b")) == list(reversed(names(function("a__b"), inner)))


# --- and back ------------------------------------------------------------------------------------


def test_a_name_that_was_never_offered_is_a_function_of_that_name() -> None:
    assert Toolbox().origin("shell") == Origin(Kind.FUNCTION, "shell")


def test_only_a_tool_that_is_offered_is_offered() -> None:
    toolbox = Toolbox([Tool(type="function", name="x")])

    assert toolbox.offers(Origin(Kind.FUNCTION, "x"))
    assert not toolbox.offers(Origin(Kind.CUSTOM, "x"))
    assert not toolbox.offers(Origin(Kind.FUNCTION, "x", "agents"))
    assert not toolbox.offers(Origin(Kind.FUNCTION, "y"))


def test_naming_a_tool_does_not_offer_it() -> None:
    toolbox = Toolbox()
    toolbox.name(Origin(Kind.FUNCTION, "x"))

    assert not toolbox.offers(Origin(Kind.FUNCTION, "x"))
    assert toolbox.offered == []


@pytest.mark.parametrize(
    "origins",
    [
        [("a", "b__c!"), ("a__b", "c!")],
        [("a", "b!"), (None, "a__b!")],
        [("n" * 40, "x" * 40), ("n" * 40 + "__" + "x" * 10, "x" * 28)],
        [("a", "b__c"), ("a__b", "c"), (None, "a__b__c")],
    ],
    ids=["illegal", "function", "long", "legal"],
)
def test_tools_that_look_alike_once_they_are_flattened_have_names_of_their_own(
    origins: list[tuple[str | None, str]],
) -> None:
    toolbox = Toolbox()

    names = [toolbox.name(Origin(Kind.FUNCTION, name, space)) for space, name in origins]

    assert len(set(names)) == len(names)
    for name, (space, own) in zip(names, origins, strict=True):
        assert toolbox.origin(name) == Origin(Kind.FUNCTION, own, space)


# --- tools that come again -----------------------------------------------------------------------


def test_a_name_that_one_conversation_has_had_is_free_in_the_next() -> None:
    once = {**calls("a", name="x"), "namespace": "n"}

    assert name_of_call(calls("a", name="n__x"), tools=[READ]) == "n__x"
    assert name_of_call(once, tools=[READ]) == "n__x"


def test_tools_that_were_not_allowed_once_are_offered_again() -> None:
    tools, read = [READ, PATCH], {"type": "function", "name": "read_file"}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [read]}

    (tool,) = sent(tools=tools, tool_choice=allowed)["tools"]
    assert tool["function"]["name"] == "read_file"
    assert names(*tools) == ["read_file", "apply_patch"]


def test_tools_that_are_too_long_to_be_remembered_are_offered() -> None:
    long = {**READ, "description": "x" * LONGEST_REMEMBERED}

    (tool,) = sent(tools=[long])["tools"]
    assert tool["function"]["description"] == long["description"]
    assert names(long) == ["read_file"]
