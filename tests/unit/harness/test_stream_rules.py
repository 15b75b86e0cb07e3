"""Rules on streams made by hand: what a broken stream may and must look like.

That each rule catches the proxy that breaks it is shown in `tests/conformance/test_mutants.py`.
"""

from __future__ import annotations

import json

import pytest

from harness.chat_stream import Said, SaidCall
from harness.client import Answer, read_events
from harness.rules import Exchange, check
from tests.unit.harness.handmade import STOPPED, Json, ends, event, exchange, told

ITEM: Json = {"type": "message", "id": "msg_1", "content": []}


def caught(found: Exchange) -> list[str]:
    return [fault.rule for fault in check(found)]


# --- endings -------------------------------------------------------------------------------------


def test_a_stream_that_says_what_the_provider_said_has_no_faults() -> None:
    item = {**ITEM, "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "id": "fc", "call_id": "a1", "name": "f", "arguments": "{}"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    said = Said(
        text="Hi", calls=[SaidCall("a1", "f", "{}")], finish_reason="tool_calls", usage=usage
    )
    counted = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    part = {"output_index": 0, "item_id": "msg_1", "content_index": 0}

    whole = told(
        event("output_item.added", output_index=0, item={**ITEM, "content": []}),
        event("content_part.added", **part),
        event("output_text.delta", **part, delta="H"),
        event("output_text.delta", **part, delta="i"),
        event("output_text.done", **part, text="Hi"),
        event("content_part.done", **part, part={"text": "Hi"}),
        event("output_item.done", output_index=0, item=item),
        event("output_item.added", output_index=1, item={**call, "arguments": ""}),
        event("function_call_arguments.delta", output_index=1, item_id="fc", delta="{}"),
        event("function_call_arguments.done", output_index=1, item_id="fc", arguments="{}"),
        event("output_item.done", output_index=1, item=call),
        ends("completed", item, call, usage=counted),
        said=said,
    )

    assert check(whole) == []


@pytest.mark.parametrize(
    ("finish_reason", "ending"),
    [
        ("stop", "completed"),
        ("tool_calls", "completed"),
        ("length", "incomplete"),
        ("content_filter", "incomplete"),
        (None, "failed"),
    ],
)
def test_a_response_ends_as_the_provider_did(finish_reason: str | None, ending: str) -> None:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    details = {"reason": reasons.get(finish_reason or "")}

    for kind in ("completed", "incomplete", "failed"):
        end = ends(kind, incomplete_details=details)
        found = caught(told(end, said=Said(finish_reason=finish_reason)))
        assert found == ([] if kind == ending else ["lifecycle/4"])


def test_an_error_in_the_stream_is_a_failure_whatever_came_before() -> None:
    said = Said(finish_reason="stop", broken=True)

    assert caught(told(ends("failed"), said=said)) == []
    assert caught(told(ends("completed"), said=said)) == ["lifecycle/4"]


def test_a_response_that_does_not_end_is_a_fault() -> None:
    assert caught(told()) == ["lifecycle/2"]


def test_an_empty_answer_is_a_fault() -> None:
    assert caught(exchange(said=STOPPED)) == ["lifecycle/2"]


def test_a_response_may_not_end_twice() -> None:
    assert caught(told(ends("completed"), ends("failed"))) == ["lifecycle/2", "lifecycle/4"]


def test_an_answer_without_events_says_what_it_was() -> None:
    answer = Answer(502, "text/plain", rest=b"Bad Gateway")

    first = check(Exchange(answer, STOPPED))[0]

    assert (first.rule, first.actual) == ("framing/1", "HTTP 502 text/plain: Bad Gateway")


def test_a_connection_that_broke_is_a_fault() -> None:
    found = told(ends("completed"))
    found.answer.broken = "RemoteProtocolError: peer closed connection"

    assert caught(found) == ["framing/3"]


# --- items of a response that failed -------------------------------------------------------------


def test_an_item_may_stay_open_when_the_response_fails() -> None:
    added = event("output_item.added", output_index=0, item=ITEM)

    assert caught(told(added, ends("failed"), said=Said())) == []
    assert caught(told(added, ends("completed"))) == ["items/2"]


