"""A recorded answer, in the words of the tools that were offered.

A model calls what it was offered. Another proxy may offer a tool in a namespace under another name
than this one, and the text of a custom tool as another parameter than `input`: to be called as in
the recording would be no fault of its own.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from harness.chat_stream import read_chat_stream
from harness.rules.asked import Tool, meant

__all__ = ["in_offered_words"]

#: How this proxy offers the text of a custom tool.
_INPUT: Final = "input"

_CHUNK: Final = re.compile(rb"(?<=data: )\{.*\}")


class _Call(NamedTuple):
    """What is said otherwise of a call."""

    name: str
    parameter: str
    #: Where `input` stands in the arguments; None where it stays.
    at: int | None


def in_offered_words(answer: dict[str, Any], tools: Sequence[Tool], request: bytes) -> None:
    """Change `answer`, as a cassette has it: call what `request` offers of the client's `tools`."""
    calls = _calls(answer["body"]["string"], tools, _functions(request))
    if not calls:
        return
    body: bytes = answer["body"]["string"]
    told = dict.fromkeys(calls, 0)  # characters of their arguments so far
    pieces: list[tuple[bytes, bytes]] = []  # what was there, and what is
    end = 0
    for chunk in _CHUNK.finditer(body):
        said = _changed(chunk[0], calls, told)
        pieces += [(body[end : chunk.start()],) * 2, (chunk[0], said)]
        end = chunk.end()
    pieces.append((body[end:],) * 2)
    answer["body"]["string"] = b"".join(now for _, now in pieces)
    answer["stream"]["chunks"] = list(_cut(answer["stream"]["chunks"], pieces))


def _functions(request: bytes) -> dict[str, Mapping[str, Any]]:
    """Return each function that is offered, with its parameters; none of a request without form."""
    try:
        functions = [tool["function"] for tool in json.loads(request).get("tools") or ()]
        return {
            function["name"]: (function.get("parameters") or {}).get("properties") or {}
            for function in functions
        }
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return {}


def _calls(
    body: bytes, tools: Sequence[Tool], functions: Mapping[str, Mapping[str, Any]]
) -> dict[int, _Call]:
    """Return, by their place, the calls that would be made otherwise."""
    calls: dict[int, _Call] = {}
    for place, call in enumerate(read_chat_stream(body).calls):
        tool = meant(call.name, tools)
        if tool is None:
            continue
        same = (name for name in functions if meant(name, tools) == tool)
        name = call.name if call.name in functions else next(same, call.name)
        parameters = list(functions.get(name, ()))
        only = parameters[0] if tool.kind == "custom" and len(parameters) == 1 else _INPUT
        found = re.match(rf'\s*{{\s*"(?={_INPUT}")', call.arguments) if only != _INPUT else None
        if found or name != call.name:
            calls[place] = _Call(name, only, found.end() if found else None)
    return calls


def _changed(chunk: bytes, calls: Mapping[int, _Call], told: dict[int, int]) -> bytes:
    """Return a chunk of the stream with the names and the parameters of `calls`."""
    data = json.loads(chunk)
    changed = False
    for choice in data.get("choices") or ():
        for fragment in choice.get("delta", {}).get("tool_calls") or ():
            if (call := calls.get(fragment["index"])) is None:
                continue
            function = fragment["function"]
            if "name" in function:
                function["name"] = call.name
            arguments = function.get("arguments") or ""
            start = told[fragment["index"]]
            told[fragment["index"]] += len(arguments)
            function["arguments"] = _renamed(arguments, call, start)
            changed = True
    if not changed:
        return chunk
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _renamed(arguments: str, call: _Call, start: int) -> str:
    """Return a fragment of the arguments, which begins at `start`, with the other parameter."""
    if call.at is None:
        return arguments
    begin, end = call.at - start, call.at + len(_INPUT) - start
    instead = call.parameter if 0 <= begin < len(arguments) else ""
    return arguments[: max(begin, 0)] + instead + arguments[max(end, 0) :]


def _cut(
    chunks: Sequence[Sequence[float]], pieces: Sequence[tuple[bytes, bytes]]
) -> Iterator[list[float]]:
    """Yield the chunks of the transport, cut where they were; those that have nothing left go."""
    old = list(itertools.accumulate((len(was) for was, _ in pieces), initial=0))
    new = list(itertools.accumulate((len(now) for _, now in pieces), initial=0))
    place = before = end = 0
    for milliseconds, size in chunks:
        end += int(size)
        while place < len(pieces) - 1 and old[place + 1] <= end:
            place += 1
        cut = min(new[place] + end - old[place], new[place + 1])
        if cut > before:
            yield [milliseconds, cut - before]
        before = cut
