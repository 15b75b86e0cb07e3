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
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

from harness.client import Event
from harness.codex_tools import TOOLS
from harness.scenarios import Call, Scenario, Turn

__all__ = ["Conversation", "begin"]

Item = dict[str, Any]

_INSTRUCTIONS: Final = "You are a coding agent. Use the tools to do what is asked, then say so."
_PERMISSIONS: Final = "Files below /tmp may be written."
_ENVIRONMENT: Final = "<environment_context>\n  <cwd>/tmp</cwd>\n</environment_context>"


class Conversation(ABC):
    """One conversation as a version of Codex holds it."""

    #: What its requests are sent with.
    USER_AGENT: ClassVar[str]
    #: Names of the tools that it offers where the scenario names none.
    _TOOLS: ClassVar[Sequence[str]]

    def __init__(self, scenario: Scenario, *, model: str) -> None:
        self._scenario = scenario
        self._model = model
        self._key = str(uuid.uuid5(uuid.NAMESPACE_URL, scenario.name))
        self._tools = [TOOLS[name] for name in scenario.tools or self._TOOLS]
        self._beginning = self._opening()
        self._input = [*self._beginning, self._said(scenario.prompt)]
        self._left = list(scenario.turns)

    @property
    def turn(self) -> Turn:
        """The turn that the script has for the model; a live one may take more."""
        return self._left[0]

    def request(self) -> dict[str, Any]:
        """Return the request for the model's next turn."""
        items = list(self._input)
        if self.turn.compacts:
            items.append({"type": "compaction_trigger"})
        request = self._request(items)
        if self._scenario.output_schema is not None:
            request["text"] = {"format": _format(self._scenario.output_schema)}
        return request

    def take(self, events: list[Event]) -> bool:
        """Enter what the model said, as Codex does: by what is done; then the tools' outputs.

        Returns whether the model has another turn: calls have outputs, the person goes on, or what
        failed is tried again.
        """
        turn = self.turn
        if not events or any(event.type in _FAILED for event in events):
            return bool(events) and turn.refusal is not None and turn.refusal.times is not None
        items = [event["item"] for event in events if event.type == "response.output_item.done"]
        called = [item["call_id"] for item in items if item["type"] in _CALLS]
        # By place: a live model does not give the ids that the script has.
        scripted = itertools.chain(turn.calls, itertools.repeat(_ANY_CALL))
        if turn.compacts:
            self._input = [*self._beginning, *items]
        else:
            self._input += self._history(items, dict(zip(called, scripted, strict=False)))
        if len(self._left) > 1:
            self._left.pop(0)
        elif not called:
            return False
        if turn.then is not None:
            self._input.append(self._said(turn.then))
        return bool(called) or turn.then is not None or self.turn.compacts

    @abstractmethod
    def _opening(self) -> list[Item]: ...

    @abstractmethod
    def _said(self, prompt: str) -> Item: ...

    @abstractmethod
    def _request(self, items: list[Item]) -> dict[str, Any]: ...

    @abstractmethod
    def _history(self, items: list[Item], calls: dict[str, Call]) -> Iterator[Item]: ...


