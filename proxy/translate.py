"""The request: Responses in, Chat Completions out.

A conversation is a flat list of items on one side and messages on the other. What a model said in
one turn (reasoning, text, calls) becomes one assistant message; the results follow their calls.
Cerebras answers a call without a result, or a result without a call, with 400: neither is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proxy import chat, responses

__all__ = ["translate"]

#: OpenAI's own names, which no other provider serves: gpt-5-codex, gpt-5.5, o4-mini, codex-mini...
_OPENAI_MODEL: Final = re.compile(r"(gpt-(?!oss)|chatgpt-|codex-|o\d)", re.IGNORECASE)

#: gpt-oss takes these alone and rejects the rest with 400; the nearest one stands in.
_REASONING_EFFORT: Final = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}

#: OpenAI's scale ends at 2.
_HIGHEST_TEMPERATURE: Final = 1.5

#: What Codex itself puts where a call was interrupted.
_ABORTED: Final = "aborted"


def translate(request: responses.Request, *, model: str) -> chat.Request:
    """Return the Chat Completions request for `request`.

    `model` takes the place of OpenAI's own model names; any other name passes unchanged.
    Raises `responses.InvalidRequest` where an item or a tool has a wrong type or lacks a field.
    """
    model = model if _OPENAI_MODEL.match(request.model) else request.model
    messages = list(_messages(request))
    if not messages:
        raise responses.InvalidRequest("There is nothing to answer in the input.", "input")
    tools = list(_tools(request))
    return chat.Request(
        model=model,
        messages=messages,
        stream=True,
        tools=tools or None,
        tool_choice=_tool_choice(request.tool_choice) if tools else None,
        reasoning_effort=_reasoning_effort(request.reasoning, model),
        max_completion_tokens=request.max_output_tokens,
        temperature=_temperature(request.temperature),
        top_p=request.top_p,
    )


# --- messages ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Turn:
    """What the model said between two things said to it: one assistant message."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[chat.ToolCall] = field(default_factory=list)

    def message(self) -> chat.AssistantMessage | None:
        """Return the message; None for reasoning that led to nothing, which Cerebras rejects."""
        if not self.texts and not self.calls:
            return None
        return chat.AssistantMessage(
            content="\n\n".join(self.texts) if self.texts else None,
            reasoning="\n\n".join(self.reasoning) or None,
            tool_calls=self.calls or None,
        )


def _messages(request: responses.Request) -> Iterator[chat.Message]:
    if request.instructions:
        yield chat.SystemMessage(request.instructions)
    if isinstance(request.input, str):
        yield chat.UserMessage(request.input)
        return
    items = [
        item
        for index, raw in enumerate(request.input)
        if (item := responses.decode_item(raw, f"input[{index}]")) is not None
    ]
    # Paired by id, not by place: Codex 0.45 puts the "aborted" output of an interrupted call at
    # the very front, and answers parallel calls one by one (call, output, call, output).
    outputs = {
        item.call_id: _text(item.output)
        for item in items
        if isinstance(item, responses.FunctionCallOutput)
    }
    called = {item.call_id for item in items if isinstance(item, responses.FunctionCall)}
    turn = _Turn()
    for item in items:
        match item:
            case responses.Reasoning():
                turn.reasoning += filter(None, [_text(item.content or item.summary)])
            case responses.FunctionCall():
                function = chat.FunctionCall(name=item.name, arguments=item.arguments)
                turn.calls.append(chat.ToolCall(id=item.call_id, function=function))
            case responses.Message(role="assistant"):
                turn.texts += filter(None, [_text(item.content)])
            case responses.FunctionCallOutput() if item.call_id in called:
                yield from _flush(turn, outputs)
                turn = _Turn()
            case _:
                yield from _flush(turn, outputs)
                turn = _Turn()
                yield _message(item)
    yield from _flush(turn, outputs)


def _flush(turn: _Turn, outputs: dict[str, str]) -> Iterator[chat.Message]:
    if (message := turn.message()) is not None:
        yield message
    for call in turn.calls:
        yield chat.ToolMessage(tool_call_id=call.id, content=outputs.get(call.id, _ABORTED))


def _message(item: responses.Message | responses.FunctionCallOutput) -> chat.Message:
    if isinstance(item, responses.FunctionCallOutput):
        # Its call was cut from the history; the text is not lost.
        return chat.UserMessage(f"Output of an earlier tool call:\n{_text(item.output)}")
    if item.role == "user":
        return chat.UserMessage(_text(item.content))
    # Not every model takes the role `developer`; gpt-oss maps both to its developer level.
    return chat.SystemMessage(_text(item.content))


def _text(content: str | Iterable[responses.ContentPart]) -> str:
    """Return the text of `content`; a part that is none (an image) leaves its name."""
    if isinstance(content, str):
        return content
    return "".join(
        next(
            (text for text in (part.text, part.refusal) if text is not None),
            f"[{part.type} left out: this model reads text only]",
        )
        for part in content
    )


# --- tools and parameters ------------------------------------------------------------------------


def _tools(request: responses.Request) -> Iterator[chat.Tool]:
    """Yield the function tools; hosted ones (`web_search`) can't be run by this provider."""
    for index, offered in enumerate(request.tools or []):
        tool = responses.to_tool(offered, f"tools[{index}]")
        if tool.type == "function" and tool.name:
            yield chat.Tool(chat.Function(tool.name, tool.description, tool.parameters))


def _tool_choice(choice: str | dict[str, Any] | None) -> str | chat.NamedToolChoice | None:
    match choice:
        case "none" | "required":
            return choice
        case {"type": "function", "name": str(name)}:
            return chat.NamedToolChoice(chat.NamedFunction(name))
    return None  # auto, which is what absent means


def _reasoning_effort(options: responses.ReasoningOptions | None, model: str) -> str | None:
    if options is None or options.effort is None or "gpt-oss" not in model:
        return None
    return _REASONING_EFFORT.get(options.effort)


def _temperature(temperature: float | None) -> float | None:
    return None if temperature is None else min(temperature, _HIGHEST_TEMPERATURE)
