"""The Chat Completions side: the request a provider takes and the chunks it streams back.

Shapes and tolerances are those of Cerebras, https://inference-docs.cerebras.ai/api-reference/chat-completions.
What is sent is minimal, because unknown properties are rejected; what is read is liberal, because
absent, null and extra fields all occur in recorded streams.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = [
    "DONE",
    "NOT_JSON",
    "AssistantMessage",
    "Choice",
    "Chunk",
    "Delta",
    "Error",
    "ErrorBody",
    "Function",
    "FunctionCall",
    "FunctionCallDelta",
    "Message",
    "Request",
    "SystemMessage",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolMessage",
    "Usage",
    "UserMessage",
    "decode_chunk",
    "decode_error",
]

#: Ends a stream where the provider says so; Cerebras did not before 2026.
DONE: Final = b"[DONE]"

#: What decoding can raise: for JSON of another shape, no JSON, no UTF-8, and a thousand brackets.
NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# --- request -------------------------------------------------------------------------------------


class _Sent(msgspec.Struct, omit_defaults=True):
    """A default is never sent: absent is what the provider takes for it."""


class FunctionCall(_Sent):
    name: str
    #: JSON as text; passed on unchanged even where it is not JSON.
    arguments: str


class ToolCall(_Sent, tag_field="type", tag="function"):
    id: str
    function: FunctionCall


class SystemMessage(_Sent, tag_field="role", tag="system"):
    #: Instructions are passed on as they came.
    content: str | msgspec.Raw


class UserMessage(_Sent, tag_field="role", tag="user"):
    content: str


class AssistantMessage(_Sent, tag_field="role", tag="assistant"):
    content: str | None = None
    #: Cerebras' name; `reasoning_content` is rejected.
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None


class ToolMessage(_Sent, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(_Sent):
    name: str
    description: str | None = None
    #: The client's JSON Schema.
    parameters: dict[str, Any] | None = None


class Tool(_Sent, tag_field="type", tag="function"):
    """A tool as offered; without `strict`, which must be the same on all of them."""

    function: Function


class NamedFunction(_Sent):
    name: str


class NamedToolChoice(_Sent, tag_field="type", tag="function"):
    function: NamedFunction


class Request(_Sent):
    """The body of `POST /chat/completions`."""

    model: str
    messages: list[Message]
    #: No default, so that it is always sent.
    stream: bool
    tools: list[Tool] | None = None
    tool_choice: str | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


# --- stream --------------------------------------------------------------------------------------


class FunctionCallDelta(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct):
    """A whole call, the opener of one, or a fragment of its arguments (without id and name)."""

    index: int | None = None
    id: str | None = None
    function: FunctionCallDelta | None = None


class Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    #: What other providers call it.
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class Choice(msgspec.Struct):
    delta: Delta | None = None
    #: Absent until the last chunk: stop, tool_calls, length or content_filter.
    finish_reason: str | None = None
    index: int | None = None


class PromptTokensDetails(msgspec.Struct):
    cached_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens; `completion_tokens` includes reasoning."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


class Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    status_code: int | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] | None = None
    #: In the final chunk (Cerebras), or in one of its own with no choices (others).
    usage: Usage | None = None
    #: A failure in mid-stream comes as `{"error": {...}, "status_code": 429}`.
    error: Error | str | None = None
    status_code: int | None = None


class ErrorBody(Error):
    """An error: nested (`{"error": {...}}`), flat (`{"message": ...}`) or `{"detail": ...}`."""

    error: Error | str | None = None
    detail: Any = None

    @property
    def innermost(self) -> Error:
        if isinstance(self.error, Error):
            return self.error
        if self.error is not None:
            return Error(message=self.error)
        if self.message is None and self.detail is not None:
            return Error(message=str(self.detail))
        return self


#: Returns the chunk in one event's data; raises one of `NOT_JSON` where it is none.
decode_chunk: Final = msgspec.json.Decoder(Chunk).decode

_error_decoder = msgspec.json.Decoder(ErrorBody)


def decode_error(body: bytes) -> ErrorBody:
    """Return the error in an answer's body; whatever is no such JSON becomes an empty error."""
    try:
        return _error_decoder.decode(body)
    except NOT_JSON:
        return ErrorBody()
