"""One recording, many replays: the same answer in other pieces, at another pace, or broken off.

What a provider says does not depend on how its bytes are cut, nor on line ends, comments or a
`[DONE]`: the reconstruction must be the same. Where the stream breaks before the provider has
finished, it must fail.
"""

from __future__ import annotations

import asyncio
import bisect
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from harness.cassette import Cassette, chunks_of
from harness.chat_stream import read_chat_stream
from harness.errors import HarnessError
from harness.transport import Pace, as_recorded, at_once

__all__ = [
    "AS_RECORDED",
    "PLACES",
    "VARIANTS",
    "Chunk",
    "Stream",
    "Variant",
    "unfinished",
    "variants_named",
    "with_crlf",
]

#: Milliseconds since the request, and bytes.
Chunk = tuple[float, bytes]

_DONE: Final = b"data: [DONE]\n\n"

#: As Cerebras sends one into its stream; with what follows it, as if nothing had been.
_ERROR: Final = (
    b'data: {"status_code":500,"error":{"message":"Encountered a server error, please try again.",'
    b'"type":"server_error","param":"","code":"","id":""}}\n\n'
)

#: Seconds between pieces, so that each is read on its own.
_APART: Final = 0.001
_SLOW: Final = 0.05


@dataclass(frozen=True, slots=True)
class Stream:
    """What a provider streams: its chunks, and how it ends, one of `cassette.ENDS`."""

    chunks: Sequence[Chunk]
    end: str = "complete"

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.chunks)


