"""Calls of custom tools: free text, which the provider was told of as a function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from harness.rules import Exchange, Violation, rule
from harness.rules.calls import pairs_of
from harness.rules.text import differing

_TYPES: Final = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "local_shell": "local_shell_call",
}


@rule(
    "custom/1",
    "a call is of the kind of its tool: what the client offered as custom comes back as custom",
    breaks="Codex, all versions: 'incompatible payload', and no file is changed",
    source="Codex 0.45 and 0.163: apply_patch as a custom tool wants custom_tool_call",
    needs="provider",
)
def are_of_their_kind(exchange: Exchange) -> Iterator[Violation]:
    for _, item, event, tool in pairs_of(exchange):
        expected = item["type"] if tool is None else _TYPES[tool.kind]
        if item["type"] != expected:
            yield Violation(f"{expected} {item.get('name')}", str(item["type"]), event)


@rule(
    "custom/2",
    "`input` is the raw text that the provider's arguments hold",
    breaks="Codex, all versions: the patch is JSON, and does not apply",
    source="Codex hands `input` to the tool as it is",
    needs="provider",
)
def input_is_raw(exchange: Exchange) -> Iterator[Violation]:
    for call, item, event, _ in pairs_of(exchange):
        if item["type"] == "custom_tool_call" and (text := _only_text(call.arguments)) is not None:
            yield from differing(text, item["input"], event)


def _only_text(arguments: str) -> str | None:
    """Return the one string in a call's arguments; None where there is no such thing."""
    try:
        values = list(json.loads(arguments).values())
    except (ValueError, AttributeError):
        return None
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None
