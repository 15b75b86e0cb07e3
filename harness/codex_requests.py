"""A scripted client: requests in the shape that Codex sends them, by version.

Keys, their order, kinds of item and names of tools (a few of them) are those of the real CLI, as it
was seen to send them. The prose is not: Codex' prompts and tool descriptions are long, change with
every version, and are not ours to publish; short ones of our own stand in their place.
"""

from __future__ import annotations

import itertools
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from harness.client import Event
from harness.scenarios import Call, Scenario, Turn

__all__ = ["Conversation", "begin"]

Item = dict[str, Any]

_INSTRUCTIONS: Final = "You are a coding agent. Use the tools to do what is asked, then say so."
_ENVIRONMENT: Final = "<environment_context>\n  <cwd>/tmp</cwd>\n</environment_context>"


class Conversation(ABC):
    """One conversation as a version of Codex holds it."""

    def __init__(self, scenario: Scenario, *, model: str) -> None:
        self._scenario = scenario
        self._model = model
        self._key = str(uuid.uuid5(uuid.NAMESPACE_URL, scenario.name))
        self._input = self._opening()

    def request(self) -> dict[str, Any]:
        """Return the request for the model's next turn."""
        return self._request(list(self._input))

    def take(self, events: list[Event], turn: Turn) -> bool:
        """Enter what the model said, as Codex does: by what is done; then the tools' outputs.

        Returns whether there were any: then the model has another turn.
        """
        items = [event["item"] for event in events if event.type == "response.output_item.done"]
        called = [item["call_id"] for item in items if item["type"] == "function_call"]
        # By place: a live model does not give the ids that the script has.
        scripted = itertools.chain(turn.calls, itertools.repeat(_ANY_CALL))
        self._input += self._history(items, dict(zip(called, scripted, strict=False)))
        return bool(called)

    @abstractmethod
    def _opening(self) -> list[Item]: ...

    @abstractmethod
    def _request(self, items: list[Item]) -> dict[str, Any]: ...

    @abstractmethod
    def _history(self, items: list[Item], calls: dict[str, Call]) -> Iterator[Item]: ...


class _Codex045(Conversation):
    """Instructions beside the input, no ids, each call followed by its output."""

    def _opening(self) -> list[Item]:
        return [_message("user", _ENVIRONMENT), _message("user", self._scenario.prompt)]

    def _request(self, items: list[Item]) -> dict[str, Any]:
        return {
            "model": self._model,
            "instructions": _INSTRUCTIONS,
            "input": items,
            "tools": [_SHELL, _APPLY_PATCH, _VIEW_IMAGE],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "reasoning": None,
            "store": False,
            "stream": True,
            "include": [],
            "prompt_cache_key": self._key,
        }

    def _history(self, items: list[Item], calls: dict[str, Call]) -> Iterator[Item]:
        for item in items:
            if item["type"] == "reasoning":
                yield _reasoning(item)
            elif item["type"] == "message":
                parts = [{"type": "output_text", "text": part["text"]} for part in item["content"]]
                yield {"type": "message", "role": "assistant", "content": parts}
            elif item["type"] == "function_call":
                names = ("type", "name", "arguments", "call_id")
                yield {name: item[name] for name in names}
                call = calls[item["call_id"]]
                metadata = {"exit_code": call.exit_code, "duration_seconds": 0.0}
                output = {"output": call.output, "metadata": metadata}
                yield {
                    "type": "function_call_output",
                    "call_id": item["call_id"],
                    "output": json.dumps(output, separators=(",", ":")),
                }


