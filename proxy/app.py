"""Routes and wiring: a plain ASGI application; each request to it is one request upstream."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from proxy.asgi import Application, Client, Receive, Send
from proxy.content_encoding import ContentEncodingError, TooLong, decoded
from proxy.failures import Failure, Fault
from proxy.http_client import Answer, ConnectionFault
from proxy.journal import Journal, Tape, taped
from proxy.passthrough import PassThrough
from proxy.reconstruct import Cut, End, ResponseStream
from proxy.record import Record
from proxy.request import InvalidRequest, Request, decode_request
from proxy.responses import OutputCompaction, Response
from proxy.settings import Settings
from proxy.shell import Shell
from proxy.status_line import StatusLine
from proxy.translate import Translation, translate
from proxy.upstream import Cerebras, read_error

__all__ = ["App", "create_app"]

#: How often this proxy tries again by itself, and the seconds before it does, times 1 to 2.
_RETRY_AFTER: Final = (0.2, 0.6)

#: Bytes of an answer that are translated at once: a millisecond's work, for which all others wait.
_AT_ONCE: Final = 32 * 1024

#: What a provider, or what stands before it, may do to a stream that was asked for as it is.
_COMPRESSED: Final = frozenset(("gzip", "x-gzip", "deflate", "br", "zstd"))

#: Seconds that a provider which has finished has to tell the usage, or to end its stream.
_LAST_WORD: Final = 2.0

#: Any version of Codex, whatever it calls itself: `codex_exec/0.163.0 (Debian 12.0.0; x86_64)`.
_CODEX: Final = re.compile(r"/0\.(\d+)\.\d+\S* \(")

#: The first version that does not take `response.incomplete` for a stream that broke.
_KNOWS_INCOMPLETE: Final = 163

_RESPONSES: Final = ("/responses", "/v1/responses")
_COMPACT: Final = ("/responses/compact", "/v1/responses/compact")
_MODELS: Final = ("/models", "/v1/models")


def create_app(settings: Settings, journal: Journal | None = None) -> Application:
    """Return the ASGI application of one proxy."""
    kind = PassThrough if settings.backend == "chatgpt" else App
    return Shell(kind(settings, journal), settings, journal)


class App:
    """Cerebras: `/responses`, `.../compact` and `/models` with or without `/v1`."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        self._settings = settings
        self._journal = journal
        self._upstream: Cerebras | None = None
        self._status_line = StatusLine() if settings.status_line else None

    async def answer(self, client: Client) -> None:
        """Answer one request."""
        match client.path, client.method:
            case path, "POST" if path in _RESPONSES or path in _COMPACT:
                await client.serve(partial(self._respond, client))
            case path, "GET" if path in _MODELS:
                await client.send_json(self._models(client))
            case path, _ if path in _RESPONSES and client.asks_for_websocket:
                # What makes Codex go on over HTTP at once; 404 and 405 cost it seven seconds.
                await client.send_error(426, "There are no WebSockets here: POST, please.")
            case path, method if path in (*_RESPONSES, *_COMPACT, *_MODELS):
                await client.send_error(405, f"{path} does not take {method}.")
            case path, method:
                await client.send_error(404, f"There is no {method} {path} here.")

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Keep the pool of connections."""
        await receive()
        self._upstream = Cerebras(self._settings)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._upstream.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    def _models(self, client: Client) -> bytes:
        """Return what there is, in the shape that asks for it: Codex' own, or OpenAI's."""
        if b"client_version=" in client.query:
            return b'{"models":[]}'
        model = {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "cerebras",
        }
        return msgspec.json.encode({"object": "list", "data": [model]})

    # --- responses -------------------------------------------------------------------------------

    async def _respond(self, client: Client, body: bytes) -> None:
        try:
            plain = decoded(body, client.header("content-encoding"))
            client_request = decode_request(plain)
            compacts = client.path in _COMPACT
            translation = translate(client_request, self._settings, compacts=compacts)
        except InvalidRequest as fault:
            await client.send_error(400, str(fault), param=fault.param)
            return
        except TooLong as error:
            await client.send_error(413, str(error))
            return
        except ContentEncodingError as error:
            await client.send_error(415, str(error))
            return
        if self._status_line is not None:
            await self._status_line.put_into(translation)
        stream = self._stream(client, client_request, translation)
        record = client.record
        record.id, record.upstream = stream.response.id, self._settings.chat_url
        record.asked, record.used = client_request.model, translation.chat_request.model
        if client_request.stream and not compacts:
            ticking = asyncio.create_task(_keep_alive(client, stream, self._settings.keep_alive))
            try:
                try:
                    failure = await self._outcome(client, client, stream, translation)
                finally:
                    ticking.cancel()
                await _end_stream(client, stream, failure)
            finally:
                record.events = stream.sequence_number
        else:
            failure = await self._outcome(client, None, stream, translation)
            await _send_whole(client, stream, failure, compacts=compacts)
        _take_down(record, stream, failure)

    def _stream(
        self, client: Client, client_request: Request, translation: Translation
    ) -> ResponseStream:
        response = Response.to(
            client_request,
            id=f"resp_{uuid.uuid4().hex}",
            created_at=int(time.time()),
            model=translation.chat_request.model,
        )
        return ResponseStream(
            response,
            toolbox=translation.toolbox,
            call_ids=translation.call_ids,
            compacts=translation.compacts,
            cut=_cut(client.header("user-agent")),
            think_tags=self._settings.think_tags,
        )

    async def _outcome(
        self,
        client: Client,
        listener: Client | None,
        stream: ResponseStream,
        translation: Translation,
    ) -> Failure | None:
        """Return what `_answer` does; where the proxy stops, that is the failure."""
        try:
            return await self._answer(client, listener, stream, translation)
        except asyncio.CancelledError:
            if client.ended:  # nothing but the provider's own end was waited for
                return None
            if client.gone:
                raise
            return Failure.of_stop()

    async def _answer(
        self,
        client: Client,
        listener: Client | None,
        stream: ResponseStream,
        translation: Translation,
    ) -> Failure | None:
        """Carry the provider's answer into `stream`, and to the one who listens to it.

        Returns the failure that ended it from outside the stream, if one did.
        """
        assert self._upstream is not None, "the lifespan has not started"
        record = client.record
        body = msgspec.json.encode(translation.chat_request)
        if self._journal is not None:
            # As soon as it is on its way: the thread that writes it would delay that.
            asyncio.get_running_loop().call_soon(self._journal.keep_request, body)
        for wait in (*_RETRY_AFTER, None):
            try:
                async with self._upstream.stream(body) as answer:
                    with taped(self._journal) as tape:
                        if answer.status == 200:
                            if listener is not None and not listener.started:
                                await listener.send_events(stream.start(), more=True)
                            await _carry(answer, listener, stream, tape)
                            return None
                        record.faults.append(f"http_{answer.status}")
                        said = await read_error(answer)
                        if tape is not None:
                            tape.receive(said)
                    failure = Failure.of_answer(answer.status, answer.fields, said)
            except ConnectionFault as error:
                record.faults.append(error.fault.name.lower())
                failure = Failure.of_fault(error.fault, error.detail)
            if wait is None or not failure.retriable or (listener is not None and listener.started):
                return failure
            record.retries += 1
            await asyncio.sleep(wait * (1 + random.random()))  # noqa: S311 - jitter is no secret
        raise AssertionError("the last try returns")


def _cut(user_agent: str) -> Mapping[Cut, End]:
    """Return how a response ends that the provider cut, for this client.

    Versions of Codex before 0.163 ask six times when a response is incomplete, and enter what they
    got each time. All of them do so for a content filter: there new ones stop at a failure.
    """
    codex = _CODEX.search(user_agent)
    if codex is None:
        return {}
    if int(codex[1]) < _KNOWS_INCOMPLETE:
        return {"max_output_tokens": "completed", "content_filter": "completed"}
    return {"content_filter": "failed"}


def _take_down(record: Record, stream: ResponseStream, failure: Failure | None) -> None:
    """Note how a response ended: `failure` may have come when it was complete."""
    response = stream.response
    if failure is None and stream.failure is not None:
        record.faults.append("stream")
    if stream.closed:
        failure = stream.failure
    if failure is not None:
        record.outcome, record.code = "failed", failure.code
    else:
        record.outcome = response.status
    if response.usage is not None:
        record.input_tokens = response.usage.input_tokens
        record.output_tokens = response.usage.output_tokens


async def _carry(
    answer: Answer, client: Client | None, stream: ResponseStream, tape: Tape | None
) -> None:
    """Carry the body of an answer into `stream`, to its end: also where that was closed before."""
    if (encoding := answer.fields.get("content-encoding", "").lower()) in _COMPRESSED:
        raise ConnectionFault(Fault.COMPRESSED, encoding)
    clock = asyncio.get_running_loop().time
    deadline: float | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as patience:
            while data := await answer.read(_AT_ONCE):
                if tape is not None:
                    tape.receive(data)
                if deadline is not None:
                    patience.reschedule(None)  # the client reads at its own pace
                events = stream.receive_data(data)
                if client is not None:
                    if stream.failure is not None:
                        events = client.hide(events)
                    await client.send_events(events, more=not stream.closed)
                elif stream.closed:
                    break
                if stream.finished:
                    deadline = deadline or clock() + _LAST_WORD
                    patience.reschedule(deadline)


async def _keep_alive(client: Client, stream: ResponseStream, seconds: float) -> None:
    """Let the client hear something whenever it has heard nothing for so many seconds.

    The first time that commits the status, before the provider's is known.
    """
    clock = asyncio.get_running_loop().time
    while not stream.closed:
        left = client.last_sent + seconds - clock()
        if left > 0:
            await asyncio.sleep(left)
        elif client.busy:  # it has something to read
            await asyncio.sleep(seconds)
        else:
            # It has its number, and so its place: as the client is not busy, this does not wait.
            events = stream.keep_alive() if client.started else stream.start()
            await client.send_events(events, more=True)


async def _end_stream(client: Client, stream: ResponseStream, failure: Failure | None) -> None:
    """Send what ends a stream: the provider's end, or the failure that came before it."""
    if failure is not None and failure.final and not client.started:
        await client.send_error(400, failure.message, code=failure.code)
        return
    head = b"" if client.started else stream.start()
    events = stream.receive_data(None) if failure is None else stream.fail(failure)
    if stream.failure is not None:
        events = client.hide(events)
    await client.send_events(head + events, more=False)


def _compacted(response: Response) -> bytes:
    """Return the answer of `/responses/compact`.

    The item goes by its older name: Codex 0.63 knows no other, later versions know both.
    """
    summaries = [item for item in response.output if isinstance(item, OutputCompaction)]
    output = [
        {"type": "compaction_summary", "encrypted_content": item.encrypted_content}
        for item in summaries
    ]
    return msgspec.json.encode({"output": output})


async def _send_whole(
    client: Client, stream: ResponseStream, failure: Failure | None, *, compacts: bool
) -> None:
    """Send the response as one JSON object, for a client that does not stream."""
    if failure is None:
        stream.receive_data(None)
    else:
        stream.fail(failure)
    if (failure := stream.failure) is not None:
        await client.send_error(
            failure.status, failure.message, code=failure.code, retry_after=failure.retry_after
        )
    elif compacts:
        await client.send_json(_compacted(stream.response))
    else:
        await client.send_json(msgspec.json.encode(stream.response))