def test_a_call_that_the_provider_did_not_finish_need_not_be_done() -> None:
    said = Said(calls=[SaidCall("a1", "f", '{"x')])

    assert caught(told(ends("failed"), said=said)) == []


# --- items ---------------------------------------------------------------------------------------


def a_call(id: str, index: int, arguments: str, *, call_id: str = "a1") -> tuple[list[Json], Json]:
    """Return the events of a call, and the item as it is done."""
    call = {"type": "function_call", "id": id, "call_id": call_id, "name": "f"}
    item = {**call, "arguments": arguments}
    about = {"item_id": id, "output_index": index}
    events = [
        event("output_item.added", output_index=index, item={**call, "arguments": ""}),
        event("function_call_arguments.delta", **about, delta=arguments),
        event("function_call_arguments.done", **about, arguments=arguments),
        event("output_item.done", output_index=index, item=item),
    ]
    return events, item


def test_a_call_with_other_arguments_is_a_fault() -> None:
    said = Said(calls=[SaidCall("a1", "f", '{"x":1}')], finish_reason="tool_calls")
    events, item = a_call("fc", 0, '{"x": 1}')

    assert caught(told(*events, ends("completed", item), said=said)) == ["calls/3"]


def test_an_id_that_the_provider_uses_twice_may_become_another() -> None:
    said = Said(
        calls=[SaidCall("a1", "f", "{}"), SaidCall("a1", "f", "{}")], finish_reason="tool_calls"
    )
    (one, first), (other, second) = a_call("fc", 0, "{}"), a_call("fd", 1, "{}", call_id="a1_2")

    assert caught(told(*one, *other, ends("completed", first, second), said=said)) == []


def test_a_call_id_of_an_earlier_turn_is_a_fault() -> None:
    said = Said(calls=[SaidCall("a1", "f", "{}")], finish_reason="tool_calls")
    events, item = a_call("fc", 0, "{}")
    found = told(*events, ends("completed", item), said=said)
    past = {"type": "function_call", "call_id": "a1", "name": "f", "arguments": "{}"}
    found.request = {"body": {"input": [past]}}

    assert caught(found) == ["calls/5"]


def test_two_items_of_one_id_are_told_apart_by_their_place() -> None:
    said = Said(
        calls=[SaidCall("a1", "f", "{}"), SaidCall("b2", "f", "[]")], finish_reason="tool_calls"
    )
    (one, first), (other, second) = a_call("fc", 0, "{}"), a_call("fc", 1, "[]", call_id="b2")

    assert caught(told(*one, *other, ends("completed", first, second), said=said)) == ["items/6"]


def test_a_delta_with_the_id_of_no_item_belongs_to_its_place() -> None:
    said = Said(calls=[SaidCall("a1", "f", "{}")], finish_reason="tool_calls")
    events, item = a_call("fc", 0, "{}")
    events[1]["item_id"] = "unheard_of"

    assert caught(told(*events, ends("completed", item), said=said)) == ["items/3"]


def test_an_item_that_is_done_twice_is_a_fault() -> None:
    done = event("output_item.done", output_index=0, item=ITEM)
    added = event("output_item.added", output_index=0, item=ITEM)
    said = Said(text="", finish_reason="stop")

    faults = check(told(added, done, done, ends("completed", ITEM), said=said))

    assert [fault.rule for fault in faults] == ["chains/1", "items/2", "items/8"]
    assert faults[1].actual == "2 of them"


def test_deltas_that_do_not_add_up_are_a_fault() -> None:
    item = {**ITEM, "content": [{"type": "output_text", "text": "Hi"}]}
    part = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    found = told(
        event("output_item.added", output_index=0, item=ITEM),
        event("content_part.added", **part),
        event("output_text.delta", **part, delta="H"),
        event("output_text.done", **part, text="Hi"),
        event("content_part.done", **part, part={"text": "Hi"}),
        event("output_item.done", output_index=0, item=item),
        ends("completed", item),
        said=Said(text="Hi", finish_reason="stop"),
    )

    (fault,) = check(found)
    assert fault.rule == "deltas/1"
    assert (fault.expected[:3], fault.actual[:4]) == ("'H'", "'Hi'")


