"""The table of failures: what the provider did, and what Codex is told."""

from __future__ import annotations

import json

import httpx
import pytest

from proxy.failures import Failure, http_error

FLAT = b'{"message":"Boom.","type":"some_error","param":"quota","code":"some_code"}'


def of_answer(status: int, body: bytes = FLAT, **headers: str) -> Failure:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Failure.of_answer(status, httpx.Headers(names), body)


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (FLAT, "Boom."),
        (b'{"error":{"message":"Boom.","type":"server_error","code":null}}', "Boom."),
        (b'{"status_code":500,"error":{"message":"Boom.","code":"","id":""}}', "Boom."),
        (b'{"error":"Boom."}', "Boom."),
        (b'{"detail":"Boom."}', "Boom."),
        (b'{"detail":[{"loc":["body"],"msg":"Boom."}]}', "[{'loc': ['body'], 'msg': 'Boom.'}]"),
        ('{"message":"Größe"}'.encode(), "Größe"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "HTTP 500"),
        (b"Internal Server Error", "HTTP 500"),
        (b"", "HTTP 500"),
        (b"{}", "HTTP 500"),
        (b"[]", "HTTP 500"),
        (b'{"error":{}}', "HTTP 500"),
        (b'{"message":""}', "HTTP 500"),
        (b'{"message":5}', "HTTP 500"),
        (b'{"message":"\xff"}', "HTTP 500"),
        (b'{"message":"cut in the mid', "HTTP 500"),
    ],
    ids=[
        "flat",
        "nested",
        "nested with status",
        "string",
        "detail",
        "details",
        "script",
        "html",
        "text",
        "empty",
        "nothing",
        "list",
        "nested nothing",
        "no words",
        "number",
        "bytes",
        "cut",
    ],
)
def test_a_body_of_any_kind_becomes_a_message_for_a_person(body: bytes, said: str) -> None:
    assert of_answer(500, body) == Failure("server_error", f"The provider answered: {said}")


# --- statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_is_wrong_with_the_request_or_the_account_is_final(status: int) -> None:
    assert of_answer(status) == Failure(
        "invalid_prompt", "The provider answered: Boom.", final=True
    )


@pytest.mark.parametrize("status", [204, 302, 408, 409, 500, 502, 503, 504, 529])
def test_what_may_pass_is_a_server_error(status: int) -> None:
    assert of_answer(status) == Failure("server_error", "The provider answered: Boom.")


def test_too_many_requests_are_a_rate_limit() -> None:
    assert of_answer(429, retry_after="5") == Failure(
        "rate_limit_exceeded", "The provider answered: Boom. Please try again in 5s."
    )


@pytest.mark.parametrize("type", ["too_many_requests_error", "too_many_tokens_error"])
def test_a_rate_limit_may_be_told_by_type_alone(type: str) -> None:
    body = json.dumps({"message": "Busy.", "type": type}).encode()

    assert of_answer(503, body).code == "rate_limit_exceeded"


@pytest.mark.parametrize("status", [400, 413, 422, 429, 500])
@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"Too long.","code":"context_length_exceeded"}',
        b'{"error":{"message":"Too long.","code":"context_length_exceeded"}}',
        b'{"message":"Please reduce the length of the messages or completion."}',
    ],
    ids=["code", "nested", "words"],
)
def test_a_conversation_that_is_too_long_is_told_in_the_stream(status: int, body: bytes) -> None:
    failure = of_answer(status, body)

    assert failure.code == "context_length_exceeded"
    assert not failure.final


# --- how long to wait ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("2", 2),
        ("60", 60),
        ("1.2", 2),
        ("59.62136220932007", 60),
        ("0", 1),
        ("0.0004", 1),
        ("-3", 1),
        ("61", 60),
        ("86399", 60),
        ("1e300", 60),
        ("inf", 1),
        ("nan", 1),
        ("soon", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
        ("", 1),
    ],
)
def test_a_wait_is_told_in_whole_seconds_between_one_and_sixty(wait: str, seconds: int) -> None:
    message = of_answer(429, retry_after=wait).message

    assert message == f"The provider answered: Boom. Please try again in {seconds}s."


def test_a_wait_that_is_not_told_is_one_second() -> None:
    assert of_answer(429).message.endswith(" Please try again in 1s.")


def test_the_reset_of_the_tokens_a_minute_stands_in_for_retry_after() -> None:
    failure = of_answer(429, x_ratelimit_reset_tokens_minute="11.5")

    assert failure.message.endswith(" Please try again in 12s.")


def test_retry_after_counts_before_the_reset() -> None:
    failure = of_answer(429, retry_after="3", x_ratelimit_reset_tokens_minute="11.5")

    assert failure.message.endswith(" Please try again in 3s.")


def test_no_other_failure_is_given_a_wait() -> None:
    assert "try again" not in of_answer(503, retry_after="5").message


# --- events --------------------------------------------------------------------------------------


def test_an_error_in_an_event_is_judged_by_the_status_beside_it() -> None:
    event = b'{"error":{"message":"Boom."},"status_code":%d}'

    assert Failure.of_event(event % 429) == Failure(
        "rate_limit_exceeded", "The provider answered: Boom. Please try again in 1s."
    )
    assert Failure.of_event(event % 500) == Failure("server_error", "The provider answered: Boom.")


def test_an_error_that_is_nested_too_deep_is_an_error_without_a_message() -> None:
    body = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert Failure.of_answer(500, {}, body).message == "The provider answered: HTTP 500"


def test_an_event_without_a_status_is_a_server_error() -> None:
    assert Failure.of_event(FLAT) == Failure("server_error", "The provider answered: Boom.")


@pytest.mark.parametrize("event", [b"{}", b'{"choices":[]}', b'{"error":null}', b"nonsense"])
def test_an_event_without_an_error_is_no_failure(event: bytes) -> None:
    assert Failure.of_event(event) is None


# --- protocol and transport ----------------------------------------------------------------------


def test_a_provider_that_breaks_the_protocol_is_a_server_error() -> None:
    assert Failure.of_protocol("sent nonsense") == Failure(
        "server_error", "The provider sent nonsense."
    )


def test_a_connection_that_fails_is_a_server_error() -> None:
    assert Failure.of_transport(httpx.ReadError("reset by peer")) == Failure(
        "server_error", "The connection to the provider failed: reset by peer"
    )


def test_what_caused_a_connection_to_fail_says_more_than_its_name() -> None:
    error = httpx.ConnectTimeout("")
    error.__cause__ = OSError("connection refused")

    assert Failure.of_transport(error).message.endswith(" failed: connection refused")


@pytest.mark.parametrize("cause", [None, TimeoutError()])
def test_a_fault_without_words_is_told_by_its_name(cause: Exception | None) -> None:
    error = httpx.ReadTimeout("")
    error.__cause__ = cause

    name = "ReadTimeout" if cause is None else "TimeoutError"
    assert Failure.of_transport(error).message.endswith(f" failed: {name}")


# --- HTTP ----------------------------------------------------------------------------------------


def test_an_http_error_is_nested_as_openai_does() -> None:
    assert json.loads(http_error("Boom.", code="invalid_prompt", param="input[0]")) == {
        "error": {
            "message": "Boom.",
            "type": "invalid_request_error",
            "param": "input[0]",
            "code": "invalid_prompt",
        }
    }


def test_an_http_error_may_concern_no_parameter() -> None:
    assert json.loads(http_error("Boom.", code="invalid_request"))["error"]["param"] is None
