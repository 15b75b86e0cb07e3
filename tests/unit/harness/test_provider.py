"""The provider's edge: what it answers, what it says of requests it does not know, how it looks
on the wire."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.cassette import open_cassette
from harness.provider import MISS_STATUS, Provider
from harness.transport import CassetteTransport
from tests.unit.harness.handmade import Json, request, response, write
from tests.unit.harness.upstreams import Upstream, raw_answer, saying

ASKED = {"model": "m", "messages": []}


def play(provider: Provider, folder: Path, *answers: Json) -> None:
    """Let the provider play these answers, each to a request for `ASKED`."""
    path = write(folder / "c.yaml", *((request(), answer) for answer in answers))
    with open_cassette(path) as cassette:
        provider.play(CassetteTransport(cassette))


def ask(provider: Provider, body: object = ASKED, *, path: str = "/chat/completions") -> Json:
    """Return status, headers and text of the answer."""
    with httpx.Client(verify=False, trust_env=False) as http:
        answer = http.post(provider.base_url + path, json=body)
    return {"status": answer.status_code, "headers": dict(answer.headers), "text": answer.text}


# --- replay --------------------------------------------------------------------------------------


def test_a_recorded_request_gets_the_recorded_answer(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"data: one\n\n", b"data: two\n\n"))

    answer = ask(provider)

    assert answer["status"] == 200
    assert answer["headers"]["content-type"] == "text/event-stream"
    assert answer["text"] == "data: one\n\ndata: two\n\n"
    assert provider.misses == []


def test_each_recorded_chunk_is_one_http_chunk(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"hello", b"\n\n", b"x" * 300))

    raw = raw_answer(f"{provider.base_url}/chat/completions", request().body)

    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"5\r\nhello\r\n2\r\n\n\n\r\n12c\r\n%b\r\n0\r\n\r\n" % (b"x" * 300)


@pytest.mark.parametrize("end", ["cut", "abandoned"])
def test_a_stream_that_ended_early_lacks_the_last_http_chunk(
    provider: Provider, tmp_path: Path, end: str
) -> None:
    play(provider, tmp_path, response(b"hello", end=end))

    raw = raw_answer(f"{provider.base_url}/chat/completions", request().body)

    assert raw.partition(b"\r\n\r\n")[2] == b"5\r\nhello\r\n"


def test_a_stream_that_was_reset_is_reset(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"hello", end="reset"))

    with pytest.raises(ConnectionResetError):
        raw_answer(f"{provider.base_url}/chat/completions", request().body)


def test_a_stream_that_timed_out_falls_silent_until_the_client_leaves(
    provider: Provider, tmp_path: Path
) -> None:
    play(provider, tmp_path, response(b"hello", end="timeout"))

    with (
        httpx.Client(verify=False, trust_env=False, timeout=0.2) as http,
        http.stream("POST", f"{provider.base_url}/chat/completions", json=ASKED) as answer,
    ):
        chunks = answer.iter_raw()
        assert next(chunks) == b"hello"
        with pytest.raises(httpx.ReadTimeout):
            next(chunks)
    provider.settle()


def test_where_there_was_no_answer_there_is_none(provider: Provider, tmp_path: Path) -> None:
    none = {**response(end="cut"), "status": {"code": 0, "message": "no answer"}, "headers": {}}
    play(provider, tmp_path, none)

    assert raw_answer(f"{provider.base_url}/chat/completions", request().body) == b""


def test_requests_are_remembered_as_json(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    ask(provider)
    ask(provider, ["something else"])

    assert provider.requests == [ASKED, ["something else"]]


def test_a_request_that_is_no_json_is_remembered_as_it_came(
    provider: Provider, tmp_path: Path
) -> None:
    play(provider, tmp_path, response(b"x"))

    raw_answer(f"{provider.base_url}/chat/completions", b"no JSON")

    assert provider.requests == [b"no JSON"]


def test_the_names_of_headers_are_taken_down_but_not_what_they_say(
    provider: Provider, tmp_path: Path
) -> None:
    play(provider, tmp_path, response(b"x"))
    with httpx.Client(verify=False, trust_env=False) as http:
        url = f"{provider.base_url}/chat/completions"
        http.post(url, json=ASKED, headers={"Session_Id": "a-conversation"})

    (names,) = provider.header_names
    assert {"session_id", "content-type"} <= names
    assert "a-conversation" not in str(names)


def test_who_plays_something_new_forgets_what_came_before(
    provider: Provider, tmp_path: Path
) -> None:
    path = write(tmp_path / "new.yaml", (request(b"[]"), response(b"new")))

    play(provider, tmp_path, response(b"old"))

    ask(provider)
    ask(provider, "a miss")
    with open_cassette(path) as cassette:
        provider.play(CassetteTransport(cassette))
        assert (provider.requests, provider.misses) == ([], [])
        assert ask(provider, [])["text"] == "new"

    assert provider.requests == [[]]


def test_who_waits_for_it_to_settle_waits_for_the_answer_under_way(
    provider: Provider, tmp_path: Path
) -> None:
    begun, go_on, settled = threading.Event(), threading.Event(), threading.Event()

    async def hold_the_second(number: int, milliseconds: float) -> None:
        if number == 1:
            begun.set()
            await asyncio.to_thread(go_on.wait, 10)

    def settle() -> None:
        provider.settle()
        settled.set()

    path = write(tmp_path / "c.yaml", (request(), response(b"one", b"two")))
    with open_cassette(path) as cassette, ThreadPoolExecutor() as pool:
        provider.play(CassetteTransport(cassette, pace=lambda: hold_the_second))
        asking = pool.submit(ask, provider)
        assert begun.wait(10)
        pool.submit(settle)
        too_early = settled.wait(0.1)
        go_on.set()

        assert asking.result()["text"] == "onetwo"
        assert settled.wait(10)
    assert not too_early


def test_an_answer_that_nobody_waits_for_is_broken_off(provider: Provider, tmp_path: Path) -> None:
    begun = threading.Event()

    async def never(number: int, milliseconds: float) -> None:
        if number == 1:
            begun.set()
            await asyncio.Event().wait()

    path = write(tmp_path / "c.yaml", (request(), response(b"one", b"two")))
    with open_cassette(path) as cassette, ThreadPoolExecutor() as pool:
        provider.play(CassetteTransport(cassette, pace=lambda: never))
        asking = pool.submit(ask, provider)
        assert begun.wait(10)
        provider.settle(0.1)

        assert isinstance(asking.exception(10), httpx.RemoteProtocolError)

    provider.settle(0)


def test_where_no_answer_is_under_way_it_is_settled(provider: Provider) -> None:
    start = time.monotonic()

    provider.settle()

    assert time.monotonic() - start < 1


def test_the_transport_is_closed_with_it() -> None:
    class Transport(httpx.AsyncBaseTransport):
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    transport = Transport()

    with Provider(transport):
        assert not transport.closed

    assert transport.closed


# --- a request that is in no recording -----------------------------------------------------------


def test_a_miss_is_an_error_that_no_provider_has(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    answer = ask(provider, {"model": "another", "messages": []})

    assert answer["status"] == MISS_STATUS == 599
    assert answer["headers"]["content-type"] == "application/json"


def test_a_miss_is_remembered_with_the_difference(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    ask(provider, {"model": "another", "messages": []})

    (miss,) = provider.misses
    assert miss.startswith("POST /v1/chat/completions is in no recording")
    assert miss.endswith('  $.model: recorded as "m", asked as "another"')


def test_a_miss_is_told_as_a_provider_tells_its_errors(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    answer = ask(provider, {"model": "another", "messages": []})

    # So that a proxy passes the reason on.
    assert json.loads(answer["text"]) == {"message": provider.misses[0], "type": "conformance"}


def test_a_request_that_comes_again_is_a_miss(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    statuses = [ask(provider)["status"] for _ in range(3)]

    assert statuses == [200, 599, 599]
    assert len(provider.misses) == 2


def test_a_miss_ends_nothing(provider: Provider, tmp_path: Path) -> None:
    play(provider, tmp_path, response(b"x"))

    ask(provider, "a miss")

    assert ask(provider)["status"] == 200


# --- in front of a real provider -----------------------------------------------------------------


@pytest.fixture(scope="module")
def front(upstream: Upstream) -> Iterator[Provider]:
    """A provider that passes on what it gets from below `/some/v2`."""
    with Provider(upstream=f"{upstream.url}/some/v2") as front:
        yield front


def test_a_path_below_v1_is_the_same_path_below_the_upstream(
    front: Provider, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.does(saying(b"hello"))

    with open_cassette(tmp_path / "c.yaml", record=True) as cassette:
        front.play(CassetteTransport(cassette, httpx.AsyncHTTPTransport(verify=False)))
        answer = ask(front)
        recorded = cassette.requests[0]

    assert answer["text"] == "hello"
    assert upstream.requests[0].path == "/some/v2/chat/completions"
    assert upstream.requests[0].headers["host"] == upstream.url.removeprefix("http://")
    assert recorded.uri == f"{upstream.url}/some/v2/chat/completions"


def test_the_providers_error_passes_with_its_headers(front: Provider, upstream: Upstream) -> None:
    headers = {"content-type": "application/json", "retry-after": "54"}
    upstream.does(saying(b'{"message":"later"}'), status=429, headers=headers)
    front.play(httpx.AsyncHTTPTransport(verify=False))

    answer = ask(front)

    assert (answer["status"], answer["text"]) == (429, '{"message":"later"}')
    assert answer["headers"].items() >= headers.items()


def test_an_upstream_that_cannot_be_reached_is_remembered() -> None:
    transport = httpx.AsyncHTTPTransport(verify=False)

    with Provider(transport, upstream="http://127.0.0.1:1/v1") as provider:
        answer = ask(provider)

    assert answer["status"] == MISS_STATUS
    assert provider.misses == [
        "http://127.0.0.1:1/v1/chat/completions cannot be reached: All connection attempts failed"
    ]
    assert "cannot be reached" in answer["text"]
