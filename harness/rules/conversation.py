"""The conversation upstream: all that was said and done, by whom, in order, and nothing twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from harness.rules import Exchange, Violation, rule
from harness.rules.asked import Tool, input_of, meant, parts_of, told, tools_of
from harness.rules.stream import CALLS

_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")

#: Items that a provider of Chat Completions is told of in their own words, or not at all.
_PLAIN: Final = ("message", "reasoning", "additional_tools", *CALLS, *_OUTPUTS)

#: By the client's role: the provider's that may stand for it.
_ROLES: Final = {
    "user": ("user",),
    "assistant": ("assistant",),
    "developer": ("system", "developer"),
    "system": ("system", "developer"),
}


@rule(
    "conversation/1",
    "every call in the history is followed by its result, and every result has its call",
    breaks="the turn: Cerebras answers 400",
    source="Chat Completions: an assistant message with tool_calls must be followed by tool "
    "messages that answer each of them",
    needs="request",
)
def calls_have_results(exchange: Exchange) -> Iterator[Violation]:
    waiting: list[str] = []
    for number, message in enumerate(_messages(exchange)):
        if message["role"] == "tool":
            if (id := message["tool_call_id"]) not in waiting:
                yield Violation(f"a call {id} before message {number}", "none")
            else:
                waiting.remove(id)
            continue
        if waiting:
            yield Violation(f"the results of {waiting} before message {number}", "none")
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        yield Violation(f"the results of {waiting}", "none")


@rule(
    "conversation/2",
    "the instructions come first, as a system message",
    breaks="Codex, all versions: the model does not know its task",
    source="Codex 0.45: `instructions`; newer versions send a developer message",
    needs="request",
)
def instructions_come_first(exchange: Exchange) -> Iterator[Violation]:
    instructions, messages = exchange.body.get("instructions"), _messages(exchange)
    if instructions and messages:
        first = messages[0]
        if first["role"] not in _ROLES["system"] or instructions not in told(first):
            actual = f"{first['role']}: {told(first)[:80]!r}"
            yield Violation(f"system: {instructions[:80]!r}", actual)


@rule(
    "conversation/3",
    "every text of the conversation is there, in its order",
    breaks="Codex, all versions: the model does not know what was said",
    source="the conversation is sent whole with each request, and is all that the model has",
    needs="request",
)
def nothing_is_lost(exchange: Exchange) -> Iterator[Violation]:
    for role, text, message in _found(exchange):
        if message is None:
            yield Violation(f"{role}: {text[:80]!r}, after what was said before it", "none")


@rule(
    "conversation/4",
    "who said something is still the one who said it",
    breaks="Codex, all versions: what a person wants is a rule, or the other way round",
    source="Responses has the roles user, assistant and developer; Cerebras takes no developer",
    needs="request",
)
def roles_are_kept(exchange: Exchange) -> Iterator[Violation]:
    for role, text, message in _found(exchange):
        if message is not None and message["role"] not in _ROLES.get(role, (role,)):
            yield Violation(f"{role}: {text[:80]!r}", f"{message['role']}")


@rule(
    "conversation/5",
    "nothing is told twice",
    breaks="the purse, and the model, which takes it for two requests",
    source="each item of the input is one thing that was said",
    needs="request",
)
def nothing_is_doubled(exchange: Exchange) -> Iterator[Violation]:
    said = Counter(map(_whole, _said(exchange)))
    sent = Counter(map(told, _messages(exchange)))
    for text, count in said.items():
        if text and sent[text] > count:
            yield Violation(f"{text[:80]!r}, {count} times", f"{sent[text]} times")


@rule(
    "conversation/6",
    "every call of the history is there: its id, its tool, its arguments",
    breaks="the model, which does not know what it did",
    source="Codex sends every call back as it was done",
    needs="request",
)
def calls_go_back(exchange: Exchange) -> Iterator[Violation]:
    tools = tools_of(exchange.body)
    called = {call["id"]: call["function"] for call in _calls(exchange)}
    for item in input_of(exchange.body) if exchange.upstream else ():
        if item["type"] in CALLS and item.get("call_id"):
            function = called.get(item["call_id"])
            expected = f"{item['call_id']}: {item.get('name')} {item.get('arguments') or ''}"[:160]
            if function is None:
                yield Violation(expected, f"{sorted(called)}")
            elif not _is_same(function, item, tools):
                yield Violation(expected, f"{function['name']} {function['arguments']}"[:160])


@rule(
    "conversation/7",
    "the result of every call is there, under the id of its call",
    breaks="the model, which does not know what came of it",
    source="Codex sends every result back with the id of its call",
    needs="request",
)
def results_go_back(exchange: Exchange) -> Iterator[Violation]:
    results = {m["tool_call_id"]: told(m) for m in _messages(exchange) if _is_tool(m)}
    called = {item.get("call_id") for item in input_of(exchange.body) if item["type"] in CALLS}
    for item in input_of(exchange.body) if exchange.upstream else ():
        if item["type"] in _OUTPUTS and item["call_id"] in called:
            for text in parts_of(item["output"]):
                if text not in results.get(item["call_id"], ""):
                    actual = f"{results.get(item['call_id'], 'no result')[:80]!r}"
                    yield Violation(f"{item['call_id']}: {text[:80]!r}", actual)


@rule(
    "conversation/8",
    "reasoning goes back to the provider, as `reasoning` of the message that it led to",
    breaks="the model: without its reasoning it begins anew after each call",
    source="Cerebras takes `reasoning` on assistant messages, and rejects `reasoning_content`",
    needs="request",
)
def reasoning_goes_back(exchange: Exchange) -> Iterator[Violation]:
    items = input_of(exchange.body)
    messages = [message for message in _messages(exchange) if message["role"] == "assistant"]
    for item, following in pairwise(items):
        if item["type"] == "reasoning" and following["type"] in (*CALLS, "message"):
            texts = parts_of(item.get("content")) or parts_of(item.get("summary"))
            for text in texts if exchange.upstream and _is_the_models(following) else ():
                led_to = [message for message in messages if _says(message, following)]
                if not any(text in str(message.get("reasoning")) for message in led_to):
                    actual = [message.get("reasoning") for message in led_to]
                    yield Violation(f"reasoning {text[:80]!r}", f"{actual}")


@rule(
    "conversation/9",
    "nobody says more than the client has them say: no message, no word of the user's or a tool's",
    breaks="the person, in whose name the model is asked for something else",
    source="the model cannot tell what is added from what was said",
    needs="request",
)
def nothing_is_added(exchange: Exchange) -> Iterator[Violation]:
    is_plain, wholes = _is_plain(exchange.body), {_whole(item) for item in _said(exchange)}
    said = Counter(text.strip() for text in _texts(exchange.body))
    results: dict[str, list[Any]] = {}
    for item in input_of(exchange.body):
        if item["type"] in _OUTPUTS:
            results.setdefault(item["call_id"], []).append(item["output"])
    for message in _messages(exchange):
        words, texts = told(message), said
        if message["role"] == "tool":
            outputs = results.get(message["tool_call_id"], [])
            texts = Counter(text.strip() for output in outputs for text in parts_of(output))
            # What is lost conversation/7 says; and where there is nothing a note may stand.
            is_clear = any(texts) and all(text in words for text in texts)
            is_clear = is_clear and all(map(_is_text, outputs))
        else:
            # Whole messages that come twice are for conversation/5.
            is_clear = message["role"] == "user" and is_plain and words not in wholes
        added = _without(words, texts) if is_clear else ""
        if re.search(r"\w", added):  # how texts are joined is up to the proxy
            yield Violation(f"{message['role']}: what the client has", f"also {added[:80]!r}")


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield all texts of a request, whoever said them."""
    if isinstance(body.get("instructions"), str):
        yield body["instructions"]
    for item in input_of(body):
        yield from parts_of(item.get("content"))
        yield from parts_of(item.get("output"))


