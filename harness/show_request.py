"""The requests of a turn as a person would read them: the client's, and the proxy's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness.page import Page, as_text
from harness.terminal import Style, counted, number

__all__ = ["client_request", "parsed_object", "upstream_request"]

#: Lines of each that are shown where not all is asked for.
_MOST_ASKED: Final = 6
_MOST_BODY: Final = 16

#: What of a request is told apart from its parameters.
_NO_PARAMETERS: Final = frozenset({"input", "instructions", "messages", "model", "stream", "tools"})

#: What stands in a recording for prose: its digest, and how many characters it had.
_ELIDED: Final = re.compile(r"\[elided sha256:[0-9a-f]+, (\d+) characters\]")

Json = dict[str, Any]


# --- what the client asked -----------------------------------------------------------------------


def client_request(page: Page, recorded: Json, asked: Json, before: Json) -> Iterator[str]:
    """Yield what the client asked that it had not asked the turn `before`."""
    yield page.heading("client ─▶ proxy", f"{recorded['method']} {recorded['path']}")
    if not asked:
        yield from page.row("body", recorded["body"], most=_MOST_BODY)
        return
    if asked.get("model") != before.get("model"):
        yield from page.row("model", as_text(asked.get("model")))
    if asked.get("instructions") != before.get("instructions"):
        instructions = as_text(asked.get("instructions"))
        yield from page.row("instruct", instructions, most=2, style="dim")
    yield from _input(page, _items(asked), _items(before))
    if asked.get("tools") != before.get("tools"):
        names = [name for tool in _list(asked.get("tools")) for name in _tool_names(tool)]
        yield from page.row("tools", f"{len(names)}: {', '.join(names)}" if names else "none")
    parameters = {
        name: value
        for name, value in asked.items()
        if name not in _NO_PARAMETERS and (name not in before or before[name] != value)
    }
    if parameters:
        yield from page.row("with", _joined(parameters), most=_MOST_ASKED, style="dim")
    lengths, lengths_before = _elided(asked), _elided(before)
    if lengths and lengths != lengths_before:
        places = counted(len(lengths), "place")
        told = f"{number(sum(lengths))} characters of prose, in {places}"
        yield from page.row("elided", told, style="dim")


def _input(page: Page, items: list[Any], before: list[Any]) -> Iterator[str]:
    """Yield what is new in the input; what the model had said itself is only named."""
    same = next(
        (place for place, (a, b) in enumerate(zip(items, before, strict=False)) if a != b),
        min(len(items), len(before)),
    )
    if same < len(before):
        told = f"begins anew after {same} of the {len(before)} items of the turn before"
        yield from page.row("input", told, style="yellow")
    carried: Counter[str] = Counter()
    for item in items[same:]:
        kind = _kind(item)
        if kind in ("reasoning", "message by assistant") or kind.endswith("_call"):
            carried[kind] += 1
            continue
        yield from _carried(page, carried)
        yield from _input_item(page, item, kind)
    yield from _carried(page, carried)


def _kind(item: Any) -> str:
    """Return the type of an input item; a message that has no type is one by its role."""
    if not isinstance(item, dict):
        return "message by user"
    kind = str(item.get("type", "message"))
    return f"message by {item.get('role')}" if kind == "message" else kind


def _carried(page: Page, carried: Counter[str]) -> Iterator[str]:
    if carried:
        yield from page.row("history", _kinds_counted(carried), style="dim")
        carried.clear()


def _input_item(page: Page, item: Any, kind: str) -> Iterator[str]:
    if kind.startswith("message by "):
        content = item.get("content") if isinstance(item, dict) else item
        yield from page.row(kind.removeprefix("message by "), _content(content), most=_MOST_ASKED)
    elif kind.endswith("_call_output"):
        yield from page.row("output", f"of {as_text(item.get('call_id'))}", style="dim")
        yield from page.data("", _content(item.get("output")), most=_MOST_ASKED)
    else:
        rest = {name: value for name, value in item.items() if name != "type"}
        yield from page.row(kind, as_text(rest or None), most=_MOST_ASKED)


def _content(content: Any) -> str:
    """Return the text of a message or an output; what is no text is named."""
    if not isinstance(content, list):
        return as_text(content)
    return "\n".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        return as_text(part)
    if "text" in part:
        return as_text(part["text"])
    url = part.get("image_url")
    if isinstance(url, str) and url.startswith("data:"):
        return f"[{part.get('type')}: {url[5:].partition(';')[0]}, {number(len(url))} characters]"
    return f"[{part.get('type')}]"


def _tool_names(tool: Any) -> list[str]:
    if not isinstance(tool, dict):
        return [as_text(tool)]
    if isinstance(function := tool.get("function"), dict):
        return [as_text(function.get("name"))]
    name = as_text(tool.get("name") or tool.get("type"))
    if tool.get("type") == "namespace":
        return [f"{name}.{inner}" for one in _list(tool.get("tools")) for inner in _tool_names(one)]
    return [f"{name} ({tool['type']})" if tool.get("type") == "custom" else name]


def _elided(asked: Json) -> list[int]:
    """Return how long the texts were that were elided from a request."""
    return [int(length) for length in _ELIDED.findall(as_text(asked))]


# --- what the proxy asked ------------------------------------------------------------------------


def upstream_request(page: Page, request: Any, asked: Json, told: dict[str, str]) -> Iterator[str]:
    """Yield the request to the provider, and how it differs from what the client asked.

    What was `told` of the turn before is not told again.
    """
    yield page.heading("proxy ─▶ provider", f"{request.method} {request.uri}")
    sent = parsed_object(request.body)
    if not sent:
        body = request.body
        text = body.decode(errors="replace") if isinstance(body, bytes) else as_text(body)
        yield from page.row("body", text, most=_MOST_BODY)
        return
    if sent == asked:
        yield from page.row("body", "as the client asked", style="dim")
        return
    facts = dict(_differences(sent, asked))
    for label, text in facts.items():
        if text != told.get(label):
            style: Style | None = "dim" if label == "without" else None
            yield from page.row(label, text, most=_MOST_ASKED, style=style)
    told.clear()
    told.update(facts)


def _differences(sent: Json, asked: Json) -> Iterator[tuple[str, str]]:
    """Yield what is to be told of a request upstream, each with its label."""
    model = as_text(sent.get("model"))
    instead = asked.get("model", model)
    yield "model", model if instead == model else f"{model} instead of {as_text(instead)}"
    kinds = Counter(_kind(message) for message in _list(sent.get("messages")) or _items(sent))
    yield "messages", _kinds_counted(kinds).replace("message by ", "")
    names = [name for tool in _list(sent.get("tools")) for name in _tool_names(tool)]
    offered = [name for tool in _list(asked.get("tools")) for name in _tool_names(tool)]
    if names != offered:
        new = ", ".join(name for name in names if name not in offered)
        yield "tools", f"{len(names)}, with {new}" if new else str(len(names))
    changed = {
        name: value
        for name, value in sent.items()
        if name not in _NO_PARAMETERS and (name not in asked or asked[name] != value)
    }
    if changed:
        yield "with", _joined(changed)
    left_out = [name for name in asked if name not in sent and name not in _NO_PARAMETERS]
    if left_out:
        yield "without", ", ".join(left_out)


# --- values --------------------------------------------------------------------------------------


def parsed_object(body: Any) -> Json:
    """Return the object that a request's body is; empty where it is none."""
    try:
        value = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(asked: Json) -> list[Any]:
    """Return the input of a Responses request, whose short form is a text."""
    value = asked.get("input", [])
    return value if isinstance(value, list) else [value]


def _joined(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {as_text(value) or 'null'}" for name, value in parameters.items())


def _kinds_counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
