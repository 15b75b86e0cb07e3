"""The chain of events of one output item: added, its deltas, done.

Each kind of item knows its own chain; `ResponseStream` decides when. Ids and indexes are handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from proxy import events, responses
from proxy.events import Event, OutputItemAdded, OutputItemDone
from proxy.responses import OutputText, Status, SummaryText

__all__ = ["FunctionCall", "Message", "OpenItem", "Reasoning"]


class OpenItem:
    """An item that was added and is not done yet. Its deltas are kept, and joined once."""

    __slots__ = ("_deltas", "id", "output_index")

    #: What ids of this kind begin with, as OpenAI's do.
    prefix: ClassVar[str]

    def __init__(self, id: str, output_index: int) -> None:
        self.id = id
        self.output_index = output_index
        self._deltas: list[str] = []

    def added(self) -> Iterator[Event]:
        """Yield the events that open the item."""
        raise NotImplementedError

    def delta(self, text: str) -> Event:
        """Return the event of some more of the item's text."""
        raise NotImplementedError

    def done(self, status: Status) -> Iterator[Event]:
        """Yield the events that end the item; the last one holds it whole, all that Codex keeps."""
        raise NotImplementedError


class Reasoning(OpenItem):
    """Reasoning, as a summary of one part: Codex shows it, and gives it back with its results."""

    __slots__ = ()
    prefix = "rs"

    def added(self) -> Iterator[Event]:
        item = responses.OutputReasoning(id=self.id, summary=[])
        yield OutputItemAdded(output_index=self.output_index, item=item)
        yield events.ReasoningSummaryPartAdded(
            item_id=self.id, output_index=self.output_index, part=SummaryText("")
        )

    def delta(self, text: str) -> Event:
        self._deltas.append(text)
        return events.ReasoningSummaryTextDelta(
            item_id=self.id, output_index=self.output_index, delta=text
        )

    def done(self, status: Status) -> Iterator[Event]:
        part = SummaryText("".join(self._deltas))
        yield events.ReasoningSummaryTextDone(
            item_id=self.id, output_index=self.output_index, text=part.text
        )
        yield events.ReasoningSummaryPartDone(
            item_id=self.id, output_index=self.output_index, part=part
        )
        item = responses.OutputReasoning(id=self.id, summary=[part])
        yield OutputItemDone(output_index=self.output_index, item=item)


class Message(OpenItem):
    """A message of one part, output text."""

    __slots__ = ()
    prefix = "msg"

    def added(self) -> Iterator[Event]:
        item = responses.OutputMessage(id=self.id, status="in_progress", content=[])
        yield OutputItemAdded(output_index=self.output_index, item=item)
        yield events.ContentPartAdded(
            item_id=self.id, output_index=self.output_index, part=OutputText("")
        )

    def delta(self, text: str) -> Event:
        self._deltas.append(text)
        return events.OutputTextDelta(item_id=self.id, output_index=self.output_index, delta=text)

    def done(self, status: Status) -> Iterator[Event]:
        part = OutputText("".join(self._deltas))
        yield events.OutputTextDone(item_id=self.id, output_index=self.output_index, text=part.text)
        yield events.ContentPartDone(item_id=self.id, output_index=self.output_index, part=part)
        item = responses.OutputMessage(id=self.id, status=status, content=[part])
        yield OutputItemDone(output_index=self.output_index, item=item)


class FunctionCall(OpenItem):
    """A call of a function tool; its text is the arguments, passed on as the string they are."""

    __slots__ = ("call_id", "name")
    prefix = "fc"

    def __init__(self, id: str, output_index: int, *, call_id: str, name: str) -> None:
        super().__init__(id, output_index)
        self.call_id = call_id
        self.name = name

    def added(self) -> Iterator[Event]:
        yield OutputItemAdded(
            output_index=self.output_index, item=self._item("in_progress", arguments="")
        )

    def delta(self, text: str) -> Event:
        self._deltas.append(text)
        return events.FunctionCallArgumentsDelta(
            item_id=self.id, output_index=self.output_index, delta=text
        )

    def done(self, status: Status) -> Iterator[Event]:
        arguments = "".join(self._deltas)
        yield events.FunctionCallArgumentsDone(
            item_id=self.id, output_index=self.output_index, name=self.name, arguments=arguments
        )
        yield OutputItemDone(
            output_index=self.output_index, item=self._item(status, arguments=arguments)
        )

    def _item(self, status: Status, *, arguments: str) -> responses.OutputFunctionCall:
        return responses.OutputFunctionCall(
            id=self.id, status=status, call_id=self.call_id, name=self.name, arguments=arguments
        )
