"""A stream, sorted: which events there are of each type, and which are about which item.

Made once for all rules: fifty of them, each going through all events, would take longer than the
proxy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.client import Event

__all__ = ["ADDED", "CALLS", "DONE", "TERMINAL", "Item", "Stream", "text_of"]

ADDED: Final = "response.output_item.added"
DONE: Final = "response.output_item.done"
TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")

#: Items that the client acts upon.
CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call")


@dataclass(slots=True)
class Item:
    """An output item, and every event about it."""

    added: Event
    #: In the order in which they came, `added` first.
    events: list[Event] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.added["item"].get("id"))

    @property
    def type(self) -> str:
        return str(self.added["item"]["type"])

    @property
    def index(self) -> int:
        index: int = self.added["output_index"]
        return index

    @property
    def title(self) -> str:
        """The item for a person."""
        return " ".join(filter(None, [self.type, self.added["item"].get("name")]))

    @property
    def done(self) -> Event | None:
        """The last event of the item, where it is done."""
        return self.events[-1] if self.events[-1].type == DONE else None

    @property
    def final(self) -> dict[str, Any]:
        """The item as it is done; empty where it is not."""
        return {} if self.done is None else self.done["item"]


class Stream:
    """The events of an answer."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.by_type: defaultdict[str, list[Event]] = defaultdict(list)
        #: In the order in which they were added.
        self.items: list[Item] = []
        #: Events about an item that was not added before them.
        self.orphans: list[Event] = []
        #: By the number of an event: the item that it is about.
        self.owners: dict[int, Item] = {}
        self._by_id: defaultdict[str, list[Item]] = defaultdict(list)
        self._by_index: dict[int, Item] = {}
        for event in events:
            self.by_type[event.type].append(event)
            if event.type == ADDED:
                self._add(event)
            elif isinstance(item := event["item"], dict):
                self._own(event, item.get("id"))
            elif (id := event["item_id"]) is not None:
                self._own(event, id)

    @property
    def terminal(self) -> list[Event]:
        """The terminal events, of which there should be one."""
        found = [event for kind in TERMINAL for event in self.by_type[kind]]
        return sorted(found, key=lambda event: event.number)

    @property
    def done(self) -> list[dict[str, Any]]:
        """The items that are done, by their index."""
        done = {event["output_index"]: event["item"] for event in self.by_type[DONE]}
        return [done[index] for index in sorted(done)]

    def _add(self, event: Event) -> None:
        item = Item(event, [event])
        self.items.append(item)
        self.owners[event.number] = item
        self._by_id[item.id].append(item)
        self._by_index[item.index] = item

    def _own(self, event: Event, id: str | None) -> None:
        # By its id, where one item alone has it; else by its place.
        named = self._by_id.get(id or "", [])
        item = named[0] if len(named) == 1 else self._by_index.get(event["output_index"])
        if item is None:
            self.orphans.append(event)
        else:
            self.owners[event.number] = item
            item.events.append(event)


def text_of(item: dict[str, Any]) -> str:
    """Return what a message or a reasoning says, wherever it stands."""
    parts = item.get("content") or item.get("summary") or ()
    return "".join(str(part.get("text", part.get("refusal", ""))) for part in parts)
