"""What the client asked for: its tools, its texts, its calls. Read independently of any proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Tool", "calls_in", "input_of", "meant", "parts_of", "told", "tools_of"]

_KINDS: Final = ("function", "custom", "local_shell")

_CALL_TYPES: Final = ("function_call", "custom_tool_call", "local_shell_call")

#: What may stand between a namespace and a name, where both are one name to the provider.
_JOINTS: Final = ("__", "_", "-", ".", "/", ":")


class Tool(NamedTuple):
    """A tool that the client offers, and that a provider of functions can be told of."""

    #: `function`, `custom`, `local_shell`.
    kind: str
    name: str
    namespace: str | None
    definition: Mapping[str, Any]


def input_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the items of a Responses request."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    items = (item for item in given or () if isinstance(item, dict))
    # An item with a role and no type is a message.
    return [item if "type" in item else {**item, "type": "message"} for item in items]


def tools_of(body: Mapping[str, Any]) -> list[Tool]:
    """Return the tools of a Responses request, but for those that only OpenAI can run."""
    given = list(body.get("tools") or ())
    for item in input_of(body):
        if item["type"] == "additional_tools":
            given += item.get("tools") or ()
    return list(_flat(given))


def _flat(tools: Iterable[Mapping[str, Any]], namespace: str | None = None) -> Iterator[Tool]:
    for tool in tools:
        kind = tool.get("type")
        if kind == "namespace":
            yield from _flat(tool.get("tools") or (), str(tool.get("name")))
        elif kind == "local_shell":
            yield Tool(kind, "local_shell", None, tool)
        elif kind in _KINDS and tool.get("name"):
            yield Tool(str(kind), tool["name"], namespace, tool)


def meant(name: str, tools: Sequence[Tool]) -> Tool | None:
    """Return the tool that the provider means by `name`; None where that cannot be known."""
    for tool in tools:
        names = [tool.name]
        if tool.namespace is not None:
            names = [tool.namespace + joint + tool.name for joint in _JOINTS]
        if name in names:
            return tool
    # Without its namespace, where no other one has that name.
    alike = [tool for tool in tools if tool.name == name]
    return alike[0] if len(alike) == 1 else None


def parts_of(content: object) -> list[str]:
    """Return the texts of the content of a message, or of the output of a tool."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    parts = (part for part in content if isinstance(part, dict))
    texts = (part.get("text", part.get("refusal")) for part in parts)
    return [text for text in texts if isinstance(text, str)]


def told(message: Mapping[str, Any]) -> str:
    """Return the text of a message of Chat Completions, which may be a string or a list of parts.

    Cerebras takes strings alone; that is for `request/1` to say.
    """
    return "".join(parts_of(message.get("content")))


def calls_in(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calls that the conversation has had."""
    return [item for item in input_of(body) if item["type"] in _CALL_TYPES]
