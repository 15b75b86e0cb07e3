"""The application over HTTP where the provider fails: who tries again, and what Codex is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from harness.server import BreakConnection
from proxy.settings import Settings
from tests.unit.proxy.provider import (
    PATIENCE,
    Provider,
    Receive,
    Send,
    bare_provider,
    hold,
    in_turn,
    reply,
    stream,
    stream_and_break,
)
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import (
    Json,
    calls,
    data,
    final,
    finishes,
    fragment,
    items,
    outline,
    read,
    says,
    tokens,
)

REQUEST: Json = {"model": "gpt-oss-120b", "input": "Say hello.", "stream": True}
HELLO = stream(says("Hello.") + finishes("stop", tokens(9, 1)))
FAILED = ["created", "in_progress", "failed"]


def ask(client: httpx.Client, **headers: str) -> list[Json]:
    """Return the events of an answer, which must be a stream."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.post("/v1/responses", json=REQUEST, headers=names)
    assert response.status_code == 200
    return read(response.content)


def ask_through(url: str) -> list[Json]:
    """Return the events of an answer by way of a proxy in front of the provider at `url`."""
    with serving(Settings(api_key="k", base_url=url)) as client:
        return ask(client)


@pytest.fixture
def closed_port() -> Iterator[int]:
    # Bound but not listening: whoever connects is refused, and nobody else gets the port.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


# --- tried again ---------------------------------------------------------------------------------


def test_a_provider_that_recovers_is_one_stream_and_three_requests(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = in_turn(reply(500), reply(503, b"<html>"), HELLO)

    events = ask(client)

    assert outline(events)[:3] == ["created", "in_progress", "output_item.added 0"]
    assert final(events)["status"] == "completed"
    assert len(upstream.seen) == 3
    assert upstream.seen[0].body == upstream.seen[1].body == upstream.seen[2].body


@pytest.mark.parametrize("status", [500, 529])
def test_a_provider_that_does_not_recover_is_three_requests(
    client: httpx.Client, upstream: Provider, status: int
) -> None:
    upstream.answer = reply(status, b'{"message":"Boom."}')

    events = ask(client)

    assert outline(events) == FAILED
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider answered: Boom.",
    }
    assert len(upstream.seen) == 3


