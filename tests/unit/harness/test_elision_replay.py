"""A replay of what was elided: the requests still fit, whatever is in them."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.redact import Elision, matchable, placeholder, prose_of
from proxy.request import decode_request
from proxy.settings import Settings
from proxy.translate import translate
from tests.unit.harness.asked import CONTEXT, codex, message, prose
from tests.unit.harness.handmade import Json

SETTINGS = Settings(api_key="csk-unused")


def translated(request: Json) -> Json:
    """Return what the proxy sends for a request of a client."""
    translation = translate(decode_request(json.dumps(request).encode()), SETTINGS)
    chat: Json = json.loads(msgspec.json.encode(translation.chat_request))
    return chat


def check_replay(request: Json) -> tuple[Json, Json]:
    """Check that the proxy makes of the elided request the elided one; return these two."""
    elision = Elision(request)
    client, upstream = elision.of_json(request), elision.of_json(translated(request))
    assert translated(client) == upstream
    left = json.dumps([client, upstream], ensure_ascii=False)
    assert not [text for text in prose_of(request) if len(text) >= 40 and text in left]
    return client, upstream


@pytest.mark.parametrize("client", ["codex-0.45", "codex-0.163"])
def test_the_requests_of_codex_fit_when_they_are_elided(client: str) -> None:
    request = codex(client)

    elided, upstream = check_replay(request)

    assert request["input"][-1]["type"] == "function_call_output"
    assert elided != request
    assert upstream != translated(request)
    assert matchable(elided) == matchable(request)
    assert matchable(upstream) == matchable(translated(request))


#: Like those of "responses lite": everything that a proxy joins, flattens or moves.
LARGE: Json = {
    "model": "gpt-oss-120b",
    "instructions": prose("instructions", 24_000),
    "input": [
        {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {
                    "type": "namespace",
                    "name": "functions",
                    "description": prose("namespace"),
                    "tools": [
                        {"type": "function", "name": "wait", "description": "Wait."},
                        {
                            "type": "custom",
                            "name": "exec",
                            "description": prose("exec", 3000),
                            "format": {
                                "type": "grammar",
                                "syntax": "lark",
                                "definition": prose("lark", 900),
                            },
                        },
                    ],
                }
            ],
        },
        message("developer", prose("skills", 2000), prose("permissions", 400), "Short."),
        message("user", CONTEXT),
        message("user", f"# AGENTS.md instructions for /a\n{prose('agents', 500)}", "and this"),
        message("user", "say hello world"),
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {
            "type": "custom_tool_call",
            "call_id": "a",
            "name": "exec",
            "input": prose("skills", 2000),
        },
        {"type": "custom_tool_call_output", "call_id": "a", "output": prose("agents", 500)},
    ],
    "tools": [
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Edit files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": prose("patch", 1000)},
        },
        {"type": "custom", "name": "note", "description": "Note."},
        {
            "type": "function",
            "name": "f",
            "description": "Note.",
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "description": "Wait."},
                    "b": {
                        "anyOf": [{"description": prose("nested")}, {"description": "Edit files."}]
                    },
                },
            },
        },
        {"type": "web_search"},
    ],
    "text": {
        "format": {
            "type": "json_schema",
            "name": "answer",
            "schema": {
                "type": "object",
                "description": prose("nested"),
                "properties": {"a": {"description": "Wait."}},
            },
        }
    },
    "stream": True,
    "prompt_cache_key": "1",
}


def test_whatever_a_proxy_joins_fits_when_it_is_elided() -> None:
    client, upstream = check_replay(LARGE)

    offered = {tool["function"]["name"]: tool["function"] for tool in upstream["tools"]}
    lark = "The input must match this lark grammar:\n"
    assert offered["functions__exec"]["description"] == (
        f"{placeholder(prose('exec', 3000))}\n\n{lark}{placeholder(prose('lark', 900))}"
    )
    # A custom tool's own description is short, and is told together with its grammar: it stays.
    assert offered["apply_patch"]["description"] == (
        f"Edit files.\n\n{lark}{placeholder(prose('patch', 1000))}"
    )
    assert offered["functions__wait"]["description"] == placeholder("Wait.")
    contents = [said.get("content") for said in upstream["messages"]]
    assert placeholder(prose("instructions", 24_000)) in contents
    assert (
        f"{placeholder(prose('skills', 2000))}{placeholder(prose('permissions', 400))}Short."
        in contents
    )
    assert "say hello world" in contents
    # The schema is kept, also where the proxy tells it in words.
    assert '{"a": {"description": "Wait."}}' in contents[-1]
    assert client["text"]["format"]["schema"]["properties"] == {"a": {"description": "Wait."}}


TEXT = st.text(max_size=10)
NAMES = st.sampled_from("abcdefgh")


@st.composite
def requests(draw: st.DrawFn) -> Json:
    """Return a request in the shapes of Codex, with prose of all lengths, some of it in others."""
    tails = st.sampled_from(["", "·" * 40])
    given = draw(st.lists(st.tuples(TEXT, tails), min_size=2, max_size=6))
    texts = [f"<{number}>{text}{tail}</{number}>" for number, (text, tail) in enumerate(given)]
    texts += [f"{draw(TEXT)}{text}{draw(TEXT)}" for text in texts[:2]]
    a_text = st.sampled_from(texts)
    a_prompt = st.one_of(TEXT, a_text.map("Is this yours? {}".format))
    described = {"description": a_text}
    schema = st.recursive(
        st.fixed_dictionaries({"type": st.just("string")}, optional=described),
        lambda inner: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
            optional=described,
        ),
        max_leaves=4,
    )
    objects = schema.map(lambda schema: {**schema, "type": "object"})
    grammar = st.fixed_dictionaries(
        {"type": st.just("grammar"), "syntax": st.just("lark"), "definition": a_text}
    )
    function = st.fixed_dictionaries(
        {"type": st.just("function"), "name": NAMES, "parameters": objects}, optional=described
    )
    custom = st.fixed_dictionaries(
        {"type": st.just("custom"), "name": NAMES}, optional={**described, "format": grammar}
    )
    namespace = st.fixed_dictionaries(
        {
            "type": st.just("namespace"),
            "name": NAMES,
            "tools": st.lists(function | custom, max_size=2),
        },
        optional=described,
    )
    tools = st.lists(function | custom | namespace | st.just({"type": "web_search"}), max_size=4)
    item = st.one_of(
        st.builds(message, st.sampled_from(["developer", "system"]), a_text, a_text),
        st.builds(message, st.sampled_from(["developer", "system"]), a_text),
        st.builds(message, st.just("user"), a_text.map("<environment_context>{}".format), a_prompt),
        st.builds(message, st.just("user"), a_prompt),
        st.builds(message, st.just("assistant"), a_prompt),
        a_prompt.map(
            lambda text: {"type": "custom_tool_call", "call_id": "1", "name": "a", "input": text}
        ),
        a_prompt.map(lambda text: {"type": "function_call_output", "call_id": "1", "output": text}),
        tools.map(lambda tools: {"type": "additional_tools", "role": "developer", "tools": tools}),
    )
    request = {
        "model": "gpt-oss-120b",
        "input": [message("user", "Hi"), *draw(st.lists(item, max_size=6))],
        "tools": draw(tools),
        "stream": True,
    }
    if draw(st.booleans()):
        request["instructions"] = draw(a_text)
    if draw(st.booleans()):
        format = {"type": "json_schema", "name": "answer", "schema": draw(objects)}
        request["text"] = {"format": format}
    return request


@given(requests())
def test_any_request_fits_when_it_is_elided(request: Json) -> None:
    check_replay(request)
