"""The application over HTTP while the provider says nothing: the client hears something."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from proxy.settings import Settings
from tests.unit.proxy.provider import (
    Answer,
    Provider,
    hold,
    once,
    reply,
    stream,
    stream_until,
)
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import Json, final, finishes, items, outline, read, says, tokens

REQUEST: Json = {"model": "gpt-oss-120b", "input": "Say hello.", "stream": True}
FINISH = finishes("stop", tokens(9, 1))
ALIVE = b"event: response.in_progress"


@pytest.fixture
def impatient(provider_url: str) -> Iterator[httpx.Client]:
    """A client of a proxy that is silent for a twentieth of a second at most."""
    with serving(Settings(api_key="k", base_url=provider_url, keep_alive=0.05)) as client:
        yield client


def ask(client: httpx.Client, seen: threading.Event, *, after: bytes, alive: int) -> list[Json]:
    """Return the events of an answer; set `seen` once so many keep-alives came behind `after`."""
    received = b""
    with client.stream("POST", "/v1/responses", json=REQUEST) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        for data in response.iter_raw():
            received += data
            if received.partition(after)[2].count(ALIVE) >= alive:
                seen.set()
    return read(received)


def ask_a_silent_provider(client: httpx.Client, upstream: Provider, then: Answer) -> list[Json]:
    """Return the events where the provider sends its status only after some keep-alives."""
    seen = threading.Event()
    upstream.answer = once(seen, then)
    return ask(client, seen, after=b"event: response.created", alive=3)


# --- before the provider's head ------------------------------------------------------------------


def test_while_the_provider_is_silent_the_response_is_announced_and_kept_alive(
    impatient: httpx.Client, upstream: Provider
) -> None:
    events = ask_a_silent_provider(impatient, upstream, stream(says("Hello"), FINISH))

    steps = outline(events)
    assert steps[:4] == ["created", "in_progress", "in_progress", "in_progress"]
    assert steps.count("created") == 1
    assert items(events)[0]["content"][0]["text"] == "Hello"
    assert final(events)["status"] == "completed"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "invalid_prompt"), (429, "rate_limit_exceeded"), (503, "server_error")],
)
def test_a_failure_after_a_keep_alive_travels_in_the_stream_and_is_not_tried_again(
    impatient: httpx.Client, upstream: Provider, status: int, code: str
) -> None:
    events = ask_a_silent_provider(impatient, upstream, reply(status, b'{"message":"Boom."}'))

    assert final(events)["error"]["code"] == code
    assert final(events)["error"]["message"].startswith("The provider answered: Boom.")
    assert len(upstream.seen) == 1


def test_a_provider_that_never_answers_fails_the_response(
    provider_url: str, upstream: Provider
) -> None:
    upstream.answer = hold(threading.Event())
    settings = Settings(api_key="k", base_url=provider_url, keep_alive=0.05, timeout=0.3)

    with serving(settings) as client:
        events = read(client.post("/v1/responses", json=REQUEST).content)

    assert outline(events)[:3] == ["created", "in_progress", "in_progress"]
    assert final(events)["error"] == {
        "code": "server_error",
        "message": "The provider fell silent.",
    }
    assert len(upstream.seen) == 1


def test_a_keep_alive_at_the_very_end_keeps_its_place(
    provider_url: str, upstream: Provider
) -> None:
    """Both are due in the same turn of the event loop."""
    upstream.answer = hold(threading.Event())
    settings = Settings(api_key="k", base_url=provider_url, keep_alive=0.1, timeout=0.1)

    with serving(settings) as client, ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(client.post, "/v1/responses", json=REQUEST) for _ in range(100)]
        outlines = [outline(read(each.result().content)) for each in answers]

    for steps in outlines:
        # The first belongs to every response; on a busy machine more than one comes after it.
        alive = ["in_progress"] * (len(steps) - 3)
        assert steps == ["created", "in_progress", *alive, "failed"]


# --- in its stream -------------------------------------------------------------------------------


def test_while_the_provider_pauses_the_response_is_kept_alive(
    impatient: httpx.Client, upstream: Provider
) -> None:
    seen = threading.Event()
    upstream.answer = stream_until(seen, says("Hel"), says("lo") + FINISH)

    events = ask(impatient, seen, after=b'"delta":"Hel"', alive=3)

    steps = outline(events)
    first = steps.index("output_text.delta 0 Hel")
    assert steps[first + 1 : first + 4] == ["in_progress"] * 3
    assert items(events)[0]["content"][0]["text"] == "Hello"


def test_comments_of_the_provider_do_not_keep_the_response_alive_but_the_proxy_does(
    impatient: httpx.Client, upstream: Provider
) -> None:
    seen = threading.Event()
    upstream.answer = stream_until(seen, b": waiting\n\n" * 3, says("Hello") + FINISH)

    events = ask(impatient, seen, after=b"event: response.created", alive=4)

    assert items(events)[0]["content"][0]["text"] == "Hello"


def test_a_provider_that_stalls_fails_the_response(provider_url: str, upstream: Provider) -> None:
    upstream.answer = hold(threading.Event(), says("Hel"))
    settings = Settings(api_key="k", base_url=provider_url, keep_alive=0.05, timeout=0.3)

    with serving(settings) as client:
        events = read(client.post("/v1/responses", json=REQUEST).content)

    steps = outline(events)
    assert steps[steps.index("output_text.delta 0 Hel") + 1] == "in_progress"
    assert final(events)["error"]["message"] == "The provider fell silent."
    assert items(events) == []
    assert len(upstream.seen) == 1


def test_a_client_that_reads_late_misses_nothing(provider_url: str, upstream: Provider) -> None:
    """What still waits for it keeps the response alive: there is nothing else until it fails."""
    upstream.answer = hold(threading.Event(), says("x" * 12_000_000))
    settings = Settings(api_key="k", base_url=provider_url, keep_alive=0.05, timeout=0.5)

    with (
        serving(settings) as client,
        client.stream("POST", "/v1/responses", json=REQUEST) as response,
    ):
        time.sleep(1)
        events = read(response.read())

    assert [event["type"] for event in events[-2:]] == [
        "response.output_text.delta",
        "response.failed",
    ]
    assert final(events)["error"]["message"] == "The provider fell silent."


# --- and not otherwise ---------------------------------------------------------------------------


def test_a_provider_that_is_quick_needs_no_keep_alive(
    client: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = stream(says("Hello"), FINISH)

    events = read(client.post("/v1/responses", json=REQUEST).content)

    assert outline(events).count("in_progress") == 1


def test_nothing_is_kept_alive_once_the_response_has_ended(
    impatient: httpx.Client, upstream: Provider
) -> None:
    upstream.answer = hold(threading.Event(), says("Hello") + FINISH)

    events = read(impatient.post("/v1/responses", json=REQUEST).content)

    assert final(events)["status"] == "completed"


def test_a_client_that_does_not_stream_gets_nothing_before_the_end(
    provider_url: str, upstream: Provider
) -> None:
    upstream.answer = hold(threading.Event())
    settings = Settings(api_key="k", base_url=provider_url, keep_alive=0.05, timeout=0.3)

    with serving(settings) as client:
        response = client.post("/v1/responses", json={**REQUEST, "stream": False})

    assert response.status_code == 504
