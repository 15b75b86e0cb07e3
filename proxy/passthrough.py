"""The ChatGPT backend: what the client sends goes out as it is, and comes back as it is.

Bodies are neither changed nor waited for, headers neither made up nor merged: the login is the
client's own, and so is what the backend says of it. Only what concerns one connection and not the
next is left out, and no request leaves the path that it is meant for.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from proxy.asgi import BrokenOff, Client, Headers, Receive, Send
from proxy.failures import Failure, Fault
from proxy.guard import TOKEN
from proxy.http_client import Answer, ConnectionFault, HttpClient
from proxy.journal import Journal, Tape, taped
from proxy.overheard import Overheard
from proxy.settings import BACKENDS, Settings

__all__ = ["PassThrough"]

#: Headers of one connection (RFC 9110, 7.6.1); those that `connection` names come to them.
_HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)

#: Of a request: the backend has a name of its own; what is expected, this proxy has answered; its
#: token is its own.
_NOT_OF_THE_REQUEST: Final = frozenset((b"host", b"expect", TOKEN))

#: Of an answer without a body that tells how long it would be, which ASGI cannot say.
_NOT_OF_NO_BODY: Final = frozenset((b"content-length",))

#: A path, decoded once, that some server could take for one outside of the base path.
_OUTSIDE: Final = re.compile(
    rb"""
      \A[^/]           # would be part of the host, if the base has no path
    | [\x00-\x1f\x7f]  # the end of a string to some, nothing to others
    | %[0-9A-Fa-f]{2}  # decoded twice, it could be anything
    | [/\\]{2}         # a host, or a segment that is not there
    | [/\\]\ *\.\ *(?:\.\ *)?(?:;[^/\\]*)?(?:[/\\]|\Z)  # here, or one up
    """,
    re.VERBOSE,
)


class PassThrough:
    """Any path, with or without `/v1`, is one of the backend's."""

    def __init__(self, settings: Settings, journal: Journal | None) -> None:
        self._journal = journal
        self._base_url = settings.base_url
        self._variable = BACKENDS[settings.backend].variable
        self._client: HttpClient | None = None

    async def answer(self, client: Client) -> None:
        """Answer one request."""
        match client.path, client.method:
            case _ if client.asks_for_websocket:
                # What makes Codex go on over HTTP at once.
                await client.send_error(426, "There are no WebSockets here: POST, please.")
            case path, method if _may_lead_out(client.raw_path):
                await client.send_error(404, f"There is no {method} {path} here.")
            case _:
                await client.serve(partial(self._pass, client))

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Keep the pool of connections."""
        await receive()
        self._client = HttpClient(self._base_url)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._client.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _pass(self, client: Client, body: bytes) -> None:
        """Pass one request on, and its answer back, chunk by chunk."""
        assert self._client is not None, "the lifespan has not started"
        headers = _end_to_end(client.headers, _NOT_OF_THE_REQUEST)
        url = self._base_url + re.sub(rb"\A/v1(?=/|\Z)", b"", client.raw_path).decode("ascii")
        client.record.upstream = url
        target = (urlsplit(url).path or "/") + (
            "?" + client.query.decode("ascii") if client.query else ""
        )
        overheard = Overheard(client.record)
        try:
            async with self._client.request(client.method, target, headers, body) as answer:
                if answer.status >= 400:
                    client.record.faults.append(f"http_{answer.status}")
                with taped(self._journal) as tape:
                    await _pass_back(answer, client, tape, overheard)
        except ConnectionFault as error:
            client.record.faults.append(error.fault.name.lower())
            if client.started:
                raise BrokenOff from error
            failure = Failure.of_fault(error.fault, error.detail, variable=self._variable)
            await client.send_error(502, failure.message)
        finally:
            overheard.close(body, client.header("content-encoding"))


def _may_lead_out(raw_path: bytes) -> bool:
    """Tell whether some server could look for this path outside of the base path."""
    path = unquote_to_bytes(raw_path)
    try:
        path.decode()
    except UnicodeDecodeError:
        return True  # a dot or a slash in more bytes than it needs is one to some
    return _OUTSIDE.search(path) is not None


def _end_to_end(headers: Headers, also_dropped: frozenset[bytes]) -> Headers:
    """Return the headers that are meant for the other end, in order."""
    named = [value for name, value in headers if name.lower() == b"connection"]
    dropped = _HOP_BY_HOP | also_dropped
    dropped |= {token.strip().lower() for value in named for token in value.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _pass_back(
    answer: Answer, client: Client, tape: Tape | None, overheard: Overheard
) -> None:
    """Send what is answered as it comes; raises `ConnectionFault` for what is no answer."""
    if not 200 <= answer.status < 600:
        raise ConnectionFault(Fault.BROKEN, f"{answer.status} is no status of HTTP")
    dropped = _NOT_OF_NO_BODY if answer.status in (204, 304) else frozenset[bytes]()
    await client.start(answer.status, _end_to_end(answer.headers, dropped))
    while pieces := await answer.read_pieces():
        for data in pieces:
            if tape is not None:
                tape.receive(data)
            overheard.receive(data)
        await client.send_pieces(pieces)
    await client.send(b"", more=False)
