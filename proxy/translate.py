"""The request: Responses in, Chat Completions out.

Nothing that Cerebras would reject is sent: what is not known to be taken is left out, or is a
switch of the settings where its acceptance is documented and was not seen.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from proxy import chat
from proxy.conversation import call_ids, messages
from proxy.request import (
    LONGEST_REMEMBERED,
    CompactionTrigger,
    InvalidRequest,
    Offer,
    ReasoningOptions,
    Request,
    items_of,
    offers_of,
    tools_of,
)
from proxy.settings import Settings
from proxy.tools import Kind, Origin, Toolbox

__all__ = ["Translation", "translate"]

#: OpenAI's own names, which no other provider serves: gpt-5-codex, gpt-5.5, o4-mini, codex-mini...
_OPENAI_MODEL: Final = re.compile(r"(gpt-(?!oss)|chatgpt-|codex-|o\d)", re.IGNORECASE)

#: By family of models: what each effort becomes. Anything else is 400.
_EFFORTS: Final = {
    "gpt-oss": {"none": "low", "minimal": "low", "xhigh": "high"},
    "glm": {"minimal": "low", "xhigh": "high", "none": "none"},
    "qwen": {"minimal": "low", "xhigh": "high", "none": "none"},
}
_PLAIN_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high"}

_NO_INSTRUCTIONS: Final = (msgspec.Raw(b"null"), msgspec.Raw(b'""'))

#: OpenAI's scale ends at 2.
_HIGHEST_TEMPERATURE: Final = 1.5


@dataclass(frozen=True, slots=True)
class Translation:
    """A request for the provider, and what is needed to understand its answer."""

    chat_request: chat.Request
    toolbox: Toolbox
    #: Ids of calls that the conversation has had: a new one must differ.
    call_ids: frozenset[str]
    #: True where the answer is to be one `compaction` item.
    compacts: bool


def translate(request: Request, settings: Settings, *, compacts: bool = False) -> Translation:
    """Return the Chat Completions request that asks for the same.

    With `compacts`, or where an item asks for it, that is a summary of the conversation.

    Raises `InvalidRequest` where an item or a tool has a wrong type or lacks a field.
    """
    items = items_of(request)
    if compacts:
        items.append(CompactionTrigger())
    compacts = any(isinstance(item, CompactionTrigger) for item in items)
    toolbox = _toolbox(offers_of(request, items))
    if compacts:
        toolbox = Toolbox()
    choice = _tool_choice(request.tool_choice, toolbox)
    model = _model(request.model, settings)
    format, format_note = _response_format(request.text, model, toolbox)
    conversation = list(messages(items, toolbox))
    if request.instructions not in _NO_INSTRUCTIONS:
        conversation.insert(0, chat.SystemMessage(request.instructions))
    if not conversation:
        raise InvalidRequest("There is nothing to answer in the input.", "input")
    if format_note is not None:
        conversation.append(chat.SystemMessage(format_note))
    chat_request = chat.Request(
        model=model,
        messages=conversation,
        stream=True,
        tools=toolbox.offered or None,
        tool_choice=choice if toolbox.offered else None,
        parallel_tool_calls=(
            request.parallel_tool_calls
            if toolbox.offered and settings.send_parallel_tool_calls
            else None
        ),
        reasoning_effort=_reasoning_effort(request.reasoning, model),
        response_format=None if compacts else format,
        max_completion_tokens=request.max_output_tokens,
        temperature=_temperature(request.temperature),
        top_p=None if request.top_p is None else min(max(request.top_p, 0.0), 1.0),
    )
    return Translation(chat_request, toolbox, call_ids(items), compacts)


def _model(name: str, settings: Settings) -> str:
    return settings.model if _OPENAI_MODEL.match(name) else name


# --- tools ---------------------------------------------------------------------------------------


def _toolbox(offers: tuple[Offer, ...]) -> Toolbox:
    """Return the tools that are offered; raises `InvalidRequest`."""
    if sum(len(offer.json) for offer in offers) > LONGEST_REMEMBERED:
        return _new_toolbox(offers)
    return _remembered_toolbox(offers).copy()


def _new_toolbox(offers: tuple[Offer, ...]) -> Toolbox:
    return Toolbox([tool for offer in offers for tool in tools_of(offer)])


_remembered_toolbox: Final = functools.lru_cache(maxsize=8)(_new_toolbox)


def _tool_choice(
    choice: str | dict[str, Any] | None, toolbox: Toolbox
) -> str | chat.NamedToolChoice | None:
    """Return the choice; None is auto, which is what absent means to the provider."""
    match choice:
        case "none" | "required":
            return choice
        case {"type": "allowed_tools", "tools": list(allowed), **rest}:
            toolbox.keep({name for tool in allowed if (name := _offered(tool, toolbox))})
            return "required" if rest.get("mode") == "required" else None
        case dict() if (name := _offered(choice, toolbox)) is not None:
            return chat.NamedToolChoice(chat.NamedFunction(name))
    return None


def _offered(choice: Any, toolbox: Toolbox) -> str | None:
    """Return the provider's name of the tool that a choice names, if it is offered."""
    match choice:
        case {"type": "function", "name": str(name), **rest}:
            origin = Origin(Kind.FUNCTION, name, _namespace(rest))
        case {"type": "custom", "name": str(name), **rest}:
            origin = Origin(Kind.CUSTOM, name, _namespace(rest))
        case {"type": "local_shell"}:
            origin = Origin(Kind.LOCAL_SHELL, "local_shell")
        case _:
            return None
    return toolbox.name(origin) if toolbox.offers(origin) else None


def _namespace(rest: dict[Any, Any]) -> str | None:
    namespace = rest.get("namespace")
    return namespace if isinstance(namespace, str) else None


# --- parameters ----------------------------------------------------------------------------------


def _reasoning_effort(options: ReasoningOptions | None, model: str) -> str | None:
    if options is None or options.effort is None:
        return None
    for family, efforts in _EFFORTS.items():
        if family in model:
            return (_PLAIN_EFFORTS | efforts).get(options.effort)
    return None


def _response_format(
    text: dict[str, Any] | None, model: str, toolbox: Toolbox
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the format of the answer, and what to tell the model where it cannot be demanded.

    gpt-oss rejects a response format together with tools. Codex needs the tools, and the schema is
    for the final message alone: so the model is told of it, at the end, where it is heeded best.
    """
    match (text or {}).get("format"):
        case {"type": "json_object"}:
            format: dict[str, Any] = {"type": "json_object"}
            note = "Answer with one JSON object and nothing else."
        case {"type": "json_schema", "schema": dict(schema), **rest}:
            named = {"name": _legal_name(rest.get("name")), "schema": schema}
            strict = {"strict": rest["strict"]} if isinstance(rest.get("strict"), bool) else {}
            format = {"type": "json_schema", "json_schema": {**named, **strict}}
            note = (
                "Your final answer must be one JSON value that conforms to this JSON Schema, and "
                f"nothing else:\n{json.dumps(schema, ensure_ascii=False)}"
            )
        case {"type": "json_schema"}:
            raise InvalidRequest("A json_schema format needs a schema.", "text.format.schema")
        case _:
            return None, None
    if toolbox.offered and "gpt-oss" in model:
        return None, note
    return format, None


def _legal_name(name: object) -> str:
    """Return the name of a schema as the provider takes it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] if name and isinstance(name, str) else "answer"


def _temperature(temperature: float | None) -> float | None:
    return None if temperature is None else min(max(temperature, 0.0), _HIGHEST_TEMPERATURE)
