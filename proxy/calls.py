"""The tool calls of a stream, as their fragments arrive.

Providers differ in what they say of a call: all of it in one chunk or an opener and its arguments
piece by piece, one call after the other or interleaved, with an index, an id, both or neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from proxy.chat import ToolCallDelta
from proxy.items import OpenItem

__all__ = ["Call", "Calls"]


class Call:
    """A tool call; `item` exists once the name is known."""

    __slots__ = ("id", "index", "item", "name", "number", "pending")

    def __init__(self, number: int, index: int | None) -> None:
        #: How many began before it.
        self.number = number
        self.index = index
        self.id = ""
        self.name = ""
        #: Arguments that were not emitted yet.
        self.pending = ""
        self.item: OpenItem | None = None

    def is_meant_by(self, fragment: ToolCallDelta) -> bool:
        """Tell whether `fragment` belongs to this call, rather than to one before or a new one."""
        if fragment.id and self.id and fragment.id != self.id:
            return False
        name = fragment.function.name if fragment.function else None
        if self.name and name and name != self.name:
            return False
        if fragment.index is None and not fragment.id:
            # Nothing but a second name tells a new call from more of the last one.
            return not (self.name and name)
        return fragment.index is None or fragment.index == self.index

    def receive(self, fragment: ToolCallDelta) -> None:
        """Take what the fragment brings; the first id and the first name count."""
        self.id = self.id or fragment.id or ""
        if fragment.function is not None:
            self.name = self.name or fragment.function.name or ""
            self.pending += fragment.function.arguments or ""

    def take(self) -> str:
        """Return the arguments that were not emitted yet, and forget them."""
        pending, self.pending = self.pending, ""
        return pending


class Calls:
    """All calls of one stream, in the order in which they began.

    There may be thousands, so the call that a fragment means is looked for only among those that
    have the same id or index, or lack what the fragment has.
    """

    def __init__(self) -> None:
        self._all: list[Call] = []
        self._by_index: defaultdict[int | None, list[Call]] = defaultdict(list)
        self._by_id: defaultdict[str, list[Call]] = defaultdict(list)
        self._nameless: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self._all)

    def receive(self, fragment: ToolCallDelta) -> Call:
        """Return the call of `fragment`, the last one that it may mean, or else a new one."""
        for call in reversed(self._candidates(fragment)):
            if call.is_meant_by(fragment):
                break
        else:
            call = self._begin(fragment.index)
        had_id, had_name = call.id, call.name
        call.receive(fragment)
        if call.id and not had_id:
            self._by_id[""].remove(call)
            self._by_id[call.id].append(call)
        if call.name and not had_name:
            self._nameless.remove(call)
        return call

    def _candidates(self, fragment: ToolCallDelta) -> list[Call]:
        if fragment.id:
            found = self._by_id[fragment.id] + self._by_id[""]
            return sorted(found, key=lambda call: call.number)
        if fragment.index is not None:
            return self._by_index[fragment.index]
        if fragment.function is not None and fragment.function.name:
            return self._nameless
        return self._all[-1:]

    def _begin(self, index: int | None) -> Call:
        call = Call(len(self._all), index)
        for where in (self._all, self._by_index[index], self._by_id[""], self._nameless):
            where.append(call)
        return call
