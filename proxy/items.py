"""The chain of events of one output item: added, its deltas, done.

Each kind of item knows its own chain; `ResponseStream` decides when. Ids and indexes are handed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import msgspec

from proxy import chat, compaction, events, responses
from proxy.custom_input import CustomInput
from proxy.events import Event, OutputItemAdded, OutputItemDone
from proxy.responses import OutputItem, OutputText, Status, SummaryText
from proxy.tools import Kind, Origin

__all__ = ["Compaction", "Message", "OpenItem", "Reasoning", "call_item"]


class OpenItem(ABC):
    """An item that was added and is not done yet. Its deltas are kept as JSON, and joined once."""

    __slots__ = ("_deltas", "_template", "id", "output_index")

    #: What ids of this kind begin with, as OpenAI's do.
    prefix: ClassVar[str]
    #: Makes the event of a delta; None where Codex wants none.
    delta_event: ClassVar[Callable[..., Event] | None] = None

    def __init__(self, token: str, output_index: int) -> None:
        self.id = f"{self.prefix}_{token}_{output_index}"
        self.output_index = output_index
        self._deltas: list[bytes] = []
        self._template = b""
        if self.delta_event is not None:
            event = self.delta_event(item_id=self.id, output_index=output_index, delta="")
            self._template = events.delta_template(event)

    def added(self) -> Iterator[Event]:
        """Yield the events that open the item."""
        yield OutputItemAdded(output_index=self.output_index, item=self._item("in_progress", None))

    def framed_deltas(self, texts: list[bytes], sequence_number: int) -> list[bytes]:
        """Take some more of what the provider says, `escaped`; return the events of it.

        The first one gets the number, the others those that follow.
        """
        self._deltas += texts
        if not self._template:
            return []
        return [self._template % numbered for numbered in enumerate(texts, sequence_number)]

    def done(self, status: Status) -> Iterator[Event]:
        """Yield the events that end the item; the last one holds it whole, all that Codex keeps."""
        text = events.unescaped(b"".join(self._deltas))
        yield from self._text_done(text)
        yield OutputItemDone(output_index=self.output_index, item=self._item(status, text))

    @abstractmethod
    def _text_done(self, text: str) -> Iterator[Event]:
        """Yield the events that end the item's text, before its own."""

    @abstractmethod
    def _item(self, status: Status, text: str | None) -> OutputItem:
        """Return the item with its text, or without any."""


class Reasoning(OpenItem):
    """Reasoning, as a summary of one part: Codex shows it, and gives it back with its results."""

    __slots__ = ()
    prefix = "rs"
    delta_event = events.ReasoningSummaryTextDelta

    def added(self) -> Iterator[Event]:
        yield from super().added()
        yield events.ReasoningSummaryPartAdded(
            item_id=self.id, output_index=self.output_index, part=SummaryText("")
        )

    def _text_done(self, text: str) -> Iterator[Event]:
        yield events.ReasoningSummaryTextDone(
            item_id=self.id, output_index=self.output_index, text=text
        )
        yield events.ReasoningSummaryPartDone(
            item_id=self.id, output_index=self.output_index, part=SummaryText(text)
        )

    def _item(self, status: Status, text: str | None) -> OutputItem:
        summary = [] if text is None else [SummaryText(text)]
        return responses.OutputReasoning(id=self.id, summary=summary)


class Message(OpenItem):
    """A message of one part, output text."""

    __slots__ = ()
    prefix = "msg"
    delta_event = events.OutputTextDelta

    def added(self) -> Iterator[Event]:
        yield from super().added()
        yield events.ContentPartAdded(
            item_id=self.id, output_index=self.output_index, part=OutputText("")
        )

    def _text_done(self, text: str) -> Iterator[Event]:
        yield events.OutputTextDone(item_id=self.id, output_index=self.output_index, text=text)
        yield events.ContentPartDone(
            item_id=self.id, output_index=self.output_index, part=OutputText(text)
        )

    def _item(self, status: Status, text: str | None) -> OutputItem:
        content = [] if text is None else [OutputText(text)]
        return responses.OutputMessage(id=self.id, status=status, content=content)


class Compaction(OpenItem):
    """A summary of the conversation; Codex wants the item and no deltas of it."""

    __slots__ = ()
    prefix = "cmp"

    def _text_done(self, text: str) -> Iterator[Event]:
        yield from ()

    def _item(self, status: Status, text: str | None) -> OutputItem:
        content = compaction.pack(text or "")
        return responses.OutputCompaction(id=self.id, encrypted_content=content)


