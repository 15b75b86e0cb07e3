"""The table of failures: what the provider did, and what Codex is told."""

from __future__ import annotations

import json

import httpx
import pytest

from proxy.failures import Failure, Fault, http_error

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
    assert of_answer(500, body).message == f"The provider answered: {said}"


# --- statuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_is_wrong_with_the_request_or_the_account_is_final(status: int) -> None:
    assert of_answer(status) == Failure(
        "invalid_prompt", "The provider answered: Boom.", 400, final=True
    )


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_what_may_pass_is_tried_again_and_then_a_server_error(status: int) -> None:
    assert of_answer(status) == Failure(
        "server_error", "The provider answered: Boom.", 502, retriable=True
    )


@pytest.mark.parametrize("status", [204, 302, 409, 451, 501])
def test_a_status_that_nobody_knows_is_a_server_error_and_not_tried_again(status: int) -> None:
    assert of_answer(status) == Failure("server_error", "The provider answered: Boom.", 502)


@pytest.mark.parametrize("status", [408, 504])
def test_a_request_that_took_too_long_may_have_been_worked_on_and_is_not_tried_again(
    status: int,
) -> None:
    assert of_answer(status) == Failure("server_error", "The provider answered: Boom.", 504)


def test_too_many_requests_are_a_rate_limit() -> None:
    assert of_answer(429, retry_after="5") == Failure(
        "rate_limit_exceeded",
        "The provider answered: Boom. Please try again in 5s.",
        429,
        retry_after=5,
    )


@pytest.mark.parametrize("code", ["queue_exceeded", "token_quota_exceeded", 429])
def test_a_rate_limit_in_mid_stream_may_be_told_by_code_alone(code: str | int) -> None:
    failure = Failure.of_event(json.dumps({"error": {"message": "Busy.", "code": code}}).encode())

    assert failure is not None
    assert failure.code == "rate_limit_exceeded"


@pytest.mark.parametrize("type", ["too_many_requests_error", "too_many_tokens_error"])
def test_a_rate_limit_may_be_told_by_type_alone(type: str) -> None:
    body = json.dumps({"message": "Busy.", "type": type}).encode()

    assert of_answer(503, body).code == "rate_limit_exceeded"
    assert not of_answer(503, body).retriable


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
    assert failure.status == 400
    assert not failure.final
    assert not failure.retriable