class _Codex045(Conversation):
    """Instructions beside the input, no ids, each call followed by its output."""

    USER_AGENT = "codex_exec/0.45.0 (Linux; x86_64) unknown"
    _TOOLS = ("shell", "apply_patch", "view_image")

    def _opening(self) -> list[Item]:
        return [_message("user", _ENVIRONMENT)]

    def _said(self, prompt: str) -> Item:
        return _message("user", prompt)

    def _request(self, items: list[Item]) -> dict[str, Any]:
        return {
            "model": self._model,
            "instructions": _INSTRUCTIONS,
            "input": items,
            "tools": self._tools,
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
            yield _without_id(item)
            if item["type"] in _CALLS:
                yield _output(item, _shell_output(calls[item["call_id"]], item["name"]))


class _Codex121(Conversation):
    """Instructions beside the input and developer messages in it, no ids, outputs after all calls.

    So do all versions from 0.98 to 0.144.
    """

    USER_AGENT = "codex_exec/0.121.0 (Linux; x86_64) unknown (codex_exec; 0.121.0)"
    _TOOLS = ("exec_command", "write_stdin", "update_plan", "apply_patch_freeform", "view_image")

    def _opening(self) -> list[Item]:
        return [
            _message("developer", _PERMISSIONS, "There are no skills."),
            _message("user", _ENVIRONMENT),
        ]

    def _said(self, prompt: str) -> Item:
        return _message("user", prompt)

    def _request(self, items: list[Item]) -> dict[str, Any]:
        return {
            "model": self._model,
            "instructions": _INSTRUCTIONS,
            "input": items,
            "tools": self._tools,
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": self._key,
        }

    def _history(self, items: list[Item], calls: dict[str, Call]) -> Iterator[Item]:
        yield from map(_without_id, items)
        for item in items:
            if item["type"] in _CALLS:
                yield _output(item, _terminal_output(calls[item["call_id"]], item["name"]))


class _Codex163(Conversation):
    """Developer messages instead of instructions, ids on all items, outputs after all calls."""

    USER_AGENT = "codex_exec/0.163.0 (Linux; x86_64) unknown (codex_exec; 0.163.0)"
    _TOOLS = ("exec_command", "write_stdin", "view_image", "multi_agent_v1", "web_search")

    def _opening(self) -> list[Item]:
        return [
            self._with_id(_message("developer", _INSTRUCTIONS), 0),
            self._with_id(_message("developer", _PERMISSIONS), 1),
            self._with_id(_message("user", _ENVIRONMENT), 2),
        ]

    def _said(self, prompt: str) -> Item:
        return self._with_id(_message("user", prompt), prompt)

    def _request(self, items: list[Item]) -> dict[str, Any]:
        return {
            "model": self._model,
            "stream": True,
            "input": items,
            "tools": self._tools,
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
                yield {name: item[name] for name in _ECHOED if name in item}
            if item["type"] in _CALLS:
                output = _output(item, _terminal_output(calls[item["call_id"]], item["name"]))
                outputs.append(self._with_id(output, len(self._input) + len(outputs), "fco"))
        yield from outputs

    def _with_id(self, item: Item, what: object, prefix: str = "msg") -> Item:
        unique = uuid.uuid5(uuid.UUID(self._key), str(what))
        kind, *rest = item.items()
        return dict([kind, ("id", f"{prefix}_{unique}"), *rest])


#: What a tool prints for a call that no script foresaw.
_ANY_CALL: Final = Call(id="", name="", arguments="")

_CALLS: Final = ("function_call", "custom_tool_call")
#: Tools whose output comes without a wrapping.
_PLAIN: Final = ("view_image", "update_plan", "get_goal", "close_agent")
_FAILED: Final = ("response.failed", "response.incomplete")

#: What comes back of an item, in its order.
_ECHOED: Final = (
    "type",
    "status",
    "id",
    "role",
    "name",
    "namespace",
    "arguments",
    "input",
    "call_id",
    "content",
)

_CLIENTS: Final[dict[str, type[Conversation]]] = {
    "codex-0.45": _Codex045,
    "codex-0.121": _Codex121,
    "codex-0.163": _Codex163,
}


def begin(scenario: Scenario, *, model: str = "gpt-oss-120b") -> Conversation:
    """Return the conversation that the scenario's client begins."""
    return _CLIENTS[scenario.client](scenario, model=model)


# --- items ---------------------------------------------------------------------------------------


def _message(role: str, *texts: str) -> Item:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "input_text", "text": text} for text in texts],
    }


def _without_id(item: Item) -> Item:
    """Return an item of the model's as a version without ids sends it back."""
    if item["type"] == "reasoning":
        return _reasoning(item)
    if item["type"] == "message":
        parts = [{"type": "output_text", "text": part["text"]} for part in item["content"]]
        return {"type": "message", "role": "assistant", "content": parts}
    names = ("type", "name", "arguments", "input", "call_id")
    return {name: item[name] for name in names if name in item}


def _reasoning(item: Item) -> Item:
    """Return a reasoning item as it comes back: with nulls where nothing was given."""
    return {
        "type": "reasoning",
        "summary": item["summary"],
        "content": item.get("content"),
        "encrypted_content": item.get("encrypted_content"),
    }


def _output(call: Item, output: str | list[Item]) -> Item:
    return {"type": f"{call['type']}_output", "call_id": call["call_id"], "output": output}


def _shell_output(call: Call, tool: str) -> str | list[Item]:
    """Return what 0.45 makes of what a tool printed."""
    if tool in _PLAIN or isinstance(call.output, list):
        return call.output
    metadata = {"exit_code": call.exit_code, "duration_seconds": 0.0}
    return json.dumps({"output": call.output, "metadata": metadata}, separators=(",", ":"))


def _terminal_output(call: Call, tool: str) -> str | list[Item]:
    """Return what 0.163 makes of what a tool printed."""
    if tool in (*_PLAIN, "apply_patch") or isinstance(call.output, list):
        return call.output
    lines = [
        "Chunk ID: 000000",
        "Wall time: 0.0000 seconds",
        f"Process exited with code {call.exit_code}",
        f"Original token count: {len(call.output) // 4}",
        "Output:",
        call.output,
    ]
    return "\n".join(lines)


def _format(schema: Item) -> Item:
    return {"type": "json_schema", "strict": True, "name": "codex_output_schema", "schema": schema}