#: Takes a stream that the provider finished; returns None where this cannot be done to it.
Change = Callable[[Stream], Stream | None]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to replay a recording."""

    name: str
    change: Change
    #: What must come of it: what comes of the recording, or `response.failed`.
    expects: Literal["same", "failure"] = "same"
    #: Makes the pace of each stream.
    pace: Callable[[], Pace] = lambda: at_once

    def apply(self, cassette: Cassette) -> bool:
        """Change what the provider streamed; False where there is nothing that can be.

        An answer that is an error, or that the provider broke off, is replayed as it was.
        """
        changed = False
        for response in cassette.responses:
            stream = Stream(chunks_of(response), response["stream"]["end"])
            if _is_whole(response, stream) and (varied := self.change(stream)) is not None:
                response["body"]["string"] = varied.body
                chunks = [[milliseconds, len(data)] for milliseconds, data in varied.chunks]
                response["stream"] = {"chunks": chunks, "end": varied.end}
                changed = True
        return changed


def _is_whole(response: Mapping[str, Any], stream: Stream) -> bool:
    said = read_chat_stream(stream.body)
    complete = response["status"]["code"] == 200 and stream.end == "complete"
    return complete and said.finish_reason is not None and not said.broken


# --- the same bytes in other pieces --------------------------------------------------------------


def _inside(pattern: bytes) -> Callable[[bytes], Iterator[int]]:
    """Return what yields each place inside of each match of `pattern`."""
    compiled = re.compile(pattern)

    def places(body: bytes) -> Iterator[int]:
        for match in compiled.finditer(body):
            yield from range(match.start() + 1, match.end())

    return places


#: Where a stream can be cut so that a careless reader stumbles: numbers of bytes before the cut.
PLACES: Final[Mapping[str, Callable[[bytes], Iterable[int]]]] = {
    "every_byte": lambda body: range(1, len(body)),
    "events": lambda body: (match.end() for match in re.finditer(rb"\r?\n\r?\n", body)),
    "in_utf8": _inside(rb"[\xc2-\xf4][\x80-\xbf]+"),
    "in_crlf": _inside(rb"\r\n"),
    "in_data": _inside(rb"data: ?"),
    "in_blank_line": _inside(rb"\r?\n\r?\n"),
}


def _cut(where: str, stream: Stream) -> Stream | None:
    body = stream.body
    places = [place for place in PLACES[where](body) if place < len(body)]
    if not places:
        return None
    ends = list(itertools.accumulate(len(data) for _, data in stream.chunks))
    # A piece comes when the chunk came that it is of.
    pieces = [
        (stream.chunks[bisect.bisect_left(ends, end)][0], body[start:end])
        for start, end in itertools.pairwise(sorted({0, *places, *ends}))
    ]
    return Stream(pieces)


def _joined(stream: Stream) -> Stream:
    return Stream([(stream.chunks[-1][0], stream.body)])


def _alone(stream: Stream) -> Stream | None:
    """Return every event alone: also those that came together, or in parts."""
    return _cut("events", _joined(stream))


# --- other bytes that say the same ---------------------------------------------------------------


def with_crlf(body: bytes) -> bytes:
    """Return a stream with the other line ends; a line feed in JSON is escaped, so none is lost."""
    return body.replace(b"\n", b"\r\n")


def _crlf(stream: Stream) -> Stream:
    return Stream([(at, with_crlf(data)) for at, data in stream.chunks])


def _commented(stream: Stream) -> Stream:
    """Return a comment before each event, as providers send them to keep a connection alive."""
    at = stream.chunks[-1][0]
    events = re.findall(rb".*?\n\n", stream.body, re.DOTALL)
    return Stream([(at, b": keep-alive\n\n" + event) for event in events])


def _without_done(stream: Stream) -> Stream | None:
    if not stream.body.endswith(_DONE):
        return None
    return Stream([(stream.chunks[-1][0], stream.body.removesuffix(_DONE))])


def _with_done(stream: Stream) -> Stream | None:
    return None if _DONE in stream.body else Stream([*stream.chunks, (stream.chunks[-1][0], _DONE)])


# --- broken off ----------------------------------------------------------------------------------


def unfinished(stream: Stream) -> list[Stream]:
    """Return the stream after chunk 1, 2, 3, ..., as long as the provider had not finished."""
    heads = [Stream(stream.chunks[:count]) for count in range(1, len(stream.chunks) + 1)]

    def is_finished(head: Stream) -> bool:
        return read_chat_stream(head.body).finish_reason is not None

    return heads[: bisect.bisect_left(heads, True, key=is_finished)]


def _broken(which: Literal["first", "middle", "last"], end: str, stream: Stream) -> Stream | None:
    alone = _alone(stream)
    heads = unfinished(alone) if alone is not None else []
    if not heads:
        return None
    head = heads[{"first": 0, "middle": len(heads) // 2, "last": -1}[which]]
    return Stream(head.chunks, end)


def _with_error(stream: Stream) -> Stream | None:
    head = _broken("middle", "complete", stream)
    if head is None:
        return None
    at = head.chunks[-1][0]
    rest = stream.body.removeprefix(head.body)
    return Stream([*head.chunks, (at, _ERROR), (at, rest)])


# --- paces ---------------------------------------------------------------------------------------


def _every(seconds: float) -> Callable[[], Pace]:
    async def pace(number: int, milliseconds: float) -> None:
        await asyncio.sleep(seconds)

    return lambda: pace


def _unchanged(stream: Stream) -> Stream:
    return stream


AS_RECORDED: Final = Variant("recorded", _unchanged)

_ALL: Final = (
    AS_RECORDED,
    Variant("joined", _joined),
    Variant("one_byte", functools.partial(_cut, "every_byte")),
    Variant("events", _alone, pace=_every(_APART)),
    Variant("cut_in_utf8", functools.partial(_cut, "in_utf8"), pace=_every(_APART)),
    Variant("cut_in_crlf", lambda stream: _cut("in_crlf", _crlf(stream)), pace=_every(_APART)),
    Variant("cut_in_data", functools.partial(_cut, "in_data"), pace=_every(_APART)),
    Variant("cut_in_blank_line", functools.partial(_cut, "in_blank_line"), pace=_every(_APART)),
    Variant("crlf", _crlf),
    Variant("comments", _commented),
    Variant("done_removed", _without_done),
    Variant("done_added", _with_done),
    Variant("recorded_pace", _unchanged, pace=as_recorded),
    Variant("slow_pace", _unchanged, pace=_every(_SLOW)),
    *(
        Variant(f"truncated_{which}", functools.partial(_broken, which, "complete"), "failure")
        for which in ("first", "middle", "last")
    ),
    *(
        Variant(name, functools.partial(_broken, "middle", end), "failure")
        for name, end in (("cut", "cut"), ("reset", "reset"), ("stall", "timeout"))
    ),
    Variant("error", _with_error, "failure"),
)

#: By name.
VARIANTS: Final[Mapping[str, Variant]] = {variant.name: variant for variant in _ALL}


def variants_named(names: Iterable[str]) -> list[Variant]:
    """Return the variants of these names, `all` for all; raises `HarnessError`."""
    wanted = list(names)
    for name in wanted:
        if name not in {"all", *VARIANTS}:
            raise HarnessError(
                f"there is no variant {name!r}; there are: all, {', '.join(VARIANTS)}"
            )
    return [one for one in _ALL if "all" in wanted or one.name in wanted]