# --- calls ---------------------------------------------------------------------------------------


class _Call(OpenItem):
    """A tool call: what the provider says of it are the arguments."""

    __slots__ = ("_call_id", "_origin")

    def __init__(self, token: str, output_index: int, *, call_id: str, origin: Origin) -> None:
        super().__init__(token, output_index)
        self._call_id = call_id
        self._origin = origin

    @property
    def _namespace(self) -> str | msgspec.UnsetType:
        return self._origin.namespace or msgspec.UNSET


class FunctionCall(_Call):
    """A call of a function; the arguments are passed on as the string they are, JSON or not."""

    __slots__ = ()
    prefix = "fc"
    delta_event = events.FunctionCallArgumentsDelta

    def _text_done(self, text: str) -> Iterator[Event]:
        yield events.FunctionCallArgumentsDone(
            item_id=self.id, output_index=self.output_index, name=self._origin.name, arguments=text
        )

    def _item(self, status: Status, text: str | None) -> OutputItem:
        return responses.OutputFunctionCall(
            id=self.id,
            status=status,
            call_id=self._call_id,
            name=self._origin.name,
            arguments=text or "",
            namespace=self._namespace,
        )


class CustomToolCall(_Call):
    """A call of a custom tool; its input is the one string in the arguments, unescaped."""

    __slots__ = ("_input",)
    prefix = "ctc"
    delta_event = events.CustomToolCallInputDelta

    def __init__(self, token: str, output_index: int, *, call_id: str, origin: Origin) -> None:
        super().__init__(token, output_index, call_id=call_id, origin=origin)
        self._input = CustomInput()

    def framed_deltas(self, texts: list[bytes], sequence_number: int) -> list[bytes]:
        said = [text for each in texts if (text := self._text(each))]
        return super().framed_deltas(said, sequence_number)

    def _text(self, arguments: bytes) -> bytes:
        """Return the text in some more of the arguments, both `escaped`."""
        # Without an escape it most often stands for itself in the JSON inside of this JSON as well.
        if self._input.is_plain and b"\\" not in arguments:
            return arguments
        return events.escaped(self._input.receive(events.unescaped(arguments)))

    def done(self, status: Status) -> Iterator[Event]:
        if rest := self._input.end():
            self._deltas.append(events.escaped(rest))
            yield events.CustomToolCallInputDelta(
                item_id=self.id, output_index=self.output_index, delta=rest
            )
        yield from super().done(status)

    def _text_done(self, text: str) -> Iterator[Event]:
        yield events.CustomToolCallInputDone(
            item_id=self.id, output_index=self.output_index, input=text
        )

    def _item(self, status: Status, text: str | None) -> OutputItem:
        return responses.OutputCustomToolCall(
            id=self.id,
            status=status,
            call_id=self._call_id,
            name=self._origin.name,
            input=text or "",
            namespace=self._namespace,
        )


class LocalShellCall(_Call):
    """A call of the built-in shell; there are no events of its arguments."""

    __slots__ = ()
    prefix = "lsh"

    def _text_done(self, text: str) -> Iterator[Event]:
        yield from ()

    def _item(self, status: Status, text: str | None) -> OutputItem:
        try:
            action = msgspec.json.decode(text or "", type=_ShellArguments)
        except chat.NOT_JSON:
            # Nothing that could be run; Codex runs an empty command and tells the model.
            action = _ShellArguments()
        return responses.OutputLocalShellCall(
            id=self.id,
            status=status,
            call_id=self._call_id,
            action=responses.LocalShellAction(
                command=action.command,
                working_directory=action.working_directory,
                timeout_ms=action.timeout_ms,
            ),
        )


class _ShellArguments(msgspec.Struct):
    command: list[str] = []
    working_directory: str | None = None
    timeout_ms: int | None = None


_CALLS: dict[Kind, type[_Call]] = {
    Kind.FUNCTION: FunctionCall,
    Kind.CUSTOM: CustomToolCall,
    Kind.LOCAL_SHELL: LocalShellCall,
}


def call_item(token: str, output_index: int, *, call_id: str, origin: Origin) -> OpenItem:
    """Return the item of a call of the tool `origin`."""
    return _CALLS[origin.kind](token, output_index, call_id=call_id, origin=origin)
