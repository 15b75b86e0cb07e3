"""Rules on streams made by hand: what a broken stream may and must look like.

That each rule catches the proxy that breaks it is shown in `tests/conformance/test_mutants.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.chat_stream import Said, SaidCall
from harness.client import Answer
from harness.rules import RULES, Exchange, Fault, Rule, Violation, check, rule
from tests.unit.harness.handmade import Json, exchange

RESPONSE: Json = {"id": "resp_1", "output": []}
CREATED: Json = {"type": "response.created", "sequence_number": 0, "response": RESPONSE}
ITEM: Json = {"type": "message", "id": "msg_1", "content": []}
STOPPED = Said(finish_reason="stop")


def event(number: int, kind: str, **data: object) -> Json:
    return {"type": f"response.{kind}", "sequence_number": number, **data}


def ends(number: int, kind: str, *items: Json, **more: object) -> Json:
    error = {"code": "server_error", "message": "It broke."} if kind == "failed" else None
    response = {"id": "resp_1", "output": list(items), "error": error, **more}
    return event(number, kind, response=response)


def caught(found: Exchange) -> list[str]:
    return [fault.rule for fault in check(found)]


# --- how rules are told --------------------------------------------------------------------------


@pytest.mark.parametrize("known", RULES.values(), ids=lambda known: known.id)
def test_a_rule_says_what_it_demands_and_who_suffers(known: Rule) -> None:
    section, _, number = known.id.partition("/")

    assert section.isalpha()
    assert int(number) > 0
    assert known.requirement
    assert known.breaks
    assert not known.requirement.endswith(".")


def test_an_id_is_used_once() -> None:
    def nothing(exchange: Exchange) -> Iterator[Violation]:
        yield from ()

    with pytest.raises(AssertionError, match="two rules are called items/1"):
        rule("items/1", "something else", breaks="nobody")(nothing)


def test_a_fault_names_rule_requirement_and_place() -> None:
    (fault,) = check(exchange(CREATED, ends(7, "completed"), said=STOPPED))

    assert str(fault) == (
        "sequence/1  MUST: every event has a `sequence_number`, counting up by one from 0 "
        "(breaks: clients that resume a stream)\n"
        "    Expected: sequence_number 1\n"
        "    Actual:   sequence_number 7\n"
        "    Where:    cassettes/a/b.yaml, turn 1, event 1 (response.completed)"
    )
    assert (fault.level, fault.turn, fault.event, fault.chunk) == ("MUST", None, 1, None)


def test_a_fault_names_the_chunk_where_it_shows() -> None:
    def anything(exchange: Exchange) -> Iterator[Violation]:
        yield Violation("one", "another", exchange.events[0], chunk=4)

    known = Rule("a/1", "SHOULD", "nothing", "nobody", anything)
    found = exchange(CREATED)
    found.turn = 3

    (fault,) = known.faults(found)

    assert fault.where.endswith("event 0 (response.created), chunk 4 of the provider")
    assert (fault.level, fault.turn, fault.event, fault.chunk) == ("SHOULD", 3, 0, 4)


def test_a_fault_of_several_lines_stays_below_its_name() -> None:
    fault = Fault("edge/2", "the request is the recorded one", "one", "body:\n-a\n+b", "there")

    assert str(fault).splitlines()[2:5] == [
        "    Actual:   body:",
        "              -a",
        "              +b",
    ]


def test_a_fault_of_no_event_is_told_of_the_turn() -> None:
    said = Said(text="Hi", finish_reason="stop")

    assert check(exchange(CREATED, ends(1, "completed"), said=said)) == [
        Fault(
            "text/1",
            "MUST: the text of the messages that are done is the provider's, to the byte "
            "(breaks: Codex, all versions)",
            "'Hi' from character 0",
            "'' from character 0",
            "cassettes/a/b.yaml, turn 1",
        )
    ]


# --- endings -------------------------------------------------------------------------------------


def test_a_stream_that_says_what_the_provider_said_has_no_faults() -> None:
    item = {**ITEM, "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "id": "fc", "call_id": "a1", "name": "f", "arguments": "{}"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    said = Said(
        text="Hi", calls=[SaidCall("a1", "f", "{}")], finish_reason="tool_calls", usage=usage
    )
    told = {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }

    whole = exchange(
        CREATED,
        event(1, "output_item.added", output_index=0, item={**ITEM, "content": []}),
        event(2, "content_part.added", output_index=0, item_id="msg_1"),
        event(3, "output_text.delta", output_index=0, item_id="msg_1", delta="H"),
        event(4, "output_text.delta", output_index=0, item_id="msg_1", delta="i"),
        event(5, "output_text.done", output_index=0, item_id="msg_1", text="Hi"),
        event(6, "content_part.done", output_index=0, item_id="msg_1"),
        event(7, "output_item.done", output_index=0, item=item),
        event(8, "output_item.added", output_index=1, item={**call, "arguments": ""}),
        event(9, "function_call_arguments.done", output_index=1, item_id="fc", arguments=""),
        event(10, "output_item.done", output_index=1, item=call),
        ends(11, "completed", item, call, usage=told),
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
    said = Said(finish_reason=finish_reason)

    for kind in ("completed", "incomplete", "failed"):
        found = caught(exchange(CREATED, ends(1, kind), said=said))
        assert found == ([] if kind == ending else ["lifecycle/4"])


def test_an_error_in_the_stream_is_a_failure_whatever_came_before() -> None:
    said = Said(finish_reason="stop", broken=True)

    assert caught(exchange(CREATED, ends(1, "failed"), said=said)) == []
    assert caught(exchange(CREATED, ends(1, "completed"), said=said)) == ["lifecycle/4"]


def test_a_response_that_does_not_end_is_a_fault() -> None:
    assert caught(exchange(CREATED, said=STOPPED)) == ["lifecycle/2"]


def test_an_empty_answer_is_a_fault() -> None:
    assert caught(exchange(said=STOPPED)) == ["lifecycle/2"]


def test_a_response_may_not_end_twice() -> None:
    assert caught(exchange(CREATED, ends(1, "completed"), ends(2, "failed"), said=STOPPED)) == [
        "lifecycle/2",
        "lifecycle/4",
    ]


def test_an_answer_without_events_says_what_it_was() -> None:
    answer = Answer(502, "text/plain", rest=b"Bad Gateway")

    first = check(Exchange(answer, STOPPED))[0]

    assert (first.rule, first.actual) == ("framing/1", "HTTP 502 text/plain: Bad Gateway")


def test_a_connection_that_broke_is_a_fault() -> None:
    found = exchange(CREATED, ends(1, "completed"), said=STOPPED)
    found.answer.broken = "RemoteProtocolError: peer closed connection"

    assert caught(found) == ["framing/3"]


# --- items of a response that failed -------------------------------------------------------------


def test_an_item_may_stay_open_when_the_response_fails() -> None:
    added = event(1, "output_item.added", output_index=0, item=ITEM)

    assert caught(exchange(CREATED, added, ends(2, "failed"), said=Said())) == []
    assert caught(exchange(CREATED, added, ends(2, "completed"), said=STOPPED)) == ["items/2"]


def test_a_call_that_the_provider_did_not_finish_need_not_be_done() -> None:
    said = Said(calls=[SaidCall("a1", "f", '{"x')])

    assert caught(exchange(CREATED, ends(1, "failed"), said=said)) == []


def test_a_call_with_other_arguments_is_a_fault() -> None:
    said = Said(calls=[SaidCall("a1", "f", '{"x":1}')], finish_reason="tool_calls")
    call = {"type": "function_call", "id": "fc", "call_id": "a1", "name": "f"}
    item = {**call, "arguments": '{"x": 1}'}

    found = exchange(
        CREATED,
        event(1, "output_item.added", output_index=0, item={**call, "arguments": ""}),
        event(2, "function_call_arguments.done", item_id="fc", output_index=0, arguments=""),
        event(3, "output_item.done", output_index=0, item=item),
        ends(4, "completed", item),
        said=said,
    )

    assert caught(found) == ["calls/1"]


def test_an_item_that_is_done_twice_is_a_fault() -> None:
    found = exchange(
        CREATED,
        event(1, "output_item.added", output_index=0, item=ITEM),
        event(2, "output_item.done", output_index=0, item=ITEM),
        event(3, "output_item.done", output_index=0, item=ITEM),
        ends(4, "completed", ITEM),
        said=STOPPED,
    )

    chain, fault = check(found)
    assert chain.rule == "chains/1"
    assert (fault.rule, fault.actual) == ("items/2", "2 of them")


def test_deltas_that_do_not_add_up_are_a_fault() -> None:
    item = {**ITEM, "content": [{"type": "output_text", "text": "Hi"}]}
    found = exchange(
        CREATED,
        event(1, "output_item.added", output_index=0, item=ITEM),
        event(2, "content_part.added", output_index=0, item_id="msg_1"),
        event(3, "output_text.delta", output_index=0, item_id="msg_1", delta="H"),
        event(4, "output_text.done", output_index=0, item_id="msg_1", text="Hi"),
        event(5, "content_part.done", output_index=0, item_id="msg_1"),
        event(6, "output_item.done", output_index=0, item=item),
        ends(7, "completed", item),
        said=Said(text="Hi", finish_reason="stop"),
    )

    (fault,) = check(found)
    assert fault.rule == "deltas/1"
    assert (fault.expected[:3], fault.actual[:4]) == ("'H'", "'Hi'")


def test_usage_that_the_provider_did_not_give_is_not_looked_at() -> None:
    told = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

    assert caught(exchange(CREATED, ends(1, "completed", usage=told), said=STOPPED)) == []
