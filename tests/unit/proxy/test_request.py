"""The request: what is taken, and what is refused in which words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from proxy.request import (
    ContentPart,
    FunctionCall,
    InvalidRequest,
    Message,
    Offer,
    Reasoning,
    Tool,
    ToolOutput,
    decode_item,
    decode_request,
    tools_of,
)
from proxy.responses import Response
from proxy.settings import Settings
from proxy.translate import translate


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-oss-120b", "input": "Hi", **fields}).encode()


def item(**fields: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(fields).encode())


# --- requests ------------------------------------------------------------------------------------


def test_a_request_needs_model_and_input_only() -> None:
    request = decode_request(b'{"model":"gpt-oss-120b","input":"Hi"}')

    assert request.model == "gpt-oss-120b"
    assert request.input == "Hi"
    assert request.stream is None


def test_a_request_may_have_fields_that_nobody_knows() -> None:
    assert decode_request(body(include=[], client_metadata={"a": [1]})).input == "Hi"


def test_every_optional_field_may_be_null() -> None:
    names = [
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "stream",
        "store",
        "temperature",
        "top_p",
        "max_output_tokens",
        "metadata",
        "prompt_cache_key",
        "text",
        "user",
    ]

    assert decode_request(body(**dict.fromkeys(names))) == decode_request(body())


@pytest.mark.parametrize(
    ("sent", "message", "param"),
    [
        (
            b'{"input":"Hi"}',
            "Invalid request at 'model': Object missing required field `model`.",
            "model",
        ),
        (
            b'{"model":"m"}',
            "Invalid request at 'input': Object missing required field `input`.",
            "input",
        ),
        (b"[]", "Invalid request: Expected `object`, got `array`.", None),
        (b"null", "Invalid request: Expected `object`, got `null`.", None),
        (
            b'{"model":5,"input":"Hi"}',
            "Invalid request at 'model': Expected `str`, got `int`.",
            "model",
        ),
        (
            body(input=5),
            "Invalid request at 'input': Expected `str | array`, got `int`.",
            "input",
        ),
        (
            body(reasoning={"effort": 3}),
            "Invalid request at 'reasoning.effort': Expected `str | null`, got `int`.",
            "reasoning.effort",
        ),
        (
            body(instructions=["Be brief."]),
            "Invalid request at 'instructions': Expected `str | null`, got `array`.",
            "instructions",
        ),
        (
            body(max_output_tokens="many"),
            "Invalid request at 'max_output_tokens': Expected `int | null`, got `str`.",
            "max_output_tokens",
        ),
    ],
    ids=[
        "no model",
        "no input",
        "list",
        "null",
        "model",
        "input",
        "effort",
        "instructions",
        "tokens",
    ],
)
def test_a_request_that_is_wrong_is_refused_by_name(
    sent: bytes, message: str, param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(sent)

    assert str(caught.value) == message
    assert caught.value.param == param


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"hello", b'{"model":"m","input":"Hi"} and more', b'{"model":"\xff","input":"Hi"}'],
    ids=["empty", "cut", "text", "more", "bytes"],
)
def test_a_request_that_is_no_json_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^The request body is not JSON: .+\.$") as caught:
        decode_request(sent)

    assert caught.value.param is None


def test_a_request_that_is_nested_too_deep_is_refused() -> None:
    deep = b'{"model":"m","input":"x","text":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"

    with pytest.raises(InvalidRequest, match=r"^The request body is nested too deep\.$"):
        decode_request(deep)


def echoed_unless_too_deep(body: bytes) -> bytes | None:
    """Return a request as it is sent on, and echoed; None where it is refused for its depth."""
    try:
        request = decode_request(body)
        translation = translate(request, Settings(api_key="k"))
    except InvalidRequest as fault:
        if str(fault) == "The request body is nested too deep.":
            return None
        raise
    response = Response.to(request, id="resp_a", created_at=1, model="m")
    return msgspec.json.encode([[translation.chat_request, response]])


DEEP_TOOL = '{"type":"function","name":"x","parameters":{"a":@}}'
ADDITIONAL = '{"type":"additional_tools","tools":[' + DEEP_TOOL + "]}"


@pytest.mark.parametrize(
    "part",
    [
        '"text":{"format":{"type":"json_schema","schema":{"a":@}}}',
        f'"tools":[{DEEP_TOOL}]',
        '"tools":[{"type":"function","name":"x"}],"tool_choice":{"type":"x","a":@}',
        f'"input":[{{"role":"user","content":"Hi"}},{ADDITIONAL}]',
    ],
    ids=["format", "tools", "choice", "input"],
)
def test_what_is_not_nested_too_deep_can_be_sent_on_and_echoed(part: str) -> None:
    """Python follows the same JSON less far where that lies deeper, or in deeper calls."""
    taken = refused = 0
    for depth in range(800, 1000):
        plain = (
            '{"model":"m","input":"x",'
            + part.replace("@", '{"a":' * depth + "1" + "}" * depth)
            + "}"
        )
        if (echoed := echoed_unless_too_deep(plain.encode())) is None:
            refused += 1
            continue
        taken += 1
        assert b'"model":"m"' in echoed

    assert taken
    assert refused


@pytest.mark.parametrize("depth", [300, 1000])
def test_namespaces_in_namespaces_are_refused_or_echoed(depth: int) -> None:
    """Newer Pythons decode what is deeper than their own calls may be."""
    tools = '[{"type":"namespace","name":"n","tools":' * depth + "[]" + "}]" * depth
    sent = '{"model":"m","input":"Hi","tools":' + tools + "}"

    echoed = echoed_unless_too_deep(sent.encode())

    assert echoed is None or tools.encode() in echoed


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (body(metadata={"a": 1}), "metadata[...]"),
        (body(text={"format": {}}), "text.format.type"),
        (body(text={"format": {"type": ""}}), "text.format.type"),
        (body(text={"format": "json"}), "text.format"),
        (body(text={"verbosity": 1}), "text.verbosity"),
    ],
)
def test_what_a_response_could_not_echo_is_refused(sent: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(sent)

    assert caught.value.param == param


# --- items ---------------------------------------------------------------------------------------


def test_an_item_is_typed_by_its_type() -> None:
    text = ContentPart(type="input_text", text="Hi")
    part = {"type": "input_text", "text": "Hi"}

    assert decode_item(item(type="message", role="user", content=[part]), "input[0]") == Message(
        role="user", content=[text]
    )
    assert decode_item(item(type="reasoning", summary=[part]), "input[0]") == Reasoning(
        summary=[text]
    )
    assert decode_item(
        item(type="function_call", call_id="a", name="x", arguments="{}"), "input[0]"
    ) == FunctionCall(call_id="a", name="x", arguments="{}")
    assert decode_item(
        item(type="function_call_output", call_id="a", output="1"), "input[0]"
    ) == ToolOutput(call_id="a", output="1")


def test_an_item_without_a_type_is_a_message() -> None:
    assert decode_item(item(role="user", content="Hi"), "input[0]") == Message(
        role="user", content="Hi"
    )


def test_the_output_of_a_custom_tool_is_read_as_that_of_a_function() -> None:
    output = item(type="custom_tool_call_output", call_id="a", output="aborted")

    assert decode_item(output, "input[0]") == ToolOutput(call_id="a", output="aborted")


def test_an_item_of_an_unknown_kind_is_none() -> None:
    assert decode_item(item(type="web_search_call", id="ws_1"), "input[0]") is None


@pytest.mark.parametrize(
    ("raw", "message", "param"),
    [
        (
            item(type="message", role="user"),
            "Invalid request at 'input[3].content': Object missing required field `content`.",
            "input[3].content",
        ),
        (
            item(type="function_call", call_id=3, name="x", arguments="{}"),
            "Invalid request at 'input[3].call_id': Expected `str`, got `int`.",
            "input[3].call_id",
        ),
        (
            item(type="reasoning", summary=[{"text": 5}]),
            "Invalid request at 'input[3].summary[0].text': Expected `str | null`, got `int`.",
            "input[3].summary[0].text",
        ),
        (
            item(type=5),
            "Invalid request at 'input[3].type': Expected `str`, got `int`.",
            "input[3].type",
        ),
        (
            msgspec.Raw(b"null"),
            "Invalid request at 'input[3]': Expected `object`, got `null`.",
            "input[3]",
        ),
    ],
    ids=["missing", "wrong", "deep", "type", "null"],
)
def test_an_item_that_is_wrong_is_refused_by_its_place(
    raw: msgspec.Raw, message: str, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_item(raw, "input[3]")

    assert str(caught.value) == message
    assert caught.value.param == param


def test_an_item_that_is_no_json_is_told_as_the_whole_body_is() -> None:
    raw = msgspec.Raw(b'{"type":"message","role":"user","content":"\xff"}')

    with pytest.raises(InvalidRequest, match=r"^The request body is not JSON: ") as caught:
        decode_item(raw, "input[0]")

    assert caught.value.param is None


# --- tools ---------------------------------------------------------------------------------------


def offer(*tools: object) -> Offer:
    return Offer(json.dumps(tools).encode(), "tools")


def test_a_tool_is_read() -> None:
    offered = {"type": "function", "name": "x", "strict": True, "parameters": {"type": "object"}}

    assert tools_of(offer(offered)) == [
        Tool(type="function", name="x", parameters={"type": msgspec.Raw(b'"object"')})
    ]


def test_a_hosted_tool_has_no_name() -> None:
    assert tools_of(offer({"type": "web_search"})) == [Tool(type="web_search")]


@pytest.mark.parametrize(
    ("offered", "message", "param"),
    [
        (
            offer({"type": "web_search"}, {"type": "function", "name": "x", "parameters": []}),
            "Invalid request at 'tools[1].parameters': Expected `object | null`, got `array`.",
            "tools[1].parameters",
        ),
        (offer(1), "Invalid request at 'tools[0]': Expected `object`, got `int`.", "tools[0]"),
        (
            Offer(b"{}", "tools"),
            "Invalid request at 'tools': Expected `array | null`, got `object`.",
            "tools",
        ),
    ],
    ids=["parameters", "tool", "tools"],
)
def test_a_tool_that_is_wrong_is_refused_by_its_place(
    offered: Offer, message: str, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tools_of(offered)

    assert str(caught.value) == message
    assert caught.value.param == param


def test_a_tool_whose_schema_is_no_text_is_refused() -> None:
    tool = b'{"type":"function","name":"x","parameters":{"title":"\xff"}}'

    with pytest.raises(InvalidRequest, match=r"^The request body is not JSON: "):
        tools_of(Offer(b"[" + tool + b"]", "tools"))


def test_a_tool_that_is_wrong_is_refused_also_where_none_is_offered() -> None:
    request = decode_request(body(tools=[{"name": "x"}]))

    with pytest.raises(InvalidRequest, match=r"tools\[0\]\.type"):
        translate(request, Settings(api_key="k"), compacts=True)
