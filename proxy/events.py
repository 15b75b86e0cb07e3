"""The events of a Responses stream, each with its `type` as tag.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec

from proxy.responses import OutputItem, OutputText, Response, SummaryText

__all__ = [
    "ContentPartAdded",
    "ContentPartDone",
    "CustomToolCallInputDelta",
    "CustomToolCallInputDone",
    "Event",
    "FunctionCallArgumentsDelta",
    "FunctionCallArgumentsDone",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputTextDelta",
    "OutputTextDone",
    "ReasoningSummaryPartAdded",
    "ReasoningSummaryPartDone",
    "ReasoningSummaryTextDelta",
    "ReasoningSummaryTextDone",
    "ResponseCompleted",
    "ResponseCreated",
    "ResponseFailed",
    "ResponseInProgress",
    "ResponseIncomplete",
    "delta_template",
    "encode",
    "escaped",
    "framed",
    "unescaped",
]


class Event(msgspec.Struct, kw_only=True, tag_field="type"):
    """One event; it gets its `sequence_number` when it is emitted."""

    sequence_number: int = 0


# --- the response --------------------------------------------------------------------------------


class _ResponseEvent(Event, kw_only=True):
    response: Response


class ResponseCreated(_ResponseEvent, tag="response.created"):
    pass


class ResponseInProgress(_ResponseEvent, tag="response.in_progress"):
    pass


class ResponseCompleted(_ResponseEvent, tag="response.completed"):
    pass


class ResponseIncomplete(_ResponseEvent, tag="response.incomplete"):
    pass


class ResponseFailed(_ResponseEvent, tag="response.failed"):
    pass


# --- an item -------------------------------------------------------------------------------------


class OutputItemAdded(Event, kw_only=True, tag="response.output_item.added"):
    output_index: int
    item: OutputItem


class OutputItemDone(Event, kw_only=True, tag="response.output_item.done"):
    """The one event of an item that Codex records and acts upon."""

    output_index: int
    item: OutputItem


class _ItemEvent(Event, kw_only=True):
    item_id: str
    output_index: int


# --- text ----------------------------------------------------------------------------------------


class _TextEvent(_ItemEvent, kw_only=True):
    content_index: int = 0


class ContentPartAdded(_TextEvent, kw_only=True, tag="response.content_part.added"):
    part: OutputText


class OutputTextDelta(_TextEvent, kw_only=True, tag="response.output_text.delta"):
    delta: str
    logprobs: list[Any] = []


class OutputTextDone(_TextEvent, kw_only=True, tag="response.output_text.done"):
    text: str
    logprobs: list[Any] = []


class ContentPartDone(_TextEvent, kw_only=True, tag="response.content_part.done"):
    part: OutputText


# --- reasoning -----------------------------------------------------------------------------------


class _SummaryEvent(_ItemEvent, kw_only=True):
    summary_index: int = 0


class ReasoningSummaryPartAdded(
    _SummaryEvent, kw_only=True, tag="response.reasoning_summary_part.added"
):
    part: SummaryText


class ReasoningSummaryTextDelta(
    _SummaryEvent, kw_only=True, tag="response.reasoning_summary_text.delta"
):
    delta: str


class ReasoningSummaryTextDone(
    _SummaryEvent, kw_only=True, tag="response.reasoning_summary_text.done"
):
    text: str


class ReasoningSummaryPartDone(
    _SummaryEvent, kw_only=True, tag="response.reasoning_summary_part.done"
):
    part: SummaryText


# --- function calls ------------------------------------------------------------------------------


class FunctionCallArgumentsDelta(
    _ItemEvent, kw_only=True, tag="response.function_call_arguments.delta"
):
    delta: str


class FunctionCallArgumentsDone(
    _ItemEvent, kw_only=True, tag="response.function_call_arguments.done"
):
    name: str
    arguments: str


# --- custom tool calls ---------------------------------------------------------------------------


class CustomToolCallInputDelta(
    _ItemEvent, kw_only=True, tag="response.custom_tool_call_input.delta"
):
    delta: str


class CustomToolCallInputDone(_ItemEvent, kw_only=True, tag="response.custom_tool_call_input.done"):
    input: str


# --- as bytes ------------------------------------------------------------------------------------

encode: Final = msgspec.json.Encoder().encode


def framed(event: Event) -> bytes:
    """Return an event as it stands in the stream; there are no line breaks in its JSON."""
    return _head(type(event)) + encode(event) + b"\n\n"


def delta_template(delta: Event) -> bytes:
    """Return an empty delta as it stands in the stream, for `%`: its number, its text `escaped`.

    Nearly all events are deltas, and those of one item differ in nothing else.
    """
    template = framed(delta).replace(b"%", b"%%")
    template = template.replace(b'"sequence_number":0,', b'"sequence_number":%d,')
    return template.replace(b'"delta":""', b'"delta":"%b"')


def escaped(text: str) -> bytes:
    """Return a text as it stands in JSON, between the quotes."""
    return encode(text)[1:-1]


def unescaped(text: bytes) -> str:
    """Return the text that stands in JSON so."""
    return _text_decoder.decode(b'"%b"' % text)


_text_decoder: Final = msgspec.json.Decoder(str)


@functools.cache
def _head(kind: type[Event]) -> bytes:
    return f"event: {kind.__struct_config__.tag}\ndata: ".encode()