# --- how long to wait ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("2", 2),
        ("60", 60),
        ("1.2", 2),
        ("59.62136220932007", 60),
        ("61", 61),
        ("300", 300),
        ("0", 1),
        ("0.0004", 1),
        (" 7 ", 7),
    ],
)
def test_a_wait_is_told_in_whole_seconds(wait: str, seconds: int) -> None:
    failure = of_answer(429, retry_after=wait)

    assert failure.message == f"The provider answered: Boom. Please try again in {seconds}s."
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    "wait", ["", "-3", "soon", "inf", "-inf", "nan", "1e999", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_a_wait_that_is_none_is_two_seconds(wait: str) -> None:
    failure = of_answer(429, retry_after=wait)

    assert failure == of_answer(429)
    assert failure.message.endswith(" Please try again in 2s.")
    assert failure.retry_after == 2


@pytest.mark.parametrize(
    ("wait", "hours"), [("300.5", "0.1"), ("3600", "1.0"), ("86399", "24.0"), ("1e9", "277777.8")]
)
def test_a_quota_that_is_back_much_later_is_used_up(wait: str, hours: str) -> None:
    assert of_answer(429, retry_after=wait) == Failure(
        "insufficient_quota",
        f"The provider answered: Boom. It is back in {hours} hours.",
        429,
    )


def test_the_reset_of_what_is_used_up_stands_in_for_retry_after() -> None:
    failure = of_answer(
        429, x_ratelimit_remaining_tokens_minute="0", x_ratelimit_reset_tokens_minute="11.5"
    )

    assert failure.retry_after == 12


def test_the_reset_of_what_is_not_used_up_does_not_count() -> None:
    failure = of_answer(
        429,
        x_ratelimit_remaining_requests_day="14000",
        x_ratelimit_reset_requests_day="73492.1",
        x_ratelimit_remaining_tokens_minute="0",
        x_ratelimit_reset_tokens_minute="11.5",
    )

    assert failure.retry_after == 12


def test_of_several_resets_the_last_one_counts() -> None:
    failure = of_answer(
        429,
        x_ratelimit_remaining_requests_day="0",
        x_ratelimit_reset_requests_day="73492.1",
        x_ratelimit_remaining_tokens_minute="0",
        x_ratelimit_reset_tokens_minute="11.5",
    )

    assert failure.code == "insufficient_quota"


@pytest.mark.parametrize("reset", ["", "soon", "-1", "nan"])
def test_a_reset_that_is_none_is_two_seconds(reset: str) -> None:
    failure = of_answer(
        429, x_ratelimit_remaining_tokens_minute="0", x_ratelimit_reset_tokens_minute=reset
    )

    assert failure.retry_after == 2


def test_retry_after_counts_before_the_reset() -> None:
    failure = of_answer(
        429,
        retry_after="3",
        x_ratelimit_remaining_tokens_minute="0",
        x_ratelimit_reset_tokens_minute="11.5",
    )

    assert failure.retry_after == 3


@pytest.mark.parametrize("status", [400, 408, 500, 503])
def test_no_other_failure_is_given_a_wait(status: int) -> None:
    failure = of_answer(status, retry_after="5")

    assert "try again" not in failure.message
    assert failure.retry_after is None


# --- events --------------------------------------------------------------------------------------


def test_an_error_in_an_event_is_judged_by_the_status_beside_it() -> None:
    event = b'{"error":{"message":"Boom."},"status_code":%d}'

    assert Failure.of_event(event % 429) == Failure(
        "rate_limit_exceeded",
        "The provider answered: Boom. Please try again in 2s.",
        429,
        retry_after=2,
    )
    assert Failure.of_event(event % 500) == Failure(
        "server_error", "The provider answered: Boom.", 502, retriable=True
    )


def test_an_error_in_an_event_is_judged_by_the_status_in_it() -> None:
    event = b'{"error":{"message":"Boom.","status_code":422}}'

    assert Failure.of_event(event) == Failure(
        "invalid_prompt", "The provider answered: Boom.", 400, final=True
    )


def test_an_error_that_is_nested_too_deep_is_an_error_without_a_message() -> None:
    body = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert Failure.of_answer(500, {}, body).message == "The provider answered: HTTP 500"


def test_an_event_without_a_status_is_a_server_error() -> None:
    assert Failure.of_event(FLAT) == Failure("server_error", "The provider answered: Boom.", 502)


@pytest.mark.parametrize("event", [b"{}", b'{"choices":[]}', b'{"error":null}', b"nonsense"])
def test_an_event_without_an_error_is_no_failure(event: bytes) -> None:
    assert Failure.of_event(event) is None


# --- protocol and connection ---------------------------------------------------------------------


def test_a_provider_that_breaks_the_protocol_is_a_server_error() -> None:
    assert Failure.of_protocol("sent nonsense") == Failure(
        "server_error", "The provider sent nonsense.", 502
    )


@pytest.mark.parametrize("fault", Fault)
def test_a_connection_that_fails_is_a_server_error_that_a_stream_can_tell(fault: Fault) -> None:
    failure = Failure.of_fault(fault, "because")

    assert failure.code == "server_error"
    assert not failure.final


@pytest.mark.parametrize("fault", Fault)
def test_only_a_connection_that_was_never_made_is_tried_again(fault: Fault) -> None:
    never_made = {Fault.UNRESOLVED, Fault.REFUSED}

    assert Failure.of_fault(fault).retriable == (fault in never_made)


@pytest.mark.parametrize("fault", Fault)
def test_a_provider_that_takes_too_long_is_a_timeout_to_a_client_that_does_not_stream(
    fault: Fault,
) -> None:
    slow = {Fault.CONNECT_TIMEOUT, Fault.SILENT}

    assert Failure.of_fault(fault).status == (504 if fault in slow else 502)


def test_what_is_known_of_a_fault_is_told() -> None:
    assert Failure.of_fault(Fault.REFUSED, "port 1").message == (
        "The provider cannot be reached: port 1. Check CEREBRAS_BASE_URL, and the network."
    )


def test_a_fault_names_the_variable_that_mends_it() -> None:
    told = [Failure.of_fault(fault, variable="X_BASE_URL").message for fault in Fault]

    assert sum(" Check X_BASE_URL, and the network." in message for message in told) == 3
    assert not any("CEREBRAS" in message or "{" in message for message in told)


def test_a_fault_of_which_nothing_is_known_is_told_in_a_whole_sentence() -> None:
    assert Failure.of_fault(Fault.BROKEN).message == (
        "The provider's answer broke off: no reason was given."
    )


# --- HTTP ----------------------------------------------------------------------------------------


def test_an_http_error_is_nested_as_openai_does() -> None:
    body = http_error(
        "Boom.", code="invalid_prompt", type="invalid_request_error", param="input[0]"
    )

    assert json.loads(body) == {
        "error": {
            "message": "Boom.",
            "type": "invalid_request_error",
            "param": "input[0]",
            "code": "invalid_prompt",
        }
    }


def test_an_http_error_may_concern_no_parameter() -> None:
    body = http_error("Boom.", code="server_error", type="server_error")

    assert json.loads(body)["error"]["param"] is None