def test_what_the_last_request_met_is_told(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = in_turn(reply(500), reply(429, b'{"message":"Busy."}', retry_after="3"))

    assert final(ask(client))["error"] == {
        "code": "rate_limit_exceeded",
        "message": "The provider answered: Busy. Please try again in 3s.",
    }
    assert len(upstream.seen) == 2


def test_a_refusal_after_a_failure_is_http_400(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = in_turn(reply(500), reply(401, b'{"message":"Wrong API Key"}'))

    response = client.post("/v1/responses", json=REQUEST)

    assert response.status_code == 400
    assert len(upstream.seen) == 2


def test_a_refused_connection_is_tried_again_and_then_told(closed_port: int) -> None:
    start = time.monotonic()

    events = ask_through(f"http://127.0.0.1:{closed_port}/v1")

    assert time.monotonic() - start >= 0.8  # a fifth and three fifths of a second, at least
    assert outline(events) == FAILED
    assert final(events)["error"]["code"] == "server_error"
    assert final(events)["error"]["message"].startswith("The provider cannot be reached: ")


def test_a_host_that_has_no_address_is_told() -> None:
    error = final(ask_through("http://provider.invalid/v1"))["error"]

    assert error["code"] == "server_error"
    assert error["message"].startswith("The provider's host name is not known: ")
    assert error["message"].endswith(" Check CEREBRAS_BASE_URL, and the network.")


# --- not tried again -----------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_provider_that_leaves_after_the_request_was_sent_is_not_asked_again(reset: bool) -> None:
    with bare_provider(b"", reset=reset) as (url, asked):
        events = ask_through(url)

    assert outline(events) == FAILED
    assert final(events)["error"]["code"] == "server_error"
    assert len(asked) == 1
    assert asked[0].startswith(b"POST /v1/chat/completions ")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("said", [b"", says("Hel")], ids=["head", "text"])
def test_a_provider_that_leaves_in_its_answer_is_not_asked_again(said: bytes, reset: bool) -> None:
    with bare_provider(HEAD + said, reset=reset) as (url, asked):
        events = ask_through(url)

    assert final(events)["error"]["code"] == "server_error"
    assert items(events) == []
    assert len(asked) == 1


def test_once_a_byte_of_the_stream_was_sent_nothing_is_tried_again(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = in_turn(stream_and_break(says("Hel")), HELLO)

    events = ask(client)

    assert final(events)["status"] == "failed"
    assert len(upstream.seen) == 1


def test_an_error_in_the_stream_is_not_tried_again(
    client: httpx.Client, upstream: Provider
) -> None:
    broken = data({"error": {"message": "Oh no."}, "status_code": 500})
    upstream.answer = in_turn(stream(broken), HELLO)

    assert outline(ask(client)) == FAILED
    assert len(upstream.seen) == 1


def test_a_provider_without_tls_is_told_and_not_asked_again() -> None:
    with bare_provider(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, asked):
        error = final(ask_through(url.replace("http:", "https:")))["error"]

    assert error["code"] == "server_error"
    assert error["message"].startswith("The connection to the provider is not secure: ")
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 422, 429])
def test_what_another_request_would_not_mend_is_not_tried_again(
    client: httpx.Client, upstream: Provider, status: int
) -> None:
    upstream.answer = in_turn(reply(status), HELLO)

    client.post("/v1/responses", json=REQUEST)

    assert len(upstream.seen) == 1


# --- rate limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 2),
        ({"retry_after": "54"}, 54),
        ({"retry_after": "1.2"}, 2),
        ({"retry_after": "0"}, 1),
        ({"retry_after": "soon"}, 2),
        ({"retry_after": "-1"}, 2),
        (
            {
                "x_ratelimit_remaining_tokens_minute": "0",
                "x_ratelimit_reset_tokens_minute": "59.62136220932007",
                "x_ratelimit_remaining_requests_day": "100",
                "x_ratelimit_reset_requests_day": "73492.1",
            },
            60,
        ),
    ],
    ids=["none", "integer", "float", "zero", "words", "negative", "reset"],
)
def test_a_rate_limit_is_told_with_the_wait(
    client: httpx.Client, upstream: Provider, headers: dict[str, str], seconds: int
) -> None:
    upstream.answer = reply(429, b'{"message":"Too many tokens."}', **headers)

    events = ask(client)

    assert outline(events) == FAILED
    assert final(events)["error"] == {
        "code": "rate_limit_exceeded",
        "message": f"The provider answered: Too many tokens. Please try again in {seconds}s.",
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "86399"},
        {"retry_after": "1e300"},
        {
            "x_ratelimit_remaining_requests_day": "0",
            "x_ratelimit_reset_requests_day": "73492.1",
        },
    ],
    ids=["a day", "absurd", "reset"],
)
def test_a_quota_that_is_used_up_is_told_as_one_not_to_wait_for(
    client: httpx.Client, upstream: Provider, headers: dict[str, str]
) -> None:
    upstream.answer = reply(429, b'{"message":"Tokens per day."}', **headers)

    error = final(ask(client))["error"]

    assert error["code"] == "insufficient_quota"
    assert error["message"].startswith("The provider answered: Tokens per day. It is back in ")
    assert "try again" not in error["message"]


