"""A replay as text: the same for every run, different where something is different."""

from __future__ import annotations

from typing import Any

from harness.chat_stream import Said
from harness.client import Answer, read_events
from harness.replay import Replay
from harness.rules import Exchange
from harness.snapshot import render
from tests.unit.harness.handmade import Json, sse


def replayed(*events: Json, requests: list[Any] | None = None, status: int = 200) -> Replay:
    answer = Answer(status, "text/event-stream", read_events(sse(*events)))
    return Replay("a/b", [Exchange(answer, Said())], requests or [])


def lines(*events: Json) -> list[str]:
    """Return the lines of these events."""
    return render(replayed(*events)).splitlines()[2:-1]


def test_a_turn_is_the_request_upstream_and_the_events() -> None:
    request = {
        "model": "m",
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "é"}],
        "stream": True,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }
    event = {"type": "response.output_text.delta", "delta": "Hi\n"}

    assert render(replayed(event, requests=[request])) == (
        "=== turn 1: upstream\n"
        'system {"content": "S"}\n'
        'user {"content": "é"}\n'
        'tools ["f"]\n'
        'parameters {"model": "m", "stream": true}\n'
        "=== turn 1: events (HTTP 200)\n"
        'response.output_text.delta {"delta": "Hi\\n"}\n'
        "\n"
    )


def test_turns_follow_each_other() -> None:
    request = {"messages": [{"role": "user", "content": "x"}]}
    played = replayed(requests=[request, request])
    played.exchanges *= 2

    heads = [line for line in render(played).splitlines() if line.startswith("===")]

    assert heads == [
        "=== turn 1: upstream",
        "=== turn 1: events (HTTP 200)",
        "=== turn 2: upstream",
        "=== turn 2: events (HTTP 200)",
    ]


def test_a_request_that_never_came_is_left_out() -> None:
    assert render(replayed(status=400)) == (
        "=== turn 1: upstream\n=== turn 1: events (HTTP 400)\n\n"
    )


def test_ids_are_renamed_by_first_appearance() -> None:
    assert lines(
        {"type": "a", "item": {"id": "msg_zzz"}},
        {"type": "b", "item": {"id": "msg_aaa-1"}},
        {"type": "c", "item": {"id": "fc_0_b"}},
        {"type": "d", "item": {"id": "rs_1"}},
    ) == [
        'a {"item": {"id": "msg_1"}}',
        'b {"item": {"id": "msg_2"}}',
        'c {"item": {"id": "fc_1"}}',
        'd {"item": {"id": "rs_1"}}',
    ]


def test_what_refers_to_what_stays_visible() -> None:
    assert lines(
        {"type": "a", "item": {"id": "msg_x"}},
        {"type": "b", "item_id": "msg_y"},
        {"type": "c", "item_id": "msg_x"},
    ) == ['a {"item": {"id": "msg_1"}}', 'b {"item_id": "msg_2"}', 'c {"item_id": "msg_1"}']


def test_ids_are_counted_across_turns() -> None:
    played = replayed({"type": "a", "id": "resp_x"})
    played.exchanges += replayed({"type": "a", "id": "resp_y"}).exchanges

    text = render(played)

    assert 'a {"id": "resp_1"}' in text
    assert 'a {"id": "resp_2"}' in text


def test_two_runs_with_other_ids_and_times_are_the_same_text() -> None:
    def run(id: str, time: int) -> str:
        response = {"id": f"resp_{id}", "created_at": time, "completed_at": time + 1}
        created = {"type": "response.created", "response": response}
        return render(replayed(created, {"type": "x", "item_id": f"msg_{id}"}))

    assert run("3f2a", 1_700_000_000) == run("9c1d", 1_800_000_000)


def test_ids_of_calls_are_the_providers_and_stay() -> None:
    assert lines({"type": "a", "call_id": "75a06f4da"}) == ['a {"call_id": "75a06f4da"}']


def test_times_and_tools_of_a_response_are_left_out() -> None:
    response = {"created_at": 1, "completed_at": 2, "status": "completed", "tools": [{}, {}]}

    (line,) = lines({"type": "response.completed", "response": response})

    assert line == (
        'response.completed {"response": {"created_at": "...", "completed_at": "...", '
        '"status": "completed", "tools": "... 2 tools"}}'
    )


def test_a_time_that_is_null_is_not_taken_for_one() -> None:
    response = {"created_at": 1, "completed_at": None}

    (line,) = lines({"type": "response.created", "response": response})

    assert '"created_at": "...", "completed_at": null' in line


def test_the_numbers_of_events_are_left_out() -> None:
    assert lines({"type": "a", "sequence_number": 5, "delta": "x"}) == ['a {"delta": "x"}']


def test_an_event_that_is_missing_changes_one_line() -> None:
    events = [{"type": kind, "sequence_number": n} for n, kind in enumerate("abcd")]

    assert lines(*events) == ["a {}", "b {}", "c {}", "d {}"]
    assert lines(*events[:1], *events[2:]) == ["a {}", "c {}", "d {}"]


def test_a_replay_is_not_changed_by_its_text() -> None:
    response = {"id": "resp_x", "created_at": 1, "tools": [{}]}
    played = replayed({"type": "response.created", "response": response})

    assert render(played) == render(played)
    assert played.exchanges[0].events[0]["response"] == response
