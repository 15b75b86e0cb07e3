"""The application over HTTP, in time: what arrives when, who may leave, and what breaks."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from harness.subject import OwnProxy
from proxy.settings import Settings
from tests.unit.proxy.provider import (
    KEY,
    PATIENCE,
    Provider,
    bare_provider,
    hold,
    stream,
    stream_and_break,
    stream_until,
)
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import (
    DONE,
    Json,
    final,
    finishes,
    items,
    outline,
    read,
    says,
    thinks,
    tokens,
)

REQUEST = {"model": "gpt-oss-120b", "input": "Say hello.", "stream": True}
FINISH = finishes("stop", tokens(9, 1))


def ask(client: httpx.Client) -> list[Json]:
    """Return the events of an answer, which must be read to a proper end."""
    response = client.post("/v1/responses", json=REQUEST)
    assert response.status_code == 200
    return read(response.content)


# --- what arrives when ---------------------------------------------------------------------------


def test_events_arrive_before_the_provider_has_finished(
    client: httpx.Client, upstream: Provider
) -> None:
    seen = threading.Event()
    upstream.answer = stream_until(seen, says("Hel"), says("lo") + FINISH)

    received = b""
    with client.stream("POST", "/v1/responses", json=REQUEST) as response:
        for data in response.iter_raw():
            received += data
            if b'"delta":"Hel"' in received and not seen.is_set():
                assert b'"delta":"lo"' not in received
                seen.set()

    assert items(read(received))[0]["content"][0]["text"] == "Hello"


def test_a_response_is_announced_before_the_provider_has_said_anything(
    client: httpx.Client, upstream: Provider
) -> None:
    seen = threading.Event()
    upstream.answer = stream_until(seen, b"", FINISH)

    received = b""
    with client.stream("POST", "/v1/responses", json=REQUEST) as response:
        for data in response.iter_raw():
            received += data
            if b"event: response.in_progress" in received:
                seen.set()

    assert outline(read(received)) == ["created", "in_progress", "completed"]


def test_a_response_ends_with_its_terminal_event_and_not_with_the_providers_stream(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = hold(threading.Event(), says("Hi") + FINISH)

    assert final(ask(client))["status"] == "completed"


def test_answers_to_several_clients_do_not_mix(client: httpx.Client, upstream: Provider) -> None:
    seen = threading.Barrier(4)
    upstream.answer = stream(says("Hi"), thinks("Hm"), FINISH)

    def ask_together(_: int) -> list[Json]:
        seen.wait(PATIENCE)
        return ask(client)

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(ask_together, range(4)))

    assert len({final(events)["id"] for events in answers}) == 4
    assert [outline(events) for events in answers] == [outline(answers[0])] * 4


# --- a provider that breaks ----------------------------------------------------------------------


def test_a_provider_that_breaks_off_fails_the_response_and_the_body_ends_properly(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream_and_break(says("Hel"))

    events = ask(client)

    assert final(events)["status"] == "failed"
    assert final(events)["error"]["code"] == "server_error"
    assert items(events) == []


def test_a_provider_that_breaks_off_at_once_fails_the_response(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream_and_break()

    assert outline(ask(client)) == ["created", "in_progress", "failed"]


def test_a_provider_that_ends_too_early_fails_the_response(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(says("Hel"))

    assert final(ask(client))["error"] == {
        "code": "server_error",
        "message": "The provider ended its stream before it had finished.",
    }


def test_a_provider_that_breaks_off_after_the_finish_reason_has_finished(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream_and_break(says("Hello"), finishes())

    assert final(ask(client))["status"] == "completed"


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"", "The provider closed the connection before it had answered: "),
        (b"nonsense\r\n\r\n", "The provider's answer broke off: "),
    ],
    ids=["nothing", "no HTTP"],
)
def test_a_provider_that_speaks_no_http_is_told_in_the_stream(wire: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(wire)

        answering = threading.Thread(target=answer_once, daemon=True)
        answering.start()
        with (
            OwnProxy(f"http://127.0.0.1:{listener.getsockname()[1]}/v1") as own_proxy,
            httpx.Client(base_url=own_proxy.url, timeout=PATIENCE, trust_env=False) as client,
        ):
            events = ask(client)
        answering.join(PATIENCE)

    assert outline(events) == ["created", "in_progress", "failed"]
    assert final(events)["error"]["code"] == "server_error"
    assert final(events)["error"]["message"].startswith(message)


def test_a_provider_that_goes_on_with_no_http_fails_the_response() -> None:
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n: hello\n\n\r\n"
    with (
        bare_provider(wire, b"nonsense\r\n") as (url, _),
        serving(Settings(api_key="k", base_url=url)) as client,
    ):
        events = ask(client)

    assert outline(events) == ["created", "in_progress", "failed"]
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider's answer broke off: what came is no HTTP.",
    }


# --- a client that leaves ------------------------------------------------------------------------


def connect(running: OwnProxy) -> socket.socket:
    """Return a bare connection to the proxy."""
    url = urlsplit(running.url)
    return socket.create_connection((url.hostname, url.port), PATIENCE)


def raw_request(*, missing: int) -> bytes:
    """Return a request whose body lacks this many of the bytes that its head announces."""
    body = json.dumps(REQUEST).encode()
    length = len(body) + missing
    head = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"content-length: %d\r\n\r\n" % length
    return head + body


def test_when_the_client_leaves_the_request_to_the_provider_ends(
    client: httpx.Client, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, says("Hel"))

    with client.stream("POST", "/v1/responses", json=REQUEST) as response:
        data = response.iter_raw()
        assert next(data)
        assert not left.is_set()

    assert left.wait(PATIENCE)


def test_when_the_client_leaves_before_any_answer_the_request_to_the_provider_ends(
    running: OwnProxy, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left)

    with connect(running) as connection:
        connection.sendall(raw_request(missing=0))
        assert upstream.asked.wait(PATIENCE)
        assert not left.is_set()

    assert left.wait(PATIENCE)


def test_a_client_that_leaves_in_its_own_request_never_reaches_the_provider(
    running: OwnProxy, client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(FINISH)

    with connect(running) as connection:
        connection.sendall(raw_request(missing=1))

    ask(client)
    assert len(upstream.seen) == 1


# --- connections ---------------------------------------------------------------------------------


def test_two_requests_use_one_connection_to_the_provider(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(says("Hi") + FINISH + DONE)

    ask(client)
    ask(client)

    first, second = upstream.seen
    assert first.port == second.port


def test_a_provider_that_does_not_end_its_stream_is_left_once_it_has_finished(
    client: httpx.Client, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, says("Hi") + FINISH)

    assert final(ask(client))["status"] == "completed"
    assert left.wait(PATIENCE)


def test_the_proxy_prints_its_address_and_nothing_else(
    running: OwnProxy, client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream_and_break(says("Hel"))

    ask(client)

    assert running.said == f"codex-proxy: cerebras (gpt-oss-120b) on {running.url}\n"
    assert KEY not in running.said