def test_a_limit_that_the_request_alone_would_exceed_is_told_with_the_wait(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = reply(
        429,
        b'{"message":"Tokens per minute limit exceeded","code":"token_quota_exceeded"}',
        x_ratelimit_remaining_tokens_minute="812",
        x_ratelimit_reset_tokens_minute="41.5",
        x_ratelimit_remaining_requests_day="100",
        x_ratelimit_reset_requests_day="73492.1",
    )

    assert final(ask(client))["error"]["message"].endswith(" Please try again in 42s.")


# --- versions of Codex ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_agent", "status"),
    [
        ("codex_cli_rs/0.45.0 (Debian 12.0.0; x86_64) xterm-256color", "completed"),
        ("codex_exec/0.45.0 (Debian 12.0.0; x86_64) unknown", "completed"),
        ("codex_cli_rs/0.139.0-alpha.1 (Debian 12.0.0; x86_64)", "completed"),
        ("codex_exec/0.163.0 (Debian 12.0.0; x86_64)", "incomplete"),
        ("codex_exec/0.169.0 (Debian 12.0.0; x86_64)", "incomplete"),
        ("codex_cli_rs/1.0.0 (Debian 12.0.0; x86_64)", "incomplete"),
        ("OpenAI/Python 3.3.1", "incomplete"),
        ("", "incomplete"),
    ],
)
def test_an_answer_that_was_cut_is_told_as_the_version_of_codex_understands_it(
    client: httpx.Client, upstream: Provider, user_agent: str, status: str
) -> None:
    cut = calls(fragment(0, id="a", name="x", arguments='{"comm'))
    upstream.answer = stream(says("Once up"), cut, finishes("length"))

    events = ask(client, user_agent=user_agent)

    assert final(events)["status"] == status
    assert [item["type"] for item in items(events)] == ["message"]


@pytest.mark.parametrize(
    ("user_agent", "status"),
    [
        ("codex_exec/0.45.0 (Debian 12.0.0; x86_64) unknown", "completed"),
        ("codex_exec/0.163.0 (Debian 12.0.0; x86_64) unknown", "failed"),
        ("my editor/0.169.0 (Debian 12.0.0; x86_64) unknown (my editor; 0.169.0)", "failed"),
        ("OpenAI/Python 3.54.0", "incomplete"),
    ],
)
def test_an_answer_that_was_filtered_is_told_so_that_codex_does_not_ask_again(
    client: httpx.Client, upstream: Provider, user_agent: str, status: str
) -> None:
    upstream.answer = stream(says("Once up"), finishes("content_filter"))

    events = ask(client, user_agent=user_agent)

    response = final(events)
    assert response["status"] == status
    if status == "failed":
        assert items(events) == []  # half an answer must not enter the conversation
        assert response["error"]["code"] == "invalid_prompt"
        assert response["error"]["message"] == "The provider cut its answer: content_filter."


# --- providers that do not come to an end --------------------------------------------------------


def test_an_error_whose_body_breaks_off_is_judged_by_its_status(
    client: httpx.Client, upstream: Provider
) -> None:
    async def answer(receive: Receive, send: Send) -> None:
        headers = [(b"retry-after", b"7"), (b"content-length", b"400")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise BreakConnection

    upstream.answer = answer

    error = final(ask(client))["error"]

    assert error["code"] == "rate_limit_exceeded"
    assert error["message"].endswith("Please try again in 7s.")


def test_who_has_finished_and_stays_is_not_waited_for(
    client: httpx.Client, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, says("Hi"), finishes("stop"))

    events = ask(client)

    assert final(events)["status"] == "completed"
    assert left.wait(PATIENCE)


def test_a_client_that_reads_slowly_misses_nothing_of_a_provider_that_goes_on(
    client: httpx.Client, upstream: Provider
) -> None:
    left = threading.Event()
    upstream.answer = hold(left, finishes("stop"), *[says("x" * 16_000)] * 1250)
    request = client.build_request("POST", "/v1/responses", json=REQUEST)

    response = client.send(request, stream=True)
    threading.Event().wait(3)  # longer than a provider that has finished is waited for

    assert final(read(response.read()))["status"] == "completed"
