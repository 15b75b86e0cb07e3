"""The response object and its output items, as the OpenAI Responses API has them.

https://platform.openai.com/docs/api-reference/responses/object. Codex needs less; users of the
official SDK need the rest. The events that carry them are in `events.py`.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

import msgspec

from proxy import chat
from proxy.request import LONGEST_REMEMBERED, Fields, ReasoningOptions, Request

__all__ = [
    "IncompleteDetails",
    "InputTokensDetails",
    "LocalShellAction",
    "OutputCompaction",
    "OutputCustomToolCall",
    "OutputFunctionCall",
    "OutputItem",
    "OutputLocalShellCall",
    "OutputMessage",
    "OutputReasoning",
    "OutputText",
    "OutputTokensDetails",
    "Response",
    "ResponseError",
    "Status",
    "SummaryText",
    "Usage",
]


_tools_decoder = msgspec.json.Decoder(list[Fields] | None)

#: What stands for a key that a function was sent without.
_OF_A_FUNCTION: Final[Fields] = {
    "description": msgspec.Raw(b"null"),
    "parameters": msgspec.Raw(b"null"),
    "strict": msgspec.Raw(b"false"),
}


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
    #: There only for a tool of a namespace: Codex looks the two up apart.
    namespace: str | msgspec.UnsetType = msgspec.UNSET


class OutputCustomToolCall(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    id: str
    status: Status
    call_id: str
    name: str
    input: str
    namespace: str | msgspec.UnsetType = msgspec.UNSET


class LocalShellAction(msgspec.Struct, tag_field="type", tag="exec"):
    command: list[str]
    env: dict[str, str] = {}
    working_directory: str | None = None
    timeout_ms: int | None = None


class OutputLocalShellCall(msgspec.Struct, tag_field="type", tag="local_shell_call"):
    id: str
    status: Status
    call_id: str
    action: LocalShellAction


class OutputCompaction(msgspec.Struct, tag_field="type", tag="compaction"):
    """A conversation that was summed up; comes back in later requests."""

    id: str
    encrypted_content: str


OutputItem = (
    OutputMessage
    | OutputReasoning
    | OutputFunctionCall
    | OutputCustomToolCall
    | OutputLocalShellCall
    | OutputCompaction
)


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

    @classmethod
    def of(cls, told: chat.Usage) -> Usage:
        """Return what the provider has told, in the words of this API."""
        prompt_details = told.prompt_tokens_details or chat.PromptTokensDetails()
        completion_details = told.completion_tokens_details or chat.CompletionTokensDetails()
        prompt, completion = _count(told.prompt_tokens), _count(told.completion_tokens)
        return cls(
            input_tokens=prompt,
            input_tokens_details=InputTokensDetails(_count(prompt_details.cached_tokens)),
            output_tokens=completion,
            output_tokens_details=OutputTokensDetails(_count(completion_details.reasoning_tokens)),
            total_tokens=_count(told.total_tokens) or prompt + completion,
        )


def _count(tokens: int | None) -> int:
    """Return a number of tokens: Codex takes a missing or negative one for a broken stream."""
    return max(tokens or 0, 0)


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
    #: Likewise in seconds since the epoch; None unless it was completed.
    completed_at: int | None = None
    status: Literal["in_progress", "completed", "failed", "incomplete"] = "in_progress"
    background: bool = False
    error: ResponseError | None = None
    #: Not among the parameters of this API, but among the keys of its response.
    frequency_penalty: float = 0.0
    incomplete_details: IncompleteDetails | None = None
    #: As it came; and the tools are encoded already: both are long, and in three events.
    instructions: msgspec.Raw
    max_output_tokens: int | None
    max_tool_calls: int | None = None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool
    presence_penalty: float = 0.0
    previous_response_id: str | None = None
    prompt_cache_key: str | None
    reasoning: ReasoningOptions
    safety_identifier: str | None
    #: The one that there is, whichever was asked for.
    service_tier: Literal["default"] = "default"
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: msgspec.Raw
    top_logprobs: int = 0
    top_p: float
    truncation: Literal["disabled"] = "disabled"
    usage: Usage | None = None
    user: str | None
    metadata: dict[str, str]

    @classmethod
    def to(cls, request: Request, *, id: str, created_at: int, model: str) -> Response:
        """Return the response to `request` in its first state.

        `created_at` is in seconds since the epoch, `model` the one that really answers.
        """
        sent = bytes(request.tools)
        return cls(
            id=id,
            created_at=created_at,
            instructions=request.instructions,
            max_output_tokens=request.max_output_tokens,
            model=model,
            parallel_tool_calls=request.parallel_tool_calls is not False,
            prompt_cache_key=request.prompt_cache_key,
            reasoning=request.reasoning or ReasoningOptions(),
            safety_identifier=request.safety_identifier,
            store=bool(request.store),
            temperature=_within(request.temperature, 2.0),
            text=_text(request.text),
            tool_choice=_tool_choice(request.tool_choice),
            tools=(_tools if len(sent) > LONGEST_REMEMBERED else _remembered_tools)(sent),
            top_p=_within(request.top_p, 1.0),
            user=request.user,
            metadata=request.metadata or {},
        )


def _within(asked: float | None, highest: float) -> float:
    """Return what counts of a number that was asked for; where none was, 1."""
    return 1.0 if asked is None else min(max(asked, 0.0), highest)


def _tool_choice(asked: str | dict[str, Any] | None) -> str | dict[str, Any]:
    """Return a choice of the model's tools; one that nobody knows is auto."""
    match asked:
        case "none" | "required":
            return asked
        case dict() if (type := asked.get("type")) and isinstance(type, str):
            return asked
    return "auto"


def _text(asked: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options of the text but for those that are null."""
    given = {name: value for name, value in (asked or {}).items() if value is not None}
    return given or {"format": {"type": "text"}}


def _tools(sent: bytes) -> msgspec.Raw:
    """Return the tools for the response, on one line: a line break would end an event."""
    if b"\n" in sent or b"\r" in sent:
        sent = msgspec.json.format(sent, indent=-1)
    return _encoded([_whole(tool) for tool in _tools_decoder.decode(sent) or ()])


_remembered_tools: Final = functools.lru_cache(maxsize=8)(_tools)


def _whole(tool: Fields) -> Fields:
    """Return a tool with the keys that a function has to have, also where it was sent without.

    Those of a namespace have them, too; there are no namespaces in one.
    """
    if (inner := bytes(tool.get("tools", b""))).startswith(b"["):
        functions = [_with_keys(each) for each in _tools_decoder.decode(inner) or ()]
        tool = {**tool, "tools": _encoded(functions)}
    return _with_keys(tool)


def _with_keys(tool: Fields) -> Fields:
    is_function = bytes(tool.get("type", b"")) == b'"function"'
    return {**_OF_A_FUNCTION, **tool} if is_function else tool


def _encoded(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
