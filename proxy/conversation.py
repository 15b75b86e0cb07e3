"""The conversation: a flat list of items in, messages out.

What the model said in one turn (reasoning, text, calls) becomes one assistant message, and the
results follow their calls. Cerebras answers a call without a result, or a result without a call,
with 400: neither is sent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from proxy import chat, compaction
from proxy.request import (
    AdditionalTools,
    AgentMessage,
    Compaction,
    CompactionTrigger,
    ContentPart,
    CustomToolCall,
    FunctionCall,
    InputItem,
    LocalShellCall,
    Message,
    Reasoning,
    ToolOutput,
)
from proxy.tools import Kind, Origin, Toolbox, custom_arguments

__all__ = ["call_ids", "messages"]

#: What Codex itself puts where a call was interrupted.
_ABORTED: Final = "aborted"

_AnyCall = FunctionCall | CustomToolCall | LocalShellCall
#: The same for `isinstance`, which looks through a tuple in half the time.
_CALLS: Final = (FunctionCall, CustomToolCall, LocalShellCall)


@dataclass(slots=True)
class _Turn:
    """What the model said between two things said to it."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[chat.ToolCall] = field(default_factory=list)
    results: list[chat.ToolMessage] = field(default_factory=list)

    def messages(self) -> Iterator[chat.Message]:
        """Yield the message and the results; nothing for reasoning that led to nothing."""
        if self.texts or self.calls:
            yield chat.AssistantMessage(
                content="\n\n".join(self.texts) or None,
                reasoning="\n\n".join(self.reasoning) or None,
                tool_calls=self.calls or None,
            )
        yield from self.results


def messages(items: list[InputItem], toolbox: Toolbox) -> Iterator[chat.Message]:
    """Yield the messages that say what `items` say; calls go by their names in `toolbox`."""
    results = _Results(items)
    turn = _Turn()
    for item in items:
        match item:
            case Reasoning():
                turn.reasoning += filter(None, [_text(item.content or item.summary)])
            case Message(role="assistant"):
                turn.texts += filter(None, [_text(item.content)])
            case FunctionCall() | CustomToolCall() | LocalShellCall():
                id, result = results.take(_call_id(item))
                function = _function_call(item, toolbox)
                turn.calls.append(chat.ToolCall(id=id, function=function))
                turn.results.append(chat.ToolMessage(tool_call_id=id, content=result))
            case AdditionalTools():
                pass  # offered elsewhere; no turn of anybody's
            case _:
                # Somebody else's turn; an output ends the model's, and is told already.
                yield from turn.messages()
                turn = _Turn()
                if (message := _message(item, results)) is not None:
                    yield message
    yield from turn.messages()


def call_ids(items: Iterable[InputItem]) -> frozenset[str]:
    """Return the ids that calls of the conversation have had."""
    return frozenset(_call_id(item) for item in items if isinstance(item, _CALLS))


class _Results:
    """Outputs, found by the id of their call and not by place.

    Codex 0.45 puts the "aborted" output of an interrupted call at the very front, may answer a call
    with an output of another kind, and puts the output of each parallel call behind it. Ids may be
    empty, and need not be unique.
    """

    def __init__(self, items: list[InputItem]) -> None:
        calls: defaultdict[str, int] = defaultdict(int)
        answers: defaultdict[str, list[ToolOutput]] = defaultdict(list)
        for item in items:
            if isinstance(item, ToolOutput):
                answers[item.call_id].append(item)
            elif isinstance(item, _CALLS):
                calls[_call_id(item)] += 1
        self._outputs: defaultdict[str, deque[str]] = defaultdict(deque)
        self._orphans: set[int] = set()
        self._taken: set[str] = set()
        for call_id, outputs in answers.items():
            # Where there are more outputs than calls, the last ones count.
            surplus = max(0, len(outputs) - calls[call_id])
            self._orphans |= {id(output) for output in outputs[:surplus]}
            self._outputs[call_id].extend(_text(output.output) for output in outputs[surplus:])

    def take(self, call_id: str) -> tuple[str, str]:
        """Return a unique id for the next call of this id, and its result."""
        outputs = self._outputs[call_id]
        unique, number = call_id or "call", 1
        while unique in self._taken:
            number += 1
            unique = f"{call_id or 'call'}_{number}"
        self._taken.add(unique)
        return unique, outputs.popleft() if outputs else _ABORTED

    def is_orphan(self, output: ToolOutput) -> bool:
        """Tell whether no call of the conversation asked for `output`."""
        return id(output) in self._orphans


def _call_id(call: _AnyCall) -> str:
    if isinstance(call, LocalShellCall):
        return call.call_id or call.id or ""
    return call.call_id


def _function_call(call: _AnyCall, toolbox: Toolbox) -> chat.FunctionCall:
    match call:
        case FunctionCall():
            origin = Origin(Kind.FUNCTION, call.name, call.namespace)
            arguments = call.arguments
        case CustomToolCall():
            origin = Origin(Kind.CUSTOM, call.name, call.namespace)
            arguments = custom_arguments(call.input)
        case LocalShellCall():
            origin = Origin(Kind.LOCAL_SHELL, "local_shell")
            arguments = msgspec.json.encode(call.action).decode()
    return chat.FunctionCall(name=toolbox.name(origin), arguments=arguments)


def _message(item: InputItem, results: _Results) -> chat.Message | None:
    """Return what is said to the model; None for what is told elsewhere, or cannot be."""
    match item:
        case Message(role="user"):
            return chat.UserMessage(_text(item.content))
        case Message():
            # Not every model takes the role `developer`; gpt-oss maps both to its developer level.
            return chat.SystemMessage(_text(item.content))
        case AgentMessage():
            return chat.UserMessage(f"[{item.author} → {item.recipient}] {_text(item.content)}")
        case ToolOutput() if results.is_orphan(item) and _text(item.output) != _ABORTED:
            # Its call was cut from the history; the text is not lost.
            return chat.UserMessage(f"Output of an earlier tool call:\n{_text(item.output)}")
        case Compaction():
            try:
                return chat.UserMessage(compaction.unpack(item.encrypted_content))
            except ValueError:
                return None
        case CompactionTrigger():
            return chat.UserMessage(compaction.REQUEST)
    return None


def _text(content: str | Iterable[ContentPart]) -> str:
    """Return the text of `content`; a part that is none (an image) leaves a note."""
    if isinstance(content, str):
        return content
    return "".join([_text_of(part) for part in content])


def _text_of(part: ContentPart) -> str:
    if part.text is not None:
        return part.text
    if part.refusal is not None:
        return part.refusal
    return f"[{part.type.removeprefix('input_')} left out: this model reads text only]"
