"""The stream where not all goes well: cut by a limit, broken by an error, or nonsense."""

from __future__ import annotations

import pytest

from proxy.failures import Failure
from tests.unit.proxy.streams import (
    DONE,
    Json,
    answer,
    calls,
    chunk,
    data,
    final,
    finishes,
    fragment,
    items,
    new_stream,
    outline,
    read,
    says,
    thinks,
    tokens,
)

CALL = calls(fragment(0, id="a", name="shell", arguments="{}"))


def failure(*pieces: bytes) -> Json:
    """Return the error of the response, which must have failed."""
    response = final(answer(*pieces))
    assert response["status"] == "failed"
    error: Json = response["error"]
    return error


# --- when ----------------------------------------------------------------------------------------


def test_a_response_tells_when_it_was_completed() -> None:
    assert final(answer(says("Hi"), finishes()))["completed_at"] == 2


def test_a_response_that_was_cut_or_failed_was_not_completed() -> None:
    assert final(answer(says("Hi"), finishes("length")))["completed_at"] is None
    assert final(answer(says("Hi")))["completed_at"] is None


# --- cut by the provider -------------------------------------------------------------------------


def test_a_limit_of_tokens_leaves_the_response_incomplete() -> None:
    response = final(answer(says("Once up"), finishes("length", tokens(9, 2))))

    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["error"] is None
    assert response["usage"]["output_tokens"] == 2


def test_a_filter_leaves_the_response_incomplete() -> None:
    response = final(answer(says("Once"), finishes("content_filter")))

    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "content_filter"}


def test_a_message_that_was_cut_is_done_and_says_so() -> None:
    (message,) = items(answer(says("Once up"), finishes("length")))

    assert message["status"] == "incomplete"
    assert message["content"][0]["text"] == "Once up"


def test_reasoning_that_was_cut_is_done() -> None:
    (reasoning,) = items(answer(thinks("We need"), finishes("length")))

    assert reasoning["summary"] == [{"type": "summary_text", "text": "We need"}]


def test_a_message_before_the_one_that_was_cut_stays_completed() -> None:
    first, _, last = items(answer(says("One."), thinks("Hm"), says("Tw"), finishes("length")))

    assert (first["status"], last["status"]) == ("completed", "incomplete")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_was_cut_is_never_done(reason: str) -> None:
    events = answer(says("I look."), CALL, finishes(reason))

    assert [item["type"] for item in items(events)] == ["message"]
    assert [item["type"] for item in final(events)["output"]] == ["message"]


# --- cut by the transport ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b""],
        [b"data: {"],
        [chunk({"role": "assistant"})],
        [says("Hi")],
        [says("Hi"), DONE],
        [thinks("Hm"), CALL],
    ],
    ids=["nothing", "empty", "half", "role", "text", "done", "call"],
)
def test_a_stream_that_ends_without_a_finish_reason_fails(pieces: list[bytes]) -> None:
    assert failure(*pieces) == {
        "code": "server_error",
        "message": "The provider ended its stream before it had finished.",
    }


@pytest.mark.parametrize(
    "open_item", [says("Hi"), thinks("Hm"), CALL], ids=["text", "think", "call"]
)
def test_an_item_that_is_open_when_the_response_fails_is_never_done(open_item: bytes) -> None:
    events = answer(open_item)

    assert items(events) == []
    assert final(events)["output"] == []


def test_an_item_that_was_done_before_the_response_failed_stays_done() -> None:
    events = answer(thinks("Hm"), says("Hi"))

    assert [item["type"] for item in items(events)] == ["reasoning"]
    assert final(events)["output"] == items(events)


def test_a_connection_that_fails_fails_the_response() -> None:
    stream = new_stream()
    sent = stream.start() + stream.receive_data(says("Hi"))

    events = read(sent + stream.fail(Failure("server_error", "The connection broke.", 502)))

    assert final(events)["error"] == {"code": "server_error", "message": "The connection broke."}
    assert stream.closed


def test_a_response_may_fail_before_the_provider_said_anything() -> None:
    stream = new_stream()

    events = read(stream.start() + stream.fail(Failure("rate_limit_exceeded", "Later.", 429)))

    assert outline(events) == ["created", "in_progress", "failed"]
    assert final(events)["error"] == {"code": "rate_limit_exceeded", "message": "Later."}


def test_a_response_fails_once() -> None:
    stream = new_stream()
    stream.start()
    stream.fail(Failure("server_error", "The connection broke.", 502))

    assert stream.fail(Failure("server_error", "Again.", 502)) == b""
    assert stream.receive_data(None) == b""