def _without(words: str, texts: Counter[str]) -> str:
    """Return what is left of `words` without these texts, which are taken out of `texts`."""
    # The longest first: a text may be part of another one.
    for text in sorted(filter(None, texts), key=len, reverse=True):
        while texts[text] and text in words:
            words = words.replace(text, "", 1)
            texts[text] -= 1
    return words


def _is_plain(body: Mapping[str, Any]) -> bool:
    """Tell whether each item is one that is told in its own words, and no other has to be found.

    Others are an image, a format that is demanded, a summary, a result that has no call.
    """
    items = input_of(body)
    called = {item.get("call_id") for item in items if item["type"] in CALLS}
    text = body.get("text")
    return (
        bool(items)
        and not (isinstance(text, dict) and text.get("format"))
        and all(item["type"] in _PLAIN for item in items)
        and all(item["call_id"] in called for item in items if item["type"] in _OUTPUTS)
        and all(_is_text(item.get(key) or "") for item in items for key in ("content", "output"))
    )


def _is_text(content: str | list[Any]) -> bool:
    """Tell whether a content is text alone: no image, no file."""
    return isinstance(content, str) or len(parts_of(content)) == len(content)


def _whole(item: Mapping[str, Any]) -> str:
    return "".join(parts_of(item.get("content")))


def _messages(exchange: Exchange) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (exchange.upstream or {}).get("messages", [])
    return messages


def _calls(exchange: Exchange) -> Iterator[dict[str, Any]]:
    for message in _messages(exchange):
        yield from message.get("tool_calls") or ()


def _said(exchange: Exchange) -> Iterator[dict[str, Any]]:
    return (item for item in input_of(exchange.body) if item["type"] == "message")


def _found(exchange: Exchange) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Yield each text of the client's messages, who said it, and the message upstream that has it.

    They are looked for in order: each one after the one before.
    """
    messages, number, start = _messages(exchange), 0, 0
    for item in _said(exchange) if messages else ():
        for text in filter(None, parts_of(item.get("content"))):
            found: dict[str, Any] | None = None
            begin = start
            for place in range(number, len(messages)):
                at = told(messages[place]).find(text, begin)
                if at >= 0:
                    found, number, start = messages[place], place, at + len(text)
                    break
                begin = 0
            yield str(item.get("role")), text, found


def _is_same(function: Mapping[str, str], item: Mapping[str, Any], tools: list[Tool]) -> bool:
    tool = meant(function["name"], tools)
    name = function["name"] if tool is None else tool.name
    # A name that is no legal one of the provider's becomes another; a custom tool's input becomes
    # the argument of a function.
    same_name = "name" not in item or tool is None or name == item["name"]
    arguments = item.get("arguments", function["arguments"])
    return bool(same_name and _parsed(arguments) == _parsed(function["arguments"]))


def _parsed(arguments: str) -> Any:
    """Return what the arguments say, however spaced; as they are where they are no JSON."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _is_tool(message: Mapping[str, Any]) -> bool:
    return bool(message["role"] == "tool")


def _is_the_models(item: Mapping[str, Any]) -> bool:
    return str(item.get("role", "assistant")) == "assistant"


def _says(message: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Tell whether a message upstream has what `item` says, or calls."""
    if item["type"] == "message":
        return all(text in told(message) for text in parts_of(item.get("content")))
    return any(call["id"] == item.get("call_id") for call in message.get("tool_calls") or ())
