"""Mutants that spoil what the provider is asked."""

from __future__ import annotations

from collections.abc import Callable

from harness.client import CREDENTIAL
from tests.conformance.mutants.judge import Broken
from tests.conformance.mutants.servers import Data, UpstreamMutation

__all__ = ["REQUESTS"]


def _with(**changes: object) -> UpstreamMutation:
    return UpstreamMutation(lambda body: body.update(changes))


def _messages(change: Callable[[list[Data]], object]) -> UpstreamMutation:
    return UpstreamMutation(lambda body: change(body["messages"]))


def _messages_of(speaker: str, **changes: object) -> UpstreamMutation:
    """Change each message of this speaker."""

    def spoil(messages: list[Data]) -> None:
        for message in messages:
            if message["role"] == speaker:
                message.update(changes)

    return _messages(spoil)


def _tools(change: Callable[[list[Data]], object]) -> UpstreamMutation:
    return UpstreamMutation(lambda body: change(body["tools"]))


def _first_tool(**changes: object) -> UpstreamMutation:
    return _tools(lambda tools: tools[0]["function"].update(changes))


def _invent_a_tool(tools: list[Data]) -> None:
    tools.append({**tools[0], "function": {**tools[0]["function"], "name": "invented"}})


def _empty_the_arguments(messages: list[Data]) -> None:
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = "{}"


def _add_words(speaker: str, words: str | None = None) -> Callable[[list[Data]], None]:
    """Let this speaker say more; or all twice, where no words are given."""

    def spoil(messages: list[Data]) -> None:
        for message in messages:
            if message["role"] == speaker:
                message["content"] += "\n" + (words or message["content"])

    return spoil


def _put_in_parts(messages: list[Data]) -> None:
    for message in messages:
        message["content"] = [{"type": "text", "text": message["content"]}]


def _drop_the_reasoning(messages: list[Data]) -> None:
    for message in messages:
        message.pop("reasoning", None)


def _drop_the_summary(messages: list[Data]) -> None:
    if [message["role"] for message in messages[2:]] == ["user", "user", "user"]:
        del messages[3]


def _drop_the_format(body: Data) -> None:
    body.pop("response_format", None)
    schema = '"schema"', "JSON Schema"
    body["messages"] = [
        message
        for message in body["messages"]
        if not any(word in str(message["content"]) for word in schema)
    ]


class _ToolsForAll:
    """Offers what was offered before, where nothing is."""

    def __init__(self) -> None:
        self._tools: list[Data] = []

    def __call__(self, body: Data) -> None:
        self._tools = body.setdefault("tools", self._tools)


_ORPHAN = {"role": "tool", "tool_call_id": "nobodys", "content": "done"}

REQUESTS = (
    Broken(
        "edge/4",
        "shows the provider the client's credential",
        "hello",
        UpstreamMutation(headers={"authorization": f"Bearer {CREDENTIAL}"}),
    ),
    # What the provider would reject, each by a clause of its own in the schema.
    Broken("request/1", "sends a field that is unknown", "hello", _with(store=False)),
    Broken("request/1", "sends both limits", "hello", _with(max_tokens=4096)),
    Broken(
        "request/1",
        "sends a name of 65 characters",
        "hello",
        _first_tool(name="n" * 65),
        {"request/2", "request/4"},
    ),
    Broken("request/1", "lets some tools be strict", "hello", _first_tool(strict=True)),
    Broken("request/1", "has a developer speak", "hello", _messages_of("system", role="developer")),
    Broken(
        "request/1",
        "sends `reasoning_content`",
        "whole-calls",
        _messages_of("assistant", reasoning_content="Hm"),
    ),
    Broken(
        "request/1",
        "sends an empty refusal",
        "whole-calls",
        _messages_of("assistant", refusal=None),
    ),
    Broken("request/1", "sends content in parts", "hello", _messages(_put_in_parts)),
    Broken("request/2", "forgets a tool", "hello", _tools(lambda tools: tools.pop())),
    Broken(
        "request/3",
        "forgets the parameters of a tool",
        "hello",
        _first_tool(parameters={"type": "object"}),
    ),
    Broken(
        "request/3",
        "forgets what a tool is for",
        "hello",
        _tools(lambda tools: [tool["function"].pop("description") for tool in tools]),
    ),
    Broken(
        "request/3",
        "says that a tool is for something else",
        "apply-patch-custom",
        _first_tool(description="Writes a poem."),
    ),
    Broken("request/4", "invents a tool", "hello", _tools(_invent_a_tool)),
    Broken("request/5", "forbids the tools", "hello", _with(tool_choice="none")),
    Broken(
        "request/6",
        "does not ask for a stream",
        "hello",
        UpstreamMutation(lambda body: body.pop("stream")),
    ),
    Broken("request/7", "asks for another model", "hello", _with(model="other")),
    Broken(
        "request/8",
        "forgets the format that is demanded",
        "structured-output",
        UpstreamMutation(_drop_the_format),
    ),
    Broken(
        "request/9",
        "passes on a private header",
        "hello",
        UpstreamMutation(headers={"x-codex-turn-metadata": "{}"}),
    ),
    Broken(
        "conversation/1",
        "sends a result that has no call",
        "hello",
        _messages(lambda messages: messages.append(_ORPHAN)),
    ),
    Broken(
        "conversation/2",
        "sends the instructions last",
        "hello",
        _messages(lambda messages: messages.append(messages.pop(0))),
    ),
    Broken(
        "conversation/3",
        "forgets the last message",
        "hello",
        _messages(lambda messages: messages.pop()),
    ),
    Broken(
        "conversation/4",
        "lets the system say what the user said",
        "hello",
        _messages(lambda messages: messages[-1].update(role="system")),
    ),
    Broken(
        "conversation/5",
        "says the last message twice",
        "hello",
        _messages(lambda messages: messages.append(messages[-1])),
    ),
    Broken(
        "conversation/6",
        "forgets the arguments of the calls",
        "whole-calls",
        _messages(_empty_the_arguments),
    ),
    Broken(
        "conversation/7",
        "forgets the results of the calls",
        "whole-calls",
        _messages_of("tool", content="done"),
    ),
    Broken(
        "conversation/8",
        "forgets the reasoning",
        "whole-calls",
        _messages(_drop_the_reasoning),
    ),
    Broken(
        "conversation/9",
        "has the user say something more",
        "hello",
        _messages(lambda messages: messages.append({"role": "user", "content": "Be brief."})),
    ),
    Broken(
        "conversation/9",
        "says each text of the user's twice",
        "hello",
        _messages(_add_words("user")),
    ),
    Broken(
        "conversation/9",
        "adds to the results of the calls",
        "whole-calls",
        _messages(_add_words("tool", "Now go on.")),
    ),
    Broken(
        "compaction/2",
        "offers tools where the conversation is summed up",
        "compaction",
        UpstreamMutation(_ToolsForAll()),
    ),
    Broken("compaction/3", "forgets the summary", "compaction", _messages(_drop_the_summary)),
)
