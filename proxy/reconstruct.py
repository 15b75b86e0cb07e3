"""The stream: Chat Completions chunks in, Responses events out. One state machine, no I/O.

    created, in_progress, ( added, delta ..., done ) ..., completed | incomplete | failed

Reasoning and text come one after the other: whichever starts ends the one before. Calls may arrive
in interleaved fragments, so any number of them is open at once, and none is done before the
provider has finished: Codex runs a call when it is done, and would run it a second time after a
stream that broke and was tried again.

The provider has finished when it gave a `finish_reason`. Whatever else ends the stream (an error, a
drop, nonsense) is `response.failed`, and items that are open then stay open: a partial message that
is done would enter Codex' history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Final, Literal

import msgspec

from proxy import chat, events, responses, sse
from proxy.calls import Calls
from proxy.chunk_template import ChunkTemplate
from proxy.failures import Failure
from proxy.items import Compaction, Message, OpenItem, Reasoning, call_item
from proxy.responses import IncompleteDetails
from proxy.think_tags import ThinkTags
from proxy.tools import Toolbox

__all__ = ["Cut", "End", "ResponseStream"]

#: Why a provider cut its answer, in the words of `incomplete_details.reason`.
Cut = Literal["max_output_tokens", "content_filter"]

#: How a response ends, but for being complete.
End = Literal["completed", "incomplete", "failed"]

#: Finish reasons that leave the answer incomplete, in the words of `incomplete_details.reason`.
_INCOMPLETE: Final[Mapping[str, Cut]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}

_TERMINAL: Final = {
    "completed": events.ResponseCompleted,
    "incomplete": events.ResponseIncomplete,
    "failed": events.ResponseFailed,
}

#: Events between one search for a template and the next, twice as many each time that none of use
#: was found: it costs as much as decoding ten chunks.
_WORTH_IT: Final = 16

#: How much of a provider's nonsense a message quotes, in bytes.
_QUOTED: Final = 120


class _State(Enum):
    #: The provider is answering.
    STREAMING = auto()
    #: It gave a finish_reason; usage may still follow.
    FINISHED = auto()
    #: The terminal event is out; what else arrives is not looked at.
    CLOSED = auto()


class ResponseStream:
    """Turns the bytes of a provider's stream into the bytes of the stream that Codex reads.

    Call `start` once, then `receive_data` with the provider's bytes, cut anywhere, and with `None`
    at their end; or `fail` where the connection failed. Each returns what is to be sent on. Once
    `closed` is true the body ends: Codex 0.45 waits for its end, not for the terminal event.

    `response` is the response in its first state; the ids of items are made from its own. What the
    request was made of is needed to undo it: its `toolbox`, the ids of calls that it has had, and
    whether it asks for a summary (`compacts`). `cut` says how a response ends that the
    provider cut, where that is not `incomplete`: some clients take that for a stream that broke.
    `clock` tells the seconds since the epoch.
    """

    def __init__(
        self,
        response: responses.Response,
        *,
        toolbox: Toolbox | None = None,
        call_ids: Iterable[str] = (),
        compacts: bool = False,
        cut: Mapping[Cut, End] | None = None,
        think_tags: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._response = response
        self._toolbox = toolbox or Toolbox()
        self._call_ids = set(call_ids)
        self._compacts = compacts
        self._cut: Mapping[Cut, End] = cut or {}
        self._think_tags = ThinkTags() if think_tags else None
        self._clock = clock
        self._token = response.id.removeprefix("resp_")
        self._decoder = sse.ServerSentEventDecoder()
        self._state = _State.STREAMING
        self._incomplete: Cut | None = None
        self._usage: responses.Usage | None = None
        #: What ended the response, where it failed.
        self.failure: Failure | None = None
        #: What is being written: one item at a time, but for calls.
        self._writing: OpenItem | None = None
        self._calls = Calls()
        self._added = 0
        self._done: dict[int, responses.OutputItem] = {}
        #: Of chunks that need not be decoded, the item that they belong to, and the number of the
        #: event from which on such a template is looked for.
        self._template: ChunkTemplate | None = None
        self._spoken: OpenItem | None = None
        self._search_from = self._pause = _WORTH_IT
        #: How many events there were so far: the number of the next.
        self.sequence_number = 0
        self._outgoing: list[bytes] = []

    @property
    def closed(self) -> bool:
        """True once the terminal event was returned."""
        return self._state is _State.CLOSED

    @property
    def finished(self) -> bool:
        """True while the provider has finished, and may still tell its usage."""
        return self._state is _State.FINISHED

    @property
    def response(self) -> responses.Response:
        """The response as it is now; once `closed`, as it was sent with the terminal event."""
        return self._response

    def start(self) -> bytes:
        """Return the events that announce the response."""
        self._emit(events.ResponseCreated(response=self._response))
        self._emit(events.ResponseInProgress(response=self._response))
        return self._take()

    def receive_data(self, data: bytes | None) -> bytes:
        """Return the events that follow from some bytes of the provider, or from their end."""
        if self.closed:
            return b""
        if data is None:
            self._end_of_input()
            return self._take()
        try:
            arrived = self._decoder.receive_data(data)
        except sse.TooLong as error:
            self._fail(Failure.of_protocol(f"sent {error}"))
            return self._take()
        texts: list[bytes] = []
        for event in arrived:
            if self._template is not None and (text := self._template.text(event)):
                texts.append(text)
                continue
            if texts:
                self._pass_on(texts)
                texts = []
            self._look_at(event)
            if self._state is _State.CLOSED:
                break
        if texts:
            self._pass_on(texts)
        return self._take()

    def keep_alive(self) -> bytes:
        """Return an event that resets the client's idle timer; a comment would not (Codex)."""
        if not self.closed:
            self._emit(events.ResponseInProgress(response=self._response))
        return self._take()

    def fail(self, failure: Failure) -> bytes:
        """Return the events that end the response because the connection failed."""
        self._fail(failure)
        return self._take()

    # --- what the provider sends -----------------------------------------------------------------

    def _pass_on(self, texts: list[bytes]) -> None:
        """Pass on what was not decoded."""
        assert self._spoken is not None
        self._pause = _WORTH_IT
        self._emit_deltas(self._spoken, texts)

    def _look_at(self, event: bytes) -> None:
        """Receive an event, and see whether others like it can be passed on."""
        if self._template is None or not self._template.fits(event):
            self._template = self._spoken = None
        number = self.sequence_number
        self._receive_event(event)
        if (
            self._template is None
            and self._spoken is not None
            and self.sequence_number == number + 1
            and self._state is _State.STREAMING
            and self._think_tags is None
            and self._search_from <= number
        ):
            self._template = ChunkTemplate.of(event)
            self._search_from = number + self._pause
            self._pause *= 2

    def _receive_event(self, data: bytes) -> None:
        if data == chat.DONE:
            self._end_of_input()
            return
        if not data:
            return
        try:
            chunk = chat.decode_chunk(data)
        except chat.NOT_JSON:
            quoted = data[:_QUOTED].decode(errors="replace")
            self._fail(Failure.of_protocol(f"sent what is no chat completion chunk: {quoted!r}"))
            return
        if chunk.error or not chunk.choices:
            # Before the choices: an error that comes with a finish reason is an error.
            failure = Failure.of_event(data)
            if failure is not None:
                self._fail(failure)
                return
        for choice in chunk.choices or ():
            if not choice.index:  # one answer was asked for
                self._receive_choice(choice)
        if chunk.usage is not None:
            self._usage = responses.Usage.of(chunk.usage)
            if self._state is _State.FINISHED:
                self._complete()

    def _receive_choice(self, choice: chat.Choice) -> None:
        delta = choice.delta
        if delta is not None:
            if reasoning := delta.reasoning or delta.reasoning_content:
                self._write(Reasoning, reasoning)
            if delta.content:
                self._receive_content(delta.content)
            if delta.refusal:
                # As text: Codex drops a message with a part that it does not know.
                self._receive_content(delta.refusal)
            # What comes after the finish reason is part of no call that could be run.
            if delta.tool_calls and not self._compacts and not self.finished:
                for fragment in delta.tool_calls:
                    self._receive_call(fragment)
        if choice.finish_reason == "error":
            self._fail(Failure.of_protocol("ended its answer with an error"))
        elif choice.finish_reason and self._state is _State.STREAMING:
            self._state = _State.FINISHED
            self._incomplete = _INCOMPLETE.get(choice.finish_reason)

    def _receive_content(self, content: str) -> None:
        if self._think_tags is None:
            self._write(Message, content)
        else:
            for piece in self._think_tags.receive(content):
                self._write(Reasoning if piece.is_reasoning else Message, piece.text)

    def _end_content(self) -> None:
        """Write what was held back because it might have been a tag."""
        if self._think_tags is not None:
            for piece in self._think_tags.end():
                self._write(Reasoning if piece.is_reasoning else Message, piece.text)

    def _receive_call(self, fragment: chat.ToolCallDelta) -> None:
        call = self._calls.receive(fragment)
        if call.item is None and call.name:
            self._end_content()
            self._stop_writing()
            call.item = call_item(
                self._token,
                self._next_output_index(),
                call_id=self._unique_call_id(call.id),
                origin=self._toolbox.origin(call.name),
            )
            self._emit_all(call.item.added())
        if call.item is not None and call.pending:
            self._emit_deltas(call.item, [events.escaped(call.take())])

    def _unique_call_id(self, id: str) -> str:
        """Return the provider's id, unless the conversation has had it: Codex does not notice."""
        unique = id or f"call_{self._token}_{self._added}"
        if unique in self._call_ids:
            unique = f"{unique}_{self._token}_{self._added}"
        self._call_ids.add(unique)
        return unique

    def _end_of_input(self) -> None:
        if self._state is _State.FINISHED:
            self._complete()
        else:
            self._fail(Failure.of_protocol("ended its stream before it had finished"))

    # --- what Codex gets -------------------------------------------------------------------------

    def _write(self, kind: type[Reasoning | Message | Compaction], text: str) -> None:
        if self._compacts:
            if kind is Reasoning:
                return  # the summary is all that is wanted
            kind = Compaction
        if not isinstance(self._writing, kind):
            self._stop_writing()
            self._writing = kind(self._token, self._next_output_index())
            self._emit_all(self._writing.added())
        self._emit_deltas(self._writing, [events.escaped(text)])

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._emit_all(self._writing.done("completed"))
            self._writing = None

    def _next_output_index(self) -> int:
        output_index = self._added
        self._added += 1
        return output_index

    def _complete(self) -> None:
        """End the response as the provider has finished it."""
        self._end_content()
        if self._compacts and self._writing is None:
            self._end_failed(Failure.of_protocol("gave no summary of the conversation"))
            return
        if self._incomplete is None and any(call.item is None for call in self._calls):
            self._end_failed(Failure.of_protocol("sent a tool call without a name"))
            return
        # A summary that was cut is one: without it, new versions of Codex would stop.
        reason = None if self._compacts else self._incomplete
        end = "completed" if reason is None else self._cut.get(reason, "incomplete")
        if end == "failed":
            self._end_failed(Failure.of_cut(reason or ""))
            return
        open_items: list[OpenItem] = [] if self._writing is None else [self._writing]
        if self._incomplete is None:
            # A call that was cut is never done: Codex would run it, whatever its status.
            open_items += [call.item for call in self._calls if call.item is not None]
        for item in sorted(open_items, key=lambda item: item.output_index):
            self._emit_all(item.done("incomplete" if self._incomplete else "completed"))
        if end == "completed":
            self._end("completed")
        else:
            self._end("incomplete", incomplete_details=IncompleteDetails(reason or ""))

    def _fail(self, failure: Failure) -> None:
        """End the response as failed, unless the provider had finished it."""
        if self._state is _State.FINISHED:
            self._complete()
        elif self._state is _State.STREAMING:
            self._end_failed(failure)

    def _end_failed(self, failure: Failure) -> None:
        self.failure = failure
        error = responses.ResponseError(code=failure.code, message=failure.message)
        self._end("failed", error=error)

    def _end(
        self,
        status: Literal["completed", "incomplete", "failed"],
        *,
        error: responses.ResponseError | None = None,
        incomplete_details: IncompleteDetails | None = None,
    ) -> None:
        self._response = msgspec.structs.replace(
            self._response,
            status=status,
            completed_at=int(self._clock()) if status == "completed" else None,
            error=error,
            incomplete_details=incomplete_details,
            output=[self._done[output_index] for output_index in sorted(self._done)],
            usage=self._usage,
        )
        self._emit(_TERMINAL[status](response=self._response))
        self._state = _State.CLOSED

    def _emit_all(self, chain: Iterable[events.Event]) -> None:
        for event in chain:
            self._emit(event)
            if isinstance(event, events.OutputItemDone):
                self._done[event.output_index] = event.item

    def _emit(self, event: events.Event) -> None:
        event.sequence_number = self.sequence_number
        self.sequence_number += 1
        self._outgoing.append(events.framed(event))

    def _emit_deltas(self, item: OpenItem, texts: list[bytes]) -> None:
        framed = item.framed_deltas(texts, self.sequence_number)
        self._outgoing += framed
        self.sequence_number += len(framed)
        if framed:
            self._spoken = item

    def _take(self) -> bytes:
        outgoing = b"".join(self._outgoing)
        self._outgoing.clear()
        return outgoing
