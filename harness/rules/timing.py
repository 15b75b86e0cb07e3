"""When events come: not before the provider has said it, and no later than it must be.

Where a stream is replayed without a pause nothing can be told of this. So the replay waits before
it goes on, until what is due has come; a subject that holds it back is waited for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from harness.client import Event
from harness.rules import Exchange, Violation, rule
from harness.rules.asked import meant, tools_of

__all__ = ["LONGEST_SILENCE", "PAUSE", "owed"]

#: Milliseconds of a provider's silence in which what is due must have come.
PAUSE: Final = 800.0

#: Milliseconds; Codex gives up after 300 s.
LONGEST_SILENCE = 60_000.0

#: What the client is told of each thing that a model says.
_DELTAS: Final = {
    "reasoning": ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"),
    "text": ("response.output_text.delta",),
    "call": ("response.function_call_arguments.delta",),
}


@rule(
    "timing/1",
    "the first event comes while the provider is still answering",
    breaks="the person, who sees nothing until all is over; Codex, all versions, after 300 s",
    source="a stream is for being read as it comes",
    needs="provider",
)
def begins_at_once(exchange: Exchange) -> Iterator[Violation]:
    for at, _ in _pauses(exchange):
        if not any(event.at < at for event in exchange.events):
            yield Violation("the first event before the provider's next chunk", "none", None)
            return


@rule(
    "timing/2",
    "no delta waits for a later chunk of the provider",
    breaks="the person, and how fast it seems",
    source="each chunk of Chat Completions says all that its events need",
    needs="provider",
)
def holds_nothing_back(exchange: Exchange) -> Iterator[Violation]:
    for at, size in _pauses(exchange):
        come = [event for event in exchange.events if event.at < at]
        for kind, missing in owed(exchange, size, come).items() if come else ():
            chunk = max(piece.chunk for piece in exchange.said.pieces if piece.end <= size)
            expected = f"all {kind} up to this chunk, before the next one"
            yield Violation(expected, f"{missing} characters are missing", come[-1], chunk)
            return


@rule(
    "timing/3",
    "the client gets an event at least every 60 s, however long the provider is silent",
    breaks="Codex, all versions: it gives up after 300 s, and asks again",
    source="Codex 0.45 and 0.169: stream_idle_timeout_ms, which any event resets",
)
def is_never_silent_for_long(exchange: Exchange) -> Iterator[Violation]:
    for before, event in pairwise(exchange.events):
        if event.at - before.at > LONGEST_SILENCE:
            expected = f"an event within {LONGEST_SILENCE / 1000:g} s"
            yield Violation(expected, f"{(event.at - before.at) / 1000:.1f} s of silence", event)


def owed(exchange: Exchange, size: int, come: Iterable[Event]) -> dict[str, int]:
    """Return how many characters are missing of each kind, once `size` bytes were sent.

    Nothing where they are told in another way: a summary in one item, the input of a custom tool.
    """
    if exchange.compacts:
        return {}
    tools = tools_of(exchange.body)
    kinds = [meant(call.name, tools) for call in exchange.said.calls]
    plain = all(tool is None or tool.kind == "function" for tool in kinds)
    missing = dict.fromkeys(_DELTAS, 0)
    for piece in exchange.said.pieces:
        if piece.end <= size and (plain or piece.kind != "call"):
            missing[piece.kind] += len(piece.text)
    for event in come:
        for kind, types in _DELTAS.items():
            if event.type in types and isinstance(delta := event["delta"], str):
                missing[kind] -= len(delta)
    return {kind: count for kind, count in missing.items() if count > 0}


def _pauses(exchange: Exchange) -> Iterator[tuple[float, int]]:
    """Yield when each pause of the provider ended, and how many bytes it had sent before."""
    for (before, _), (at, size) in pairwise(exchange.sent):
        if at - before >= PAUSE and size:
            yield at, size
