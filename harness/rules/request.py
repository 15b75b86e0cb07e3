"""What the provider is asked for, beside the conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from harness.rules import Exchange, Violation, rule
from harness.rules.asked import meant, told, tools_of

#: Headers that are between Codex and OpenAI.
_PRIVATE: Final = re.compile(
    r"(x-codex-|x-openai-|openai-|chatgpt-).*|originator|cookie|version|"
    r"(session|conversation|thread)[-_]id"
)

#: OpenAI's own models, which no other provider has: the configured one takes their place.
_OPENAI: Final = re.compile(r"(gpt-(?!oss)|chatgpt-|codex-|o\d)", re.IGNORECASE)

_LEGAL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@rule(
    "request/1",
    "nothing is sent that the provider would reject",
    breaks="the turn: Cerebras answers 400 or 422",
    source="Cerebras' API: what it does not know it rejects (schemas/chat/request.json)",
    needs="request",
)
def is_valid(exchange: Exchange) -> Iterator[Violation]:
    for fault in exchange.invalid:
        yield Violation("valid against schemas/chat/request.json", str(fault))


@rule(
    "request/2",
    "every tool that the client offers, and the provider can take, is offered",
    breaks="Codex, all versions: the model cannot do what it is asked for",
    source="Codex offers what it can run; only OpenAI can run hosted tools",
    needs="request",
)
def tools_are_offered(exchange: Exchange) -> Iterator[Violation]:
    if _is_restricted(exchange):
        return
    offered, tools = _offered(exchange), tools_of(exchange.body)
    known = [meant(name, tools) for name in offered]
    for tool in tools:
        full = f"{tool.namespace}__{tool.name}" if tool.namespace else tool.name
        if tool not in known and _LEGAL.fullmatch(full):
            yield Violation(f"{tool.kind} {full}", f"{sorted(offered)}")


@rule(
    "request/3",
    "the parameters of a tool are the client's, unchanged, and its description is there",
    breaks="Codex, all versions: the model calls it in another way than it is made for",
    source="schema and description are the client's own; the provider takes any",
    needs="request",
)
def tools_are_the_clients(exchange: Exchange) -> Iterator[Violation]:
    tools = tools_of(exchange.body)
    for name, function in _offered(exchange).items():
        tool = meant(name, tools)
        if tool is not None and tool.kind == "function":
            expected, actual = tool.definition.get("parameters"), function.get("parameters")
            if expected != actual:
                yield Violation(_short(expected), f"{name}: {_short(actual)}")
        # A custom tool's grammar may be told behind it.
        words = None if tool is None else tool.definition.get("description")
        if isinstance(words, str) and words not in str(function.get("description")):
            told_of = _short(function.get("description"))
            yield Violation(f"a description with {_short(words)}", f"{name}: {told_of}")


@rule(
    "request/4",
    "no tool is offered that the client does not have",
    breaks="Codex, all versions: 'unsupported call'",
    source="Codex runs its own tools and no others",
    needs="request",
)
def tools_are_not_invented(exchange: Exchange) -> Iterator[Violation]:
    tools = tools_of(exchange.body)
    for name in _offered(exchange):
        # A name that is not legal, or too long, has become another one.
        legal = all(_LEGAL.fullmatch(f"{tool.namespace or ''}__{tool.name}") for tool in tools)
        if legal and meant(name, tools) is None:
            yield Violation("a tool of the client's", name)


@rule(
    "request/5",
    "the choice of a tool is the client's",
    breaks="Codex, all versions: the model must call, again and again, or may not",
    source="Responses and Chat Completions have the same: auto, none, required",
    needs="request",
)
def choice_is_the_clients(exchange: Exchange) -> Iterator[Violation]:
    if _is_restricted(exchange) or not _offered(exchange):
        return
    expected = exchange.body.get("tool_choice") or "auto"
    actual = (exchange.upstream or {}).get("tool_choice") or "auto"
    if isinstance(expected, str) and actual != expected:
        yield Violation(f"tool_choice {expected}", f"tool_choice {actual}")


@rule(
    "request/6",
    "a stream is asked for where the client asks for one",
    breaks="the person, who sees nothing until all is over; the provider's idle limits",
    source="Chat Completions: `stream` is false where it is absent",
    needs="request",
)
def asks_for_a_stream(exchange: Exchange) -> Iterator[Violation]:
    if exchange.upstream and exchange.body.get("stream") and not exchange.upstream.get("stream"):
        yield Violation("stream true", f"stream {exchange.upstream.get('stream')}")


@rule(
    "request/7",
    "the model is the client's, where it is none of OpenAI's own",
    breaks="the person, who asked for another one",
    source="Codex: `model` of the configuration",
    needs="request",
)
def model_is_the_clients(exchange: Exchange) -> Iterator[Violation]:
    model = str(exchange.body.get("model") or "")
    actual = (exchange.upstream or {}).get("model", model)
    if model and model != actual and not _OPENAI.match(model):
        yield Violation(f"model {model}", f"model {actual}")


@rule(
    "request/8",
    "the format that the client demands of the answer is demanded, or told to the model",
    breaks="Codex with --output-schema: the answer is no JSON",
    source="Codex: text.format; gpt-oss takes no response_format together with tools",
    needs="request",
)
def format_is_told(exchange: Exchange) -> Iterator[Violation]:
    text = exchange.body.get("text")
    format = text.get("format") if isinstance(text, dict) else None
    if not (exchange.upstream and isinstance(format, dict) and format.get("schema")):
        return
    demanded = (exchange.upstream.get("response_format") or {}).get("json_schema") or {}
    texts = "\n".join(map(told, exchange.upstream["messages"]))
    spellings = [
        json.dumps(format["schema"], ensure_ascii=False, separators=separators)
        for separators in ((", ", ": "), (",", ":"))
    ]
    if demanded.get("schema") != format["schema"] and not any(one in texts for one in spellings):
        yield Violation(f"the schema {_short(format['schema'])}", "neither demanded nor told")


@rule(
    "request/9",
    "no header of the client's that is between Codex and OpenAI goes to the provider",
    breaks="the person: who they are, and where they work, is told to somebody else",
    source="Codex 0.45 and 0.169: their headers have ids of accounts and conversations",
    needs="request",
)
def headers_are_kept_back(exchange: Exchange) -> Iterator[Violation]:
    for asked in exchange.asked[-1:]:
        for name in sorted(asked.headers):
            if _PRIVATE.fullmatch(name):
                yield Violation("none of the client's headers", name)


def _offered(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """Return the functions that the provider is told of, by name."""
    tools = (exchange.upstream or {}).get("tools") or ()
    return {tool["function"]["name"]: tool["function"] for tool in tools}


def _is_restricted(exchange: Exchange) -> bool:
    """Tell whether the client wants but some of its tools to be called, or a summary."""
    choice = exchange.body.get("tool_choice")
    return exchange.upstream is None or exchange.compacts or isinstance(choice, dict)


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:160]
