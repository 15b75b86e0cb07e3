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

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, Literal

import msgspec

from proxy import chat, events, responses, sse
from proxy.failures import Failure
from proxy.items import FunctionCall, Message, OpenItem, Reasoning
from proxy.responses import IncompleteDetails

__all__ = ["ResponseStream"]

#: Finish reasons that leave the answer incomplete, in the words of `incomplete_details.reason`.
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}

_TERMINAL: Final = {
    "completed": events.ResponseCompleted,
    "incomplete": events.ResponseIncomplete,
    "failed": events.ResponseFailed,
}

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

    `response` is the response in its first state; the ids of items are made from its own.
    """

    def __init__(self, response: responses.Response) -> None:
        self._response = response
        self._token = response.id.removeprefix("resp_")
        self._decoder = sse.ServerSentEventDecoder()
        self._state = _State.STREAMING
        self._incomplete: str | None = None
        self._usage: responses.Usage | None = None
        #: The reasoning or message that is being written.
        self._writing: Reasoning | Message | None = None
        self._calls: list[_Call] = []
        self._added = 0
        self._done: dict[int, responses.OutputItem] = {}
        self._sequence_number = 0
        self._outgoing = bytearray()

    @property
    def closed(self) -> bool:
        """True once the terminal event was returned."""
        return self._state is _State.CLOSED

    def start(self) -> bytes:
        """Return the events that announce the response."""
        self._emit(events.ResponseCreated(response=self._response))
        self._emit(events.ResponseInProgress(response=self._response))
        return self._take()

    def receive_data(self, data: bytes | None) -> bytes:
        """Return the events that follow from some bytes of the provider, or from their end."""
        if data is None:
            self._end_of_input()
        else:
            for event in self._decoder.receive_data(data):
                if self.closed:
                    break
                self._receive_event(event)
        return self._take()

    def fail(self, failure: Failure) -> bytes:
        """Return the events that end the response because the connection failed."""
        self._fail(failure)
        return self._take()

    # --- what the provider sends -----------------------------------------------------------------

    def _receive_event(self, event: sse.ServerSentEvent) -> None:
        if event.data == chat.DONE:
            self._end_of_input()
            return
        if not event.data:
            return
        try:
            chunk = chat.decode_chunk(event.data)
        except chat.NOT_JSON:
            quoted = event.data[:_QUOTED].decode(errors="replace")
            self._fail(Failure.of_protocol(f"sent what is no chat completion chunk: {quoted!r}"))
            return
        if chunk.error is not None or not chunk.choices:
            # Before the choices: an error that comes with a finish reason is an error.
            failure = Failure.of_event(event.data)
            if failure is not None:
                self._fail(failure)
                return
        for choice in chunk.choices or ():
            self._receive_choice(choice)
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
            if self._state is _State.FINISHED:
                self._complete()

    def _receive_choice(self, choice: chat.Choice) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.reasoning:
                self._write(Reasoning, delta.reasoning)
            if delta.content:
                self._write(Message, delta.content)
            if delta.tool_calls:
                for fragment in delta.tool_calls:
                    self._receive_call(fragment)
        if choice.finish_reason:
            self._state = _State.FINISHED
            self._incomplete = _INCOMPLETE.get(choice.finish_reason)

    def _receive_call(self, fragment: chat.ToolCallDelta) -> None:
        call = next((call for call in reversed(self._calls) if call.is_meant_by(fragment)), None)
        if call is None:
            call = _Call(fragment.index)
            self._calls.append(call)
        call.receive(fragment)
        if call.item is None and call.name:
            self._stop_writing()
            call_id = call.id or f"call_{self._token}_{len(self._calls)}"
            call.item = FunctionCall(*self._place(FunctionCall), call_id=call_id, name=call.name)
            self._emit_all(call.item.added())
        if call.item is not None and call.pending:
            self._emit(call.item.delta(call.take()))

    def _end_of_input(self) -> None:
        if self._state is _State.FINISHED:
            self._complete()
        else:
            self._fail(Failure.of_protocol("ended its stream before it had finished"))

    # --- what Codex gets -------------------------------------------------------------------------

    def _write(self, kind: type[Reasoning | Message], text: str) -> None:
        if not isinstance(self._writing, kind):
            self._stop_writing()
            self._writing = kind(*self._place(kind))
            self._emit_all(self._writing.added())
        self._emit(self._writing.delta(text))

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._emit_all(self._writing.done("completed"))
            self._writing = None

    def _place(self, kind: type[OpenItem]) -> tuple[str, int]:
        """Return id and output index of the next item."""
        output_index = self._added
        self._added += 1
        return f"{kind.prefix}_{self._token}_{output_index}", output_index

    def _complete(self) -> None:
        """End the response as the provider has finished it."""
        if self._incomplete is None and any(call.item is None for call in self._calls):
            self._end_failed(Failure.of_protocol("sent a tool call without a name"))
            return
        open_items: list[OpenItem] = [] if self._writing is None else [self._writing]
        if self._incomplete is None:
            # A call that was cut is never done: Codex would run it, whatever its status.
            open_items += [call.item for call in self._calls if call.item is not None]
        for item in sorted(open_items, key=lambda item: item.output_index):
            self._emit_all(item.done("incomplete" if self._incomplete else "completed"))
        if self._incomplete is None:
            self._end("completed")
        else:
            self._end("incomplete", incomplete_details=IncompleteDetails(self._incomplete))

    def _fail(self, failure: Failure) -> None:
        """End the response as failed, unless the provider had finished it."""
        if self._state is _State.FINISHED:
            self._complete()
        elif self._state is _State.STREAMING:
            self._end_failed(failure)

    def _end_failed(self, failure: Failure) -> None:
        error = responses.ResponseError(code=failure.code, message=failure.message)
        self._end("failed", error=error)

    def _end(
        self,
        status: Literal["completed", "incomplete", "failed"],
        *,
        error: responses.ResponseError | None = None,
        incomplete_details: IncompleteDetails | None = None,
    ) -> None:
        response = msgspec.structs.replace(
            self._response,
            status=status,
            error=error,
            incomplete_details=incomplete_details,
            output=[self._done[output_index] for output_index in sorted(self._done)],
            usage=self._usage,
        )
        self._emit(_TERMINAL[status](response=response))
        self._state = _State.CLOSED

    def _emit_all(self, chain: Iterable[events.Event]) -> None:
        for event in chain:
            self._emit(event)

    def _emit(self, event: events.Event) -> None:
        event.sequence_number = self._sequence_number
        self._sequence_number += 1
        if isinstance(event, events.OutputItemDone):
            self._done[event.output_index] = event.item
        self._outgoing += sse.encode(event.type, events.encode(event))

    def _take(self) -> bytes:
        outgoing = bytes(self._outgoing)
        self._outgoing.clear()
        return outgoing


class _Call:
    """A tool call as its fragments arrive; `item` exists once the name is known."""

    __slots__ = ("id", "index", "item", "name", "pending")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        #: Arguments that were not emitted yet.
        self.pending = ""
        self.item: FunctionCall | None = None

    def is_meant_by(self, fragment: chat.ToolCallDelta) -> bool:
        """Tell whether `fragment` belongs to this call, rather than to one before or a new one."""
        if fragment.id and self.id and fragment.id != self.id:
            return False
        if fragment.index is None and not fragment.id:
            # Nothing but a second name tells a new call from more of the last one.
            return not (self.name and fragment.function and fragment.function.name)
        return fragment.index is None or fragment.index == self.index

    def receive(self, fragment: chat.ToolCallDelta) -> None:
        """Take what the fragment brings; the first id and the first name count."""
        self.id = self.id or fragment.id or ""
        if fragment.function is not None:
            self.name = self.name or fragment.function.name or ""
            self.pending += fragment.function.arguments or ""

    def take(self) -> str:
        """Return the arguments that were not emitted yet, and forget them."""
        pending, self.pending = self.pending, ""
        return pending


def _usage(usage: chat.Usage) -> responses.Usage:
    prompt_details = usage.prompt_tokens_details or chat.PromptTokensDetails()
    completion_details = usage.completion_tokens_details or chat.CompletionTokensDetails()
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    return responses.Usage(
        input_tokens=prompt,
        input_tokens_details=responses.InputTokensDetails(_count(prompt_details.cached_tokens)),
        output_tokens=completion,
        output_tokens_details=responses.OutputTokensDetails(
            _count(completion_details.reasoning_tokens)
        ),
        total_tokens=_count(usage.total_tokens) or prompt + completion,
    )


def _count(tokens: int | None) -> int:
    """Return a number of tokens: Codex takes a missing or negative one for a broken stream."""
    return max(tokens or 0, 0)
