"""The Responses request: what Codex sends, of every generation.

Names and shapes follow https://platform.openai.com/docs/api-reference/responses/create, and what
the CLI was seen to send. Known kinds of item and tool are typed; unknown ones are left out without
harm, because new versions bring new ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

__all__ = [
    "LONGEST_REMEMBERED",
    "AdditionalTools",
    "AgentMessage",
    "Compaction",
    "CompactionTrigger",
    "ContentPart",
    "CustomToolCall",
    "Fields",
    "FunctionCall",
    "InputItem",
    "InvalidRequest",
    "LocalShellCall",
    "Message",
    "Offer",
    "Reasoning",
    "ReasoningOptions",
    "Request",
    "Tool",
    "ToolOutput",
    "decode_item",
    "decode_request",
    "items_of",
    "offers_of",
    "tools_of",
]


class InvalidRequest(ValueError):
    """The client's fault: what is wrong, and at which path (`input[3].call_id`) where known."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


#: An object whose values are passed on as they came: nobody looks into a JSON Schema here.
Fields = dict[str, msgspec.Raw]

# --- items ---------------------------------------------------------------------------------------


class ContentPart(msgspec.Struct):
    """`input_text`, `output_text`, `summary_text`, `reasoning_text`, `input_image`, ..."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None


class Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]


class Reasoning(msgspec.Struct):
    summary: list[ContentPart] = []
    content: list[ContentPart] | None = None


class FunctionCall(msgspec.Struct):
    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class CustomToolCall(msgspec.Struct):
    call_id: str
    name: str
    input: str
    namespace: str | None = None


class LocalShellAction(msgspec.Struct, omit_defaults=True):
    command: list[str] = []
    working_directory: str | None = None
    timeout_ms: int | None = None


class LocalShellCall(msgspec.Struct):
    #: Codex 0.45 may know it by its `id` alone.
    call_id: str | None = None
    id: str | None = None
    action: LocalShellAction = msgspec.field(default_factory=LocalShellAction)


class ToolOutput(msgspec.Struct):
    """The output of a call of any kind: Codex 0.45 answers an aborted one with the wrong kind."""

    call_id: str
    output: str | list[ContentPart]


class AgentMessage(msgspec.Struct):
    """What another agent of Codex says."""

    content: str | list[ContentPart]
    author: str = "agent"
    recipient: str = "agent"


class AdditionalTools(msgspec.Struct):
    """Tools among the items, as "responses lite" has them."""

    tools: msgspec.Raw = msgspec.Raw(b"[]")
    #: Where it stands in the request.
    path: str = ""


class Compaction(msgspec.Struct):
    """A conversation that was summed up; the content is this proxy's own, or somebody else's."""

    encrypted_content: str = ""


class CompactionTrigger(msgspec.Struct):
    """Asks for the conversation to be summed up in one `compaction` item."""


InputItem = (
    Message
    | Reasoning
    | FunctionCall
    | CustomToolCall
    | LocalShellCall
    | ToolOutput
    | AgentMessage
    | AdditionalTools
    | Compaction
    | CompactionTrigger
)

_KINDS: Final[dict[str, type[InputItem]]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": FunctionCall,
    "custom_tool_call": CustomToolCall,
    "local_shell_call": LocalShellCall,
    "function_call_output": ToolOutput,
    "custom_tool_call_output": ToolOutput,
    "local_shell_call_output": ToolOutput,
    "agent_message": AgentMessage,
    "additional_tools": AdditionalTools,
    "compaction": Compaction,
    "compaction_summary": Compaction,
    "compaction_trigger": CompactionTrigger,
}

_DECODERS: Final[dict[str, Callable[[msgspec.Raw], InputItem]]] = {
    name: msgspec.json.Decoder(kind).decode for name, kind in _KINDS.items()
}


# --- tools and the request itself ----------------------------------------------------------------

_Type = Annotated[str, msgspec.Meta(min_length=1)]


class Tool(msgspec.Struct):
    """A tool as the client offers it; hosted ones (`web_search`) have no name."""

    type: _Type
    name: str | None = None
    description: str | None = None
    parameters: Fields | None = None
    #: Of a custom tool: its grammar.
    format: dict[str, Any] | None = None
    #: Of a namespace.
    tools: list[Tool] | None = None


class Offer(NamedTuple):
    """Tools as they were sent."""

    json: bytes
    #: Where in the request.
    path: str


class ReasoningOptions(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None


class _Format(msgspec.Struct):
    type: _Type


class _Text(msgspec.Struct):
    """What must hold of the options of the text, which the response echoes."""

    format: _Format | None = None
    verbosity: str | None = None


class Request(msgspec.Struct):
    """The body of `POST /responses`. Items and tools are typed later, each by its `type`.

    What the response echoes is held decoded, but for what is long: the instructions and the tools.
    """

    model: str
    input: str | list[msgspec.Raw]
    #: A string, or null.
    instructions: msgspec.Raw = msgspec.Raw(b"null")
    #: A list, or null.
    tools: msgspec.Raw = msgspec.Raw(b"null")
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningOptions | None = None
    stream: bool | None = None
    store: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    text: dict[str, Any] | None = None
    user: str | None = None


class _Kind(msgspec.Struct):
    #: A message may come without a type (`EasyInputMessage` in the SDK).
    type: str = "message"


#: Bytes of tools of which is remembered what was made of them: Codex sends the same with each turn.
LONGEST_REMEMBERED: Final = 256 * 1024

#: How much deeper a part of a request may come to lie: in other objects, and in calls.
_ROOM: Final = 100

#: What decoding raises: for JSON of another shape, or none, for what is no UTF-8, and for depth.
_WRONG: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_request_decoder = msgspec.json.Decoder(Request)
_kind_decoder = msgspec.json.Decoder(_Kind)
_tools_decoder = msgspec.json.Decoder(list[Tool] | None)
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)


def decode_request(body: bytes) -> Request:
    """Return the request in `body`; raises `InvalidRequest`."""
    try:
        request = _request_decoder.decode(body)
        if isinstance(request.tool_choice, dict):
            _check_nesting(request.tool_choice)
    except _WRONG as error:
        raise _invalid(error, "") from None
    try:
        request.instructions = _checked_text(request.instructions)
    except _WRONG as error:
        raise _invalid(error, "instructions") from None
    try:
        if request.text is not None:
            _check_nesting(request.text)
            msgspec.convert(request.text, _Text)
    except _WRONG as error:
        raise _invalid(error, "text") from None
    if not request.model:
        raise InvalidRequest("A model must be named.", "model")
    if request.max_output_tokens is not None and request.max_output_tokens < 1:
        raise InvalidRequest("max_output_tokens must be at least 1.", "max_output_tokens")
    if request.previous_response_id is not None:
        raise InvalidRequest(
            "previous_response_id needs the response to be stored, and nothing is stored here: "
            "send the whole conversation as input.",
            "previous_response_id",
        )
    return request


def decode_item(raw: msgspec.Raw, path: str) -> InputItem | None:
    """Return the input item in `raw`, None for an unknown kind; raises `InvalidRequest`."""
    try:
        decode = _DECODERS.get(_kind_decoder.decode(raw).type)
        item = None if decode is None else decode(raw)
        if isinstance(item, AdditionalTools):
            item.path = path
    except _WRONG as error:
        raise _invalid(error, path) from None
    return item


def items_of(request: Request) -> list[InputItem]:
    """Return the input items of known kinds, in order; raises `InvalidRequest`."""
    if isinstance(request.input, str):
        return [Message("user", request.input)]
    decoded = (decode_item(raw, f"input[{index}]") for index, raw in enumerate(request.input))
    return [item for item in decoded if item is not None]


def offers_of(request: Request, items: list[InputItem]) -> tuple[Offer, ...]:
    """Return where tools are offered: beside the input and in it."""
    offers = [Offer(bytes(request.tools), "tools")]
    offers += [
        Offer(bytes(item.tools), f"{item.path}.tools")
        for item in items
        if isinstance(item, AdditionalTools)
    ]
    return tuple(offers)


def tools_of(offer: Offer) -> list[Tool]:
    """Return the tools of an offer; raises `InvalidRequest`."""
    try:
        tools = _tools_decoder.decode(offer.json)
        # Nobody else looks at all of them: they are to be UTF-8, and can be echoed.
        offer.json.decode()
        _raw_decoder.decode(b"[" * _ROOM + offer.json + b"]" * _ROOM)
    except _WRONG as error:
        raise _invalid(error, offer.path) from None
    return tools or []


def _check_nesting(part: object) -> None:
    """Raise `RecursionError` where Python could not follow what is to be made of this part."""
    nested = part
    for _ in range(_ROOM):
        nested = [nested]
    msgspec.json.encode(nested)


def _checked_text(raw: msgspec.Raw) -> msgspec.Raw:
    """Return a string or null, apart from what is around it; raises one of `_WRONG`."""
    text = bytes(raw)
    text.decode()
    if not text.startswith(b'"'):
        msgspec.json.decode(text, type=str | None)
    return msgspec.Raw(text)


def _invalid(error: Exception, path: str) -> InvalidRequest:
    """Return one of `_WRONG`, which happened at `path`, in the words that the client is told."""
    match error:
        case msgspec.ValidationError():
            # "Expected `str`, got `int` - at `$.content[0].text`", or, of the object itself,
            # "Object missing required field `call_id`"
            message, _, place = str(error).partition(" - at `$")
            path += place.removesuffix("`")
            if missing := re.search(r"missing required field `(\w+)`", message):
                path += f".{missing[1]}"
            param = path.removeprefix(".") or None
            where = f" at '{param}'" if param else ""
            return InvalidRequest(f"Invalid request{where}: {message}.", param)
        case RecursionError():
            return InvalidRequest("The request body is nested too deep.")
    return InvalidRequest(f"The request body is not JSON: {error}.")