@pytest.mark.parametrize(
    ("kinds", "follows"),
    [
        ("part.added text.delta text.done part.done", []),
        # Two parts, one after the other; the second without a delta.
        ("part.added text.done part.done part.added text.done part.done", ["chains/2"]),
        ("part.added text.done text.done part.done", ["chains/1"]),
        ("text.delta part.added text.done part.done", ["chains/1"]),
        ("part.added text.done", ["chains/1"]),
        # Raw reasoning has no events of its parts, or some.
        ("raw.delta raw.done", []),
        ("raw.delta", ["chains/1"]),
    ],
)
def test_a_chain_is_whole_or_a_fault(kinds: str, follows: list[str]) -> None:
    about: Json = {"output_index": 0, "item_id": "rs_1"}
    summary = {**about, "summary_index": 0, "delta": "Hm", "text": "Hm", "part": {"text": ""}}
    raw = {**about, "content_index": 0, "delta": "Hm", "text": "Hm"}
    events = [
        event(kind.replace("raw", "reasoning_text"), **raw)
        if kind.startswith("raw")
        else event(f"reasoning_summary_{kind}", **summary)
        for kind in kinds.split()
    ]
    added = event(
        "output_item.added", output_index=0, item={"type": "reasoning", "id": "rs_1", "summary": []}
    )
    done = {**added, "type": "response.output_item.done"}
    found = told(added, *events, done, ends("completed"))

    assert [id for id in caught(found) if id in ("chains/1", "chains/2")] == follows


def test_what_openai_encrypts_anew_each_time_is_the_same() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"text": "Hm"}]}
    found = told(
        event("output_item.done", output_index=0, item={**item, "encrypted_content": "one"}),
        ends("completed", {**item, "encrypted_content": "other"}),
        said=Said(reasoning="Hm", finish_reason="stop"),
    )

    assert "items/5" not in caught(found)


# --- usage ---------------------------------------------------------------------------------------


def test_usage_that_the_provider_did_not_give_is_not_looked_at() -> None:
    counted = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

    assert caught(told(ends("completed", usage=counted))) == []


@pytest.mark.parametrize(
    ("cached", "thought", "follows"), [(1, 2, []), (2, 0, ["usage/4"]), (0, 3, ["usage/4"])]
)
def test_a_detail_of_usage_is_no_more_than_the_whole(
    cached: int, thought: int, follows: list[str]
) -> None:
    counted = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": 3,
    }

    assert caught(told(ends("completed", usage=counted))) == follows


# --- between the events --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "follows"),
    [
        (b": ping", ["framing/4"]),
        (b"data: [DONE]", ["framing/4"]),
        (b"data:[DONE]\r", ["framing/4"]),
        (b"event: ping\ndata: ping", ["framing/3"]),
        (b"data: [1, 2]", ["framing/3"]),
    ],
)
def test_what_is_no_event_is_a_fault_and_has_no_number(block: bytes, follows: list[str]) -> None:
    found = told(ends("completed"))
    first, *rest = [one.raw for one in found.answer.events]
    found.answer.events = read_events(b"\n\n".join([first, block, *rest]) + b"\n\n")

    assert caught(Exchange(found.answer, STOPPED)) == follows


# --- rate limits by HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "is_told"),
    [
        ("2", True),
        ("300", True),
        ("1", False),  # before the provider's own time
        ("2.5", False),  # fatal to Codex 0.169
        ("86400", False),  # Codex would wait for a day
        ("²", False),
        (None, False),
    ],
)
def test_a_rate_limit_may_be_told_by_http_where_codex_waits(
    after: str | None, is_told: bool
) -> None:
    limit: Json = {
        "status": {"code": 429, "message": "Too Many Requests"},
        "headers": {"retry-after": ["1.5"]},
        "body": {"string": b'{"message":"Tokens per minute limit exceeded"}'},
        "stream": {"chunks": [], "end": "complete"},
    }
    error = {"message": "Tokens per minute limit exceeded", "code": "token_quota_exceeded"}
    answer = Answer(
        429,
        "application/json",
        rest=json.dumps({"error": error}).encode(),
        headers={} if after is None else {"retry-after": after},
    )

    found = check(Exchange(answer, Said(), responses=[limit]), "provider")

    rules = {fault.rule for fault in found}
    assert rules == (set() if is_told else {"failures/1", "failures/5", "failures/7"})
