"""What is tried with requests and answers that are almost right: each trial, and its judgement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from hypothesis import strategies as st

from harness.schema import check
from harness.subject import OwnProxy
from tests.unit.proxy.fuzz import (
    REQUESTS,
    bodies,
    damaged,
    explore,
    in_pieces,
    judge_body,
    judge_error,
    judge_events,
    judge_pieces,
    wires,
)
from tests.unit.proxy.fuzz_wire import Answered, WireProvider, exchange, read_requests
from tests.unit.proxy.streams import DONE, Json, finishes, says, tokens

__all__ = ["TRIALS", "Subjects", "subjects"]

#: Below which path of the backend everything is.
_BASE: Final = "/backend-api/codex"

_STREAM: Final = says("Hello") + finishes("stop", tokens(9, 1)) + DONE
_HELLO: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_STREAM), _STREAM)
)


@dataclass(frozen=True)
class Subjects:
    """A proxy of each kind, each with a provider of its own."""

    provider: WireProvider
    proxy: OwnProxy
    backend: WireProvider
    pass_through: OwnProxy

    def check(self) -> None:
        """Check that the proxies are well, have said nothing, and asked for nothing strange."""
        for proxy in (self.proxy, self.pass_through):
            health = httpx.get(f"{proxy.url}/health", trust_env=False)
            assert health.json() == {"status": "healthy"}
            assert proxy.said.count("\n") == 1, proxy.said
        assert self.provider.faults == []
        assert self.backend.faults == []


@contextmanager
def subjects() -> Iterator[Subjects]:
    """Run them all."""
    with (
        WireProvider() as provider,
        OwnProxy(f"{provider.url}/v1") as proxy,
        WireProvider() as backend,
        OwnProxy(backend.url + _BASE, backend="chatgpt") as pass_through,
    ):
        yield Subjects(provider, proxy, backend, pass_through)


# --- without HTTP --------------------------------------------------------------------------------


def _bodies_in_the_core(_: Subjects, examples: int, start: int) -> None:
    def judge(body: bytes, compacts: bool) -> None:
        judge_body(body, compacts=compacts)

    explore(judge, bodies, st.booleans(), examples=examples, start=start)


def _streams_in_the_core(_: Subjects, examples: int, start: int) -> None:
    def judge(pieces: list[bytes], request: Json, think_tags: bool) -> None:
        judge_pieces(pieces, request, think_tags=think_tags)

    strategies = (in_pieces(), st.sampled_from(REQUESTS), st.booleans())
    explore(judge, *strategies, examples=examples, start=start)


# --- over HTTP -----------------------------------------------------------------------------------


def _bodies(them: Subjects, examples: int, start: int) -> None:
    """Any body, in a request that is in order."""

    def judge(body: bytes, path: str) -> None:
        them.provider.wire = _HELLO
        asked = len(them.provider.asked)
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        wire = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        _judge(exchange(them.proxy.url, wire), statuses=(200, 400))
        for request in them.provider.asked[asked:]:
            assert check(json.loads(request.body), "chat/request.json") == []

    paths = st.sampled_from(["/responses", "/v1/responses", "/v1/responses/compact"])
    explore(judge, bodies, paths, examples=examples, start=start)


def _wires(them: Subjects, examples: int, start: int) -> None:
    """Any answer of the provider."""

    def judge(wire: bytes, streams: bool) -> None:
        them.provider.wire = wire
        body = {"model": "gpt-oss-120b", "input": "Hi", "stream": streams}
        answer = httpx.post(f"{them.proxy.url}/v1/responses", json=body, trust_env=False)
        if answer.status_code != 200:
            judge_error(answer.content)
        elif streams:
            judge_events(answer.content)
        else:
            assert check(answer.json(), "responses/response.json") == []

    explore(judge, wires(), st.booleans(), examples=examples, start=start)


_METHODS: Final = st.sampled_from(
    [b"POST", b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"PURGE", b"X"]
)
_TARGETS: Final = st.lists(
    st.sampled_from(
        [
            *(b"/v1", b"/responses", b"/models", b"/health", b"/metrics", b"/compact", b"/", b"//"),
            *(b"/..", b"/%2e%2e", b"/%2F", b"/.;x/", b"\\", b"/%00", b"/%zz", b"%", b"/\xff", b"*"),
            *(b"?", b"?client_version=1", b"?a=%0d%0a", b"?\xc3\xa9", b"#x", b"@", b":", b"\t"),
            *(b"http://localhost", b"http://evil.example", b"localhost:80", b"/" + b"a" * 17_000),
        ]
    ),
    max_size=4,
).map(b"".join)
_HEADERS: Final = st.lists(
    st.sampled_from(
        [
            *(
                b"host: localhost",
                b"host: 127.0.0.1:1",
                b"host: evil.example",
                b"host:",
                b"host: [",
            ),
            *(b"content-type: application/json", b"content-type: text/plain", b"accept: */*"),
            *(b"content-encoding: zstd", b"content-encoding: gzip, br", b"content-encoding: x"),
            *(
                b"content-length: 0",
                b"content-length: 3",
                b"content-length: x",
                b"expect: 100-continue",
            ),
            *(b"transfer-encoding: chunked", b"transfer-encoding: gzip", b"connection: close"),
            *(b"connection: keep-alive, x", b"connection: upgrade\r\nupgrade: websocket", b"x: y"),
            *(b"authorization: Bearer \xe9", b"x-proxy-token: t", b"origin: null", b"x: \xff\xfe"),
            *(b"cookie: a=b", b" folded: x", b"x", b": x", b"te: trailers", b"x: " + b"y" * 66_000),
        ]
    ),
    max_size=4,
)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    """Draw a request as it stands on the wire, or almost."""
    head = [draw(_METHODS) + b" " + draw(_TARGETS) + b" HTTP/1.1", *draw(_HEADERS)]
    body = b""
    if draw(st.booleans()):
        head += [b"host: localhost", b"content-type: application/json"]
    if draw(st.booleans()):
        body = draw(bodies)
        head.append(b"content-length: %d" % len(body))
    return draw(damaged(st.just(b"\r\n".join([*head, b"", body]))))


def _heads(them: Subjects, examples: int, start: int) -> None:
    """Any bytes that a client sends."""
    them.provider.wire = _HELLO

    def judge(wire: bytes) -> None:
        _judge_request(them.proxy, wire)

    explore(judge, _requests(), examples=examples, start=start)


def _passed_through(them: Subjects, examples: int, start: int) -> None:
    """Any bytes of a client and of the backend: at most one request goes out, to its own path."""

    def judge(wire: bytes, answer: bytes) -> None:
        them.backend.wire = answer
        asked = len(them.backend.asked)
        _judge_request(them.pass_through, wire, is_own=False)
        for request in them.backend.asked[asked:]:
            assert request.target.startswith(_BASE.encode()), request
            names = [name for name, _ in request.headers]
            assert b"x-proxy-token" not in names, request
            assert names.count(b"host") == 1, request
            host = dict(request.headers)[b"host"].decode()
            assert f"http://{host}" == them.backend.url, request
        assert them.backend.faults == []

    answers = st.one_of(st.just(_HELLO), wires())
    explore(judge, _requests(), answers, examples=examples, start=start)


def _judge_request(proxy: OwnProxy, wire: bytes, *, is_own: bool = True) -> None:
    asked, fault = read_requests(wire)
    is_whole = bool(asked) and asked[0].is_whole
    is_bare = bool(asked) and asked[0].method == b"HEAD"
    # What is not whole is ended, so that the proxy need not wait for the rest. Where no HTTP comes
    # after a whole request, the connection closes, and that may be before there is an answer; where
    # a head is refused as too long, what was still on its way may push the answer aside (a reset).
    fault = fault or ("too long" if wire.find(b"\r\n\r\n") > _LONG else "")
    answered = exchange(proxy.url, wire, half=not is_whole and not fault, is_bare=is_bare)
    if is_whole and is_own and not fault:
        assert answered.is_whole
    if answered.is_whole and is_own and not is_bare:
        _judge(answered, statuses=range(200, 500))


def _judge(answered: Answered, *, statuses: Any) -> None:
    assert answered.is_whole
    assert answered.status in statuses, (answered.status, answered.body)
    if answered.status >= 400:
        judge_error(answered.body)
    elif answered.headers[b"content-type"].startswith(b"text/event-stream"):
        judge_events(answered.body)


#: Bytes of a head that may be refused.
_LONG: Final = 16 * 1024

Trial = Callable[[Subjects, int, int], None]

#: By their names: how many examples take half a second, and what is tried.
TRIALS: Final[dict[str, tuple[int, Trial]]] = {
    "bodies in the core": (100, _bodies_in_the_core),
    "streams in the core": (30, _streams_in_the_core),
    "bodies": (50, _bodies),
    "wires": (30, _wires),
    "heads": (100, _heads),
    "passed through": (60, _passed_through),
}
