"""Streams in the dialect of the ChatGPT backend, made by hand.

What is particular about it: a response object of 35 fields, `obfuscation` on each delta, reasoning
that is encrypted and has no status, a phase on messages, no name where a call's arguments are done,
and never an item in the output of the response that is completed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from harness import scenarios
from harness.client import Event, read_events
from harness.scenarios import Call, Turn
from tests.unit.harness.handmade import Json, sse

#: The response object while it is answered; what is null stands apart.
_RESPONSE: Json = {
    "id": "resp_0b1",
    "object": "response",
    "created_at": 1790000000,
    "status": "in_progress",
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": "Be brief.",
    "metadata": {},
    "model": "gpt-5.4",
    "output": [],
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "prompt_cache_key": "0b1",
    "prompt_cache_retention": "24h",
    "reasoning": {"context": "current_turn", "effort": "low", "mode": "standard", "summary": None},
    "safety_identifier": "user-0b1",
    "service_tier": "auto",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tool_usage": {
        "image_gen": {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "total_tokens": 0,
        },
        "web_search": {"num_requests": 0},
    },
    "tools": [],
    "top_logprobs": 0,
    "top_p": 0.98,
    "truncation": "disabled",
    **dict.fromkeys(
        [
            "completed_at",
            "error",
            "incomplete_details",
            "max_output_tokens",
            "max_tool_calls",
            "moderation",
            "previous_response_id",
            "usage",
            "user",
        ]
    ),
}
assert len(_RESPONSE) == 35

_COMPLETED: Json = {
    "status": "completed",
    "completed_at": 1790000001,
    "service_tier": "default",
    "usage": {
        "input_tokens": 144,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 61,
        "output_tokens_details": {"reasoning_tokens": 11},
        "total_tokens": 205,
    },
}


def conversation(name: str) -> list[list[Event]]:
    """Return how the ChatGPT backend would answer in the scenario called `name`, turn by turn."""
    scenario = scenarios.load(name)
    # Newer ones give instructions as a message, and ask for a summary of the reasoning.
    newer = scenario.client != "codex-0.45"
    return [read_events(sse(*events(turn, newer=newer))) for turn in scenario.turns]


def events(turn: Turn, *, newer: bool) -> list[Json]:
    """Return the events of one turn, to a newer Codex or to one of 2025."""
    response = _RESPONSE
    if newer:
        reasoning = {**_RESPONSE["reasoning"], "summary": "auto"}
        response = {**_RESPONSE, "instructions": None, "reasoning": reasoning}
    items: list[Iterator[Json]] = []
    if turn.reasoning:
        items.append(_reasoning(turn.reasoning if newer else None))
    if turn.text:
        items.append(_message(turn.text))
    items += map(_call, turn.calls)
    about_items = (
        {**event, "output_index": index} for index, item in enumerate(items) for event in item
    )
    all_events = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        *about_items,
        {"type": "response.completed", "response": {**response, **_COMPLETED}},
    ]
    numbers = itertools.count()
    return [{**event, "sequence_number": next(numbers)} for event in all_events]


def _reasoning(summary: str | None) -> Iterator[Json]:
    item = {"id": "rs_0b1", "type": "reasoning", "content": []}
    began = {**item, "summary": [], "encrypted_content": "gAAAAAB"}
    yield {"type": "response.output_item.added", "item": began}
    parts = []
    if summary is not None:
        here = {"item_id": item["id"], "summary_index": 0}
        part = {"type": "summary_text", "text": summary}
        parts.append(part)
        start = "response.reasoning_summary"
        yield {"type": f"{start}_part.added", **here, "part": {**part, "text": ""}}
        yield {"type": f"{start}_text.delta", **here, "delta": summary, "obfuscation": "aB3"}
        yield {"type": f"{start}_text.done", **here, "text": summary}
        yield {"type": f"{start}_part.done", **here, "part": part}
    done = {**item, "summary": parts, "encrypted_content": "gAAAAABq"}
    yield {"type": "response.output_item.done", "item": done}


def _message(text: str) -> Iterator[Json]:
    item = {"id": "msg_0b1", "type": "message", "phase": "final_answer", "role": "assistant"}
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    here = {"item_id": item["id"], "content_index": 0}
    began = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "item": began}
    yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
    for word in text.split():
        delta = {"delta": word, "logprobs": [], "obfuscation": "aB3"}
        yield {"type": "response.output_text.delta", **here, **delta}
    yield {"type": "response.output_text.done", **here, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **here, "part": {**part, "text": text}}
    done = {**item, "status": "completed", "content": [{**part, "text": text}]}
    yield {"type": "response.output_item.done", "item": done}


def _call(call: Call) -> Iterator[Json]:
    text = call.arguments_text
    id = f"fc_0{call.id}"
    item = {"id": id, "type": "function_call", "call_id": f"call_{call.id}", "name": call.name}
    began = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "item": began}
    for half in (text[: len(text) // 2], text[len(text) // 2 :]):
        delta = {"item_id": id, "delta": half, "obfuscation": "aB3"}
        yield {"type": "response.function_call_arguments.delta", **delta}
    yield {"type": "response.function_call_arguments.done", "item_id": id, "arguments": text}
    done = {**item, "status": "completed", "arguments": text}
    yield {"type": "response.output_item.done", "item": done}
