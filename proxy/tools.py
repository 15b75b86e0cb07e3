"""Each kind of tool: how it is offered upstream, and what a call of it is to the client.

A provider of Chat Completions knows functions alone, with names of at most 64 legal characters. So
a custom tool is offered as a function with one string, a namespace is flattened into the names of
its tools, and whatever a call names is looked up here again on its way back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum, auto
from typing import Final, NamedTuple

from proxy import chat
from proxy.request import Tool

__all__ = ["CUSTOM_ARGUMENT", "Kind", "Origin", "Toolbox", "custom_arguments"]

#: The one argument of the function that stands for a custom tool.
CUSTOM_ARGUMENT: Final = "input"

_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME: Final = 64
_LEGAL: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_LONGEST_NAME}}}")

_LOCAL_SHELL: Final = chat.Function(
    name="local_shell",
    description="Run a command on the user's machine and return its output.",
    parameters={
        "type": "object",
        "properties": {
            "command": {"type": "array", "items": {"type": "string"}},
            "working_directory": {"type": "string"},
            "timeout_ms": {"type": "integer"},
        },
        "required": ["command"],
        "additionalProperties": False,
    },
)


class Kind(StrEnum):
    """What a tool is to the client; a string, whose hash is not made in Python."""

    FUNCTION = auto()
    #: Free text, by a grammar perhaps: `apply_patch` of new versions of Codex.
    CUSTOM = auto()
    #: The built-in shell of `codex-mini`.
    LOCAL_SHELL = auto()


#: By their type, the kinds of tools that have a name.
_NAMED: Final = {"function": Kind.FUNCTION, "custom": Kind.CUSTOM}


class Origin(NamedTuple):
    """A tool as the client knows it."""

    kind: Kind
    name: str
    namespace: str | None = None


class Toolbox:
    """The tools of one request, but for hosted ones (`web_search`), which only OpenAI can run."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        #: By the name that the provider knows.
        self._origins: dict[str, Origin] = {}
        self._names: dict[Origin, str] = {}
        #: As they are offered to the provider.
        self.offered: list[chat.Tool] = []
        flattened: dict[Origin, Tool] = {}
        for origin, tool in _flattened(tools):
            flattened.setdefault(origin, tool)
        for origin in sorted(flattened, key=lambda origin: origin.namespace is not None):
            self.name(origin)  # where two look alike, it is always the flattened one that differs
        for origin, tool in flattened.items():
            self.offered.append(chat.Tool(_function(origin, tool, self.name(origin))))

    def copy(self) -> Toolbox:
        """Return one of the same tools, for another request."""
        toolbox = Toolbox()
        toolbox._origins, toolbox._names = self._origins.copy(), self._names.copy()
        toolbox.offered = self.offered.copy()
        return toolbox

    def name(self, origin: Origin) -> str:
        """Return the name by which the provider knows a tool, also one that is offered no more."""
        name = self._names.get(origin)
        if name is None:
            name, tries = _legal_name(origin), 0
            while name in self._origins:  # two tools that look alike once they are flattened
                name, tries = _hashed_name(origin, tries), tries + 1
            self._names[origin] = name
            self._origins[name] = origin
        return name

    def origin(self, name: str) -> Origin:
        """Return the tool that a call means; one that was never offered is for Codex to refuse."""
        return self._origins.get(name) or Origin(Kind.FUNCTION, name)

    def offers(self, origin: Origin) -> bool:
        name = self._names.get(origin)
        return any(tool.function.name == name for tool in self.offered)

    def keep(self, names: set[str]) -> None:
        """Offer only those of `names`."""
        self.offered = [tool for tool in self.offered if tool.function.name in names]


def custom_arguments(text: str) -> str:
    """Return the arguments of the function that stands for a custom tool called with `text`."""
    return json.dumps({CUSTOM_ARGUMENT: text}, ensure_ascii=False)


def _flattened(tools: Iterable[Tool]) -> Iterator[tuple[Origin, Tool]]:
    for tool in tools:
        if tool.type == "namespace" and tool.name:
            for inner in tool.tools or ():
                if (kind := _kind(inner)) is not None:
                    yield Origin(kind, inner.name or "", tool.name), inner
        elif (kind := _kind(tool)) is not None:
            yield Origin(kind, tool.name or "local_shell"), tool


def _kind(tool: Tool) -> Kind | None:
    if tool.type == "local_shell":
        return Kind.LOCAL_SHELL
    if not tool.name:
        return None
    return _NAMED.get(tool.type)


def _function(origin: Origin, tool: Tool, name: str) -> chat.Function:
    if origin.kind is Kind.LOCAL_SHELL:
        return chat.Function(name, _LOCAL_SHELL.description, _LOCAL_SHELL.parameters)
    if origin.kind is Kind.FUNCTION:
        return chat.Function(name, tool.description, tool.parameters)
    argument = {"type": "string", "description": "The whole input, as plain text."}
    parameters = {
        "type": "object",
        "properties": {CUSTOM_ARGUMENT: argument},
        "required": [CUSTOM_ARGUMENT],
        "additionalProperties": False,
    }
    return chat.Function(name, _with_grammar(tool), parameters)


def _with_grammar(tool: Tool) -> str | None:
    """Return the description of a custom tool; what would constrain the model is told to it."""
    match tool.format:
        case {"type": "grammar", "syntax": str(syntax), "definition": str(definition)}:
            grammar = f"The input must match this {syntax} grammar:\n{definition}"
            return f"{tool.description}\n\n{grammar}" if tool.description else grammar
    return tool.description


def _legal_name(origin: Origin) -> str:
    full = _full_name(origin)
    return full if origin.name and _LEGAL.fullmatch(full) else _hashed_name(origin)


def _full_name(origin: Origin) -> str:
    return f"{origin.namespace}__{origin.name}" if origin.namespace else origin.name


def _hashed_name(origin: Origin, tries: int = 0) -> str:
    """Return a legal name for a tool, the same in every request; another one with each try."""
    parts = (origin.kind.name, origin.namespace, origin.name, tries)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    return f"{_ILLEGAL.sub('_', _full_name(origin))[: _LONGEST_NAME - 9]}_{digest}"
