"""The emulator goes wrong in every way that a scenario can say, over real HTTP."""

from __future__ import annotations

import time
from typing import Any, Final

import httpx
import pytest

from harness.scenarios import Refusal, Turn
from tests.unit.harness.backends import (
    ASKED,
    CEREBRAS,
    CHAT,
    CHATGPT,
    Backend,
    chunks_of,
    events_of,
    received,
)
from tests.unit.harness.handmade import Json, scenario


@pytest.fixture(params=[CEREBRAS, CHATGPT], ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    asked: Backend = request.param
    return asked


def going_wrong(**how: Any) -> Turn:
    """Return a turn of ten words with which something goes wrong."""
    return Turn(text=" ".join(["word"] * 10), **how)


def events_in(stream: bytes) -> list[bytes]:
    return [event for event in stream.split(b"\n\n") if event]


# --- refusals ------------------------------------------------------------------------------------

BUSY: Final[Json] = {"message": "We're busy, später", "code": "queue_exceeded"}


def test_a_refusal_comes_in_place_of_the_answer_every_time(backend: Backend) -> None:
    refused = going_wrong(refusal=Refusal(429, BUSY, headers={"retry-after": "2"}))

    with backend.emulator(scenario(refused)) as emulator:
        answers = [backend.ask(emulator) for _ in range(3)]

    for answer in answers:
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["retry-after"] == "2"
        assert answer.json() == BUSY


def test_a_refusal_comes_as_often_as_it_says(backend: Backend) -> None:
    refused = going_wrong(refusal=Refusal(503, times=2))

    with backend.emulator(scenario(refused)) as emulator:
        answers = [backend.ask(emulator) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [503, 503, 200, 200]
    assert answers[2].content


def test_each_turn_is_refused_for_itself() -> None:
    once = Refusal(500, times=1)
    turns = (going_wrong(refusal=once), going_wrong(refusal=once))
    said = {"role": "assistant", "content": turns[0].text}
    later = {**CHAT, "messages": [ASKED, said, ASKED]}

    with CEREBRAS.emulator(scenario(*turns)) as emulator:
        answers = [CEREBRAS.ask(emulator, request) for request in (CHAT, CHAT, later, later)]

    assert [answer.status_code for answer in answers] == [500, 200, 500, 200]


@pytest.mark.parametrize(
    ("body", "content_type"), [("<h1>502 Bad Gateway</h1>", "text/html"), ("", "text/plain")]
)
def test_a_refusal_may_be_text(backend: Backend, body: str, content_type: str) -> None:
    answer = backend.play(scenario(going_wrong(refusal=Refusal(502, body))))

    assert (answer.status_code, answer.text) == (502, body)
    assert answer.headers["content-type"] == content_type


def test_what_is_wrong_with_a_request_is_told_before_the_refusal(backend: Backend) -> None:
    with backend.emulator(scenario(going_wrong(refusal=Refusal(429, BUSY)))) as emulator:
        assert backend.ask(emulator, key="wrong").status_code == 401


# --- errors in mid-stream ------------------------------------------------------------------------

OVERLOADED: Final[Json] = {
    "type": "service_unavailable_error",
    "code": "server_is_overloaded",
    "message": "Our servers are currently overloaded. Please try again later.",
    "param": None,
}


def test_cerebras_says_an_error_in_a_chunk_and_nothing_after_it() -> None:
    error = {"status_code": 500, "error": {"message": "Encountered a server error"}}

    answer = CEREBRAS.play(scenario(going_wrong(error=error, after=3)))

    *chunks, last = chunks_of(answer)
    assert last == error
    assert [list(chunk["choices"][0]["delta"]) for chunk in chunks] == [
        *(["role"], ["content"], ["content"])
    ]
    assert b"[DONE]" not in answer.content


def test_chatgpt_says_an_error_and_that_the_response_failed() -> None:
    answer = CHATGPT.play(scenario(going_wrong(error=OVERLOADED, after=5)))

    *most, error, failed = events_of(answer)
    assert len(most) == 5
    assert (error.name, error.data) == (
        "error",
        {"type": "error", "error": OVERLOADED, "sequence_number": 5},
    )
    assert (failed.type, failed["sequence_number"]) == ("response.failed", 6)
    response = failed["response"]
    assert response["id"] == most[0]["response"]["id"]
    assert (response["status"], response["output"], response["usage"]) == ("failed", [], None)
    assert response["error"] == {
        "code": "server_is_overloaded",
        "message": "Our servers are currently overloaded. Please try again later.",
    }


def test_an_error_comes_by_default_where_the_end_would(backend: Backend) -> None:
    whole = events_in(backend.play(scenario(going_wrong())).content)

    failed = events_in(backend.play(scenario(going_wrong(error=OVERLOADED))).content)

    ends = {"cerebras": (2, 1), "chatgpt": (1, 2)}  # the last chunk and [DONE]; error and failed
    end, failure = ends[backend.name]
    assert len(failed) - failure == len(whole) - end


# --- streams that break --------------------------------------------------------------------------


def broken(backend: Backend, wrong: Turn) -> tuple[bytes, type[Exception] | None]:
    with backend.emulator(scenario(wrong)) as emulator, backend.connect(emulator) as connection:
        return received(connection)


#: What ends a chunked body.
LAST_CHUNK: Final = b"0\r\n\r\n"


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_stream_that_is_cut_ends_without_a_last_chunk(backend: Backend, after: int) -> None:
    body, error = broken(backend, going_wrong(end="cut", after=after))

    assert error is None
    assert body.count(b"data: ") == after
    assert not body.endswith(LAST_CHUNK)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_stream_that_is_reset_ends_with_an_error(backend: Backend, after: int) -> None:
    body, error = broken(backend, going_wrong(end="reset", after=after))

    assert error is ConnectionResetError
    assert body.count(b"data: ") == after
    assert not body.endswith(LAST_CHUNK)


def test_a_stream_may_break_when_all_is_said_but_the_end(backend: Backend) -> None:
    body, _ = broken(backend, going_wrong(end="cut"))

    assert body.count(b"data: ") > 10
    assert b"finish_reason" not in body
    assert b"response.completed" not in body


def test_a_stream_that_is_unfinished_ends_in_order_but_for_the_reason(backend: Backend) -> None:
    body, error = broken(backend, going_wrong(end="unfinished"))

    assert error is None
    assert body.endswith(LAST_CHUNK)
    assert body.count(b"data: ") > 10
    assert b"finish_reason" not in body
    assert b"response.completed" not in body


def test_a_request_that_is_unanswered_gets_not_a_byte(backend: Backend) -> None:
    with (
        backend.emulator(scenario(going_wrong(end="unanswered"))) as emulator,
        backend.connect(emulator) as connection,
    ):
        assert connection.recv(65536) == b""


def test_a_client_sees_each_break_as_what_it_is(backend: Backend) -> None:
    errors: dict[Any, type[Exception]] = {
        "cut": httpx.RemoteProtocolError,
        "reset": httpx.ReadError,
        "unanswered": httpx.RemoteProtocolError,
    }
    for end, error in errors.items():
        with pytest.raises(error):
            backend.play(scenario(going_wrong(end=end, after=2)))


def test_a_stream_that_stalls_is_silent_until_the_client_leaves(backend: Backend) -> None:
    with backend.emulator(scenario(going_wrong(end="stall", after=2))) as emulator:
        with backend.connect(emulator) as connection:
            connection.settimeout(0.3)
            body, error = received(connection)
        left = time.perf_counter()

    assert error is TimeoutError
    assert body.count(b"data: ") == 2
    # The server waits for nobody who has left: it would give one that is there a second.
    assert time.perf_counter() - left < 0.9


def test_a_break_is_no_end_of_the_emulator(backend: Backend) -> None:
    wrong = going_wrong(end="reset", after=1)
    with backend.emulator(scenario(wrong)) as emulator:
        for _ in range(3):
            with backend.connect(emulator) as connection:
                assert received(connection)[1] is ConnectionResetError
