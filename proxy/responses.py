"""The Responses side: the request that Codex sends, and the response that it gets.

Names and shapes follow the OpenAI Responses API,
https://platform.openai.com/docs/api-reference/responses. Codex needs less of the response; users of
the official SDK need the rest. The events that carry it are in `events.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "FunctionCall",
    "FunctionCallOutput",
    "IncompleteDetails",
    "InputItem",
    "InputTokensDetails",
    "InvalidRequest",
    "Message",
    "OutputFunctionCall",
    "OutputItem",
    "OutputMessage",
    "OutputReasoning",
    "OutputText",
    "OutputTokensDetails",
    "Reasoning",
    "Request",
    "Response",
    "ResponseError",
    "Status",
    "SummaryText",
    "Tool",
    "Usage",
    "decode_item",
    "decode_request",
    "to_tool",
]


# --- request -------------------------------------------------------------------------------------


class InvalidRequest(ValueError):
    """The client's fault: what is wrong, and at which path (`input[3].call_id`) where known."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


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


class FunctionCallOutput(msgspec.Struct):
    call_id: str
    output: str | list[ContentPart]


InputItem = Message | Reasoning | FunctionCall | FunctionCallOutput


class Tool(msgspec.Struct):
    """A tool as the client offers it; hosted ones (`web_search`) have no name."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ReasoningOptions(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None


class Request(msgspec.Struct):
    """The body of `POST /responses`. Items and tools are typed later, each by its `type`.

    What the response echoes is held decoded: the client's own line breaks must not get into an
    event.
    """

    model: str
    input: str | list[msgspec.Raw]
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningOptions | None = None
    stream: bool | None = None
    store: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    text: dict[str, Any] | None = None
    user: str | None = None


class _Kind(msgspec.Struct):
    #: A message may come without a type (`EasyInputMessage` in the SDK).
    type: str = "message"


_request_decoder = msgspec.json.Decoder(Request)
_kind_decoder = msgspec.json.Decoder(_Kind)
_item_decoders: Final[dict[str, msgspec.json.Decoder[InputItem]]] = {
    "message": msgspec.json.Decoder(Message),
    "reasoning": msgspec.json.Decoder(Reasoning),
    "function_call": msgspec.json.Decoder(FunctionCall),
    "function_call_output": msgspec.json.Decoder(FunctionCallOutput),
    # Codex 0.45 answers an interrupted call of any kind with this one.
    "custom_tool_call_output": msgspec.json.Decoder(FunctionCallOutput),
}


def decode_request(body: bytes) -> Request:
    """Return the request in `body`; raises `InvalidRequest`."""
    with _as_invalid_request():
        return _request_decoder.decode(body)


def decode_item(raw: msgspec.Raw, path: str) -> InputItem | None:
    """Return the input item in `raw`, None for an unknown kind; raises `InvalidRequest`."""
    with _as_invalid_request(path):
        decoder = _item_decoders.get(_kind_decoder.decode(raw).type)
        return None if decoder is None else decoder.decode(raw)


def to_tool(tool: dict[str, Any], path: str) -> Tool:
    """Return the tool in `tool`; raises `InvalidRequest`."""
    with _as_invalid_request(path):
        return msgspec.convert(tool, Tool)


@contextmanager
def _as_invalid_request(path: str = "") -> Iterator[None]:
    try:
        yield
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.content[0].text`"
        message, _, place = str(error).partition(" - at `$")
        path += place.removesuffix("`")
        param = path.removeprefix(".") or None
        where = f" at '{param}'" if param else ""
        raise InvalidRequest(f"Invalid request{where}: {message}.", param) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not JSON: {error}.") from None
    except RecursionError:
        raise InvalidRequest("The request body is nested too deep.") from None


# --- response ------------------------------------------------------------------------------------


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    text: str
    annotations: list[Any] = []
    logprobs: list[Any] = []


class SummaryText(msgspec.Struct, tag_field="type", tag="summary_text"):
    text: str


Status = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    status: Status
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class OutputReasoning(msgspec.Struct, tag_field="type", tag="reasoning"):
    """Without `status`, as at the ChatGPT backend; `summary` comes back in the next request."""

    id: str
    summary: list[SummaryText]


class OutputFunctionCall(msgspec.Struct, tag_field="type", tag="function_call"):
    id: str
    status: Status
    call_id: str
    name: str
    arguments: str


OutputItem = OutputMessage | OutputReasoning | OutputFunctionCall


class InputTokensDetails(msgspec.Struct):
    cached_tokens: int
    #: The newest SDK requires it; no provider here tells it.
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct):
    reasoning_tokens: int


class Usage(msgspec.Struct):
    """Codex fails the turn where a details object is there but empty: these never are."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(msgspec.Struct):
    code: str
    message: str


class IncompleteDetails(msgspec.Struct):
    reason: str


class Response(msgspec.Struct, kw_only=True):
    """The response object, with the full set of keys; most echo the request."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Literal["in_progress", "completed", "failed", "incomplete"] = "in_progress"
    background: bool = False
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None = None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool
    previous_response_id: str | None = None
    prompt_cache_key: str | None
    reasoning: ReasoningOptions
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int = 0
    top_p: float
    truncation: Literal["disabled"] = "disabled"
    usage: Usage | None = None
    user: str | None
    metadata: dict[str, Any]

    @classmethod
    def to(cls, request: Request, *, id: str, created_at: int, model: str) -> Response:
        """Return the response to `request` in its first state.

        `created_at` is in seconds since the epoch, `model` the one that really answers.
        """
        return cls(
            id=id,
            created_at=created_at,
            instructions=request.instructions,
            max_output_tokens=request.max_output_tokens,
            model=model,
            parallel_tool_calls=request.parallel_tool_calls is not False,
            prompt_cache_key=request.prompt_cache_key,
            reasoning=request.reasoning or ReasoningOptions(),
            store=bool(request.store),
            temperature=1.0 if request.temperature is None else request.temperature,
            text=request.text or {"format": {"type": "text"}},
            tool_choice=request.tool_choice or "auto",
            tools=request.tools or [],
            top_p=1.0 if request.top_p is None else request.top_p,
            user=request.user,
            metadata=request.metadata or {},
        )