# --- errors in the stream ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "code", "message"),
    [
        (
            data({"error": {"message": "Encountered a fault.", "code": ""}, "status_code": 500}),
            "server_error",
            "The provider answered: Encountered a fault.",
        ),
        (
            data({"error": {"message": "Slow down."}, "status_code": 429}),
            "rate_limit_exceeded",
            "The provider answered: Slow down. Please try again in 2s.",
        ),
        (
            data({"error": {"message": "Too busy.", "type": "too_many_requests_error"}}),
            "rate_limit_exceeded",
            "The provider answered: Too busy. Please try again in 2s.",
        ),
        (
            data({"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
            "context_length_exceeded",
            "The provider answered: Too long.",
        ),
        (
            data({"error": {"message": "No such tool."}, "status_code": 400}),
            "invalid_prompt",
            "The provider answered: No such tool.",
        ),
        (
            b"event: error\n" + data({"error": {"message": "A tool failed.", "status_code": 400}}),
            "invalid_prompt",
            "The provider answered: A tool failed.",
        ),
        (
            data({"message": "Encountered a fault.", "type": "server_error", "code": 500}),
            "server_error",
            "The provider answered: Encountered a fault.",
        ),
        (data({"error": "Oh no."}), "server_error", "The provider answered: Oh no."),
        (
            data({"error": {}, "status_code": 503}),
            "server_error",
            "The provider answered: HTTP 503",
        ),
        (
            data({"error": {"message": None}}),
            "server_error",
            "The provider answered: an error without a message",
        ),
        (
            data({"choices": [], "error": {"message": "Oh no."}}),
            "server_error",
            "The provider answered: Oh no.",
        ),
        (
            data({"choices": [{"delta": {"content": ""}}], "error": {"message": "Oh no."}}),
            "server_error",
            "The provider answered: Oh no.",
        ),
    ],
    ids=[
        "500",
        "429",
        "busy",
        "context",
        "400",
        "event: error",
        "flat",
        "string",
        "status only",
        "nothing",
        "no choices",
        "a choice",
    ],
)
def test_an_error_in_the_stream_fails_the_response(event: bytes, code: str, message: str) -> None:
    assert failure(says("Hi"), event) == {"code": code, "message": message}


def test_nothing_follows_an_error_in_the_stream() -> None:
    error = data({"error": {"message": "Oh no."}, "status_code": 500})

    assert answer(says("Hi"), error, says("more"), finishes(), DONE) == answer(says("Hi"), error)


def test_an_error_in_the_stream_keeps_the_usage_told_before() -> None:
    events = answer(
        chunk({"content": "Hi"}, usage=tokens(9, 1)), data({"error": {"message": "Oh no."}})
    )

    assert final(events)["usage"]["total_tokens"] == 10


@pytest.mark.parametrize(
    "late",
    [
        data({"error": {"message": "Oh no."}, "status_code": 500}),
        b"event: error\ndata: {}\n\n",
        b"data: nonsense\n\n",
        b"data: \xff\n\n",
    ],
    ids=["error", "event", "nonsense", "bytes"],
)
def test_an_error_after_the_finish_reason_does_not_undo_success(late: bytes) -> None:
    assert answer(says("Hi"), CALL, finishes("tool_calls"), late) == answer(
        says("Hi"), CALL, finishes("tool_calls")
    )


def test_an_error_that_comes_with_the_finish_reason_is_an_error() -> None:
    choice = {"delta": {"content": ""}, "finish_reason": "error", "index": 0}

    error = failure(says("Hi"), data({"choices": [choice], "error": {"message": "Gone."}}))

    assert error == {"code": "server_error", "message": "The provider answered: Gone."}


def test_a_connection_that_fails_after_the_finish_reason_does_not_undo_success() -> None:
    stream = new_stream()
    sent = stream.start() + stream.receive_data(says("Hi") + finishes())

    events = read(sent + stream.fail(Failure("server_error", "The connection broke.", 502)))

    assert events == answer(says("Hi"), finishes())


# --- nonsense ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "quoted"),
    [
        (b"<html>", "'<html>'"),
        (b'{"choices":', "'{\"choices\":'"),
        (b"[]", "'[]'"),
        (b"null", "'null'"),
        (b'{"choices":[5]}', "'{\"choices\":[5]}'"),
        (b'{"choices":[{"delta":{"content":5}}]}', '\'{"choices":[{"delta":{"content":5}}]}\''),
        (b"\xff\xfe", "'\ufffd\ufffd'"),
        (b'{"choices":[{"delta":{"content":"\xff"}}]}', None),
        (b'{"choices":[{"delta":{"content":"\\ud800"}}]}', None),
        (b"x" * 500, repr("x" * 120)),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
    ids=[
        "html",
        "half",
        "list",
        "null",
        "choice",
        "number",
        "bytes",
        "bytes in text",
        "surrogate",
        "long",
        "nested",
    ],
)
def test_what_is_no_chunk_fails_the_response_and_is_quoted(sent: bytes, quoted: str | None) -> None:
    error = failure(says("Hi"), b"data: " + sent + b"\n\n")

    assert error["code"] == "server_error"
    assert error["message"].startswith("The provider sent what is no chat completion chunk: ")
    if quoted is not None:
        assert error["message"].endswith(f": {quoted}.")


@pytest.mark.parametrize(
    "sent",
    [b"", b"{}", b'{"object":"ping"}', b'{"choices":[]}', b'{"choices":null}'],
    ids=["empty", "object", "ping", "no choices", "null"],
)
def test_an_event_that_says_nothing_is_nothing(sent: bytes) -> None:
    keep_alive = b"data: " + sent + b"\n\n"

    assert answer(says("Hi"), keep_alive, finishes()) == answer(says("Hi"), finishes())


def test_comments_of_the_provider_are_not_passed_on() -> None:
    assert answer(b": waiting\n\n", says("Hi"), finishes()) == answer(says("Hi"), finishes())