class _Codex163(Conversation):
    """Developer messages instead of instructions, ids on all items, outputs after all calls."""

    def _opening(self) -> list[Item]:
        return [
            self._with_id(_message("developer", _INSTRUCTIONS), 0),
            self._with_id(_message("developer", "Files below /tmp may be written."), 1),
            self._with_id(_message("user", _ENVIRONMENT), 2),
            self._with_id(_message("user", self._scenario.prompt), 3),
        ]

    def _request(self, items: list[Item]) -> dict[str, Any]:
        return {
            "model": self._model,
            "stream": True,
            "input": items,
            "tools": [_EXEC_COMMAND, _WRITE_STDIN, _VIEW_IMAGE, _MULTI_AGENT, _WEB_SEARCH],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": self._key,
            "client_metadata": {"session_id": self._key},
        }

    def _history(self, items: list[Item], calls: dict[str, Call]) -> Iterator[Item]:
        outputs: list[Item] = []
        for item in items:
            if item["type"] == "reasoning":
                yield {"type": "reasoning", "id": item["id"], **_reasoning(item)}
            else:
                known = ("type", "status", "id", "role", "name", "arguments", "call_id", "content")
                yield {name: item[name] for name in known if name in item}
            if item["type"] == "function_call":
                call = calls[item["call_id"]]
                lines = [
                    "Chunk ID: 000000",
                    "Wall time: 0.0000 seconds",
                    f"Process exited with code {call.exit_code}",
                    f"Original token count: {len(call.output) // 4}",
                    "Output:",
                    str(call.output),
                ]
                output = {
                    "type": "function_call_output",
                    "call_id": item["call_id"],
                    "output": "\n".join(lines),
                }
                outputs.append(self._with_id(output, len(self._input) + len(outputs), "fco"))
        yield from outputs

    def _with_id(self, item: Item, number: int, prefix: str = "msg") -> Item:
        unique = uuid.uuid5(uuid.UUID(self._key), str(number))
        kind, *rest = item.items()
        return dict([kind, ("id", f"{prefix}_{unique}"), *rest])


#: What a tool prints for a call that no script foresaw.
_ANY_CALL: Final = Call(id="", name="", arguments="")

_CLIENTS: Final = {"codex-0.45": _Codex045, "codex-0.163": _Codex163}


def begin(scenario: Scenario, *, model: str = "gpt-oss-120b") -> Conversation:
    """Return the conversation that the scenario's client begins."""
    return _CLIENTS[scenario.client](scenario, model=model)


# --- items ---------------------------------------------------------------------------------------


def _message(role: str, text: str) -> Item:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "input_text", "text": text}],
    }


def _reasoning(item: Item) -> Item:
    """Return a reasoning item as it comes back: with nulls where nothing was given."""
    return {
        "type": "reasoning",
        "summary": item["summary"],
        "content": item.get("content"),
        "encrypted_content": item.get("encrypted_content"),
    }


# --- tools ---------------------------------------------------------------------------------------


def _function(name: str, description: str, required: list[str], **properties: Item) -> Item:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }


_STRING: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_BOOLEAN: Final = {"type": "boolean"}

_SHELL: Final = _function(
    "shell",
    "Run a command.",
    ["command"],
    command={"type": "array", "items": _STRING},
    justification=_STRING,
    timeout_ms=_NUMBER,
    with_escalated_permissions=_BOOLEAN,
    workdir=_STRING,
)
_APPLY_PATCH: Final = _function("apply_patch", "Change files.", ["input"], input=_STRING)
_VIEW_IMAGE: Final = _function("view_image", "Look at an image.", ["path"], path=_STRING)
_EXEC_COMMAND: Final = _function(
    "exec_command",
    "Run a command in a terminal.",
    ["cmd"],
    cmd=_STRING,
    login=_BOOLEAN,
    max_output_tokens=_NUMBER,
    shell=_STRING,
    tty=_BOOLEAN,
    workdir=_STRING,
    yield_time_ms=_NUMBER,
)
_WRITE_STDIN: Final = _function(
    "write_stdin",
    "Write to a running command.",
    ["session_id"],
    chars=_STRING,
    max_output_tokens=_NUMBER,
    session_id=_NUMBER,
    yield_time_ms=_NUMBER,
)
_MULTI_AGENT: Final = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Work with other agents.",
    "tools": [
        _function("close_agent", "Close an agent.", ["target"], target=_STRING),
    ],
}
_WEB_SEARCH: Final = {"type": "web_search", "external_web_access": True}
