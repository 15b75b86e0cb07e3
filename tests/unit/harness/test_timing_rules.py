"""When events come: the pace that waits for them, and the rules that look at what it found.

Times are given here; that they are those of the wire is shown in `tests/conformance`.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import uvloop

from harness.chat_stream import read_chat_stream
from harness.client import Answer, Event, read_events
from harness.rules import Exchange, check, timing
from harness.transport import Pace
from harness.watch import Watch
from tests.unit.harness.handmade import Json, response, sse

TEXT: Json = {"type": "response.output_text.delta", "item_id": "msg_1"}
CREATED: Json = {"type": "response.created"}


def chunk(**delta: object) -> bytes:
    return sse({"type": "", "choices": [{"delta": delta, "index": 0}]}).partition(b"\n")[2]


#: Two pieces of text, and a third.
CHUNKS = (chunk(content="H"), chunk(content="e"), chunk(content="y"))


def events(*given: tuple[float, Json]) -> list[Event]:
    """Return events that came after so many milliseconds."""
    read = read_events(sse(*(data for _, data in given)))
    return [
        Event(one.number, one.name, one.data, one.raw, at)
        for one, (at, _) in zip(read, given, strict=True)
    ]


def caught(come: list[Event], *times: float, body: Json | None = None) -> list[str]:
    """Return the rules of time that are broken where the chunks left at these times."""
    sizes = [len(b"".join(CHUNKS[:number])) for number in range(len(times))]
    exchange = Exchange(
        Answer(200, "text/event-stream", come),
        read_chat_stream(b"".join(CHUNKS)),
        request={"body": body or {}},
        sent=list(zip(times, sizes, strict=True)),
    )
    found = check(exchange, "stream", "provider", valid=False)
    return [fault.rule for fault in found if fault.rule.startswith("timing")]


# --- rules ---------------------------------------------------------------------------------------


def test_what_comes_in_time_is_no_fault() -> None:
    come = events((1, CREATED), (2, {**TEXT, "delta": "H"}), (1500, {**TEXT, "delta": "ey"}))

    assert caught(come, 0, 1000, 1001) == []


def test_a_first_event_that_waits_for_the_next_chunk_is_a_fault() -> None:
    come = events((1001, CREATED), (1002, {**TEXT, "delta": "H"}))

    assert caught(come, 0, 1000) == ["timing/1"]


def test_a_delta_that_waits_for_the_next_chunk_is_a_fault() -> None:
    come = events((1, CREATED), (1001, {**TEXT, "delta": "H"}))

    assert caught(come, 0, 1000) == ["timing/2"]


def test_where_the_provider_makes_no_pause_nothing_is_known() -> None:
    assert caught(events((90, CREATED)), 0, 20, 40) == []


def test_before_the_first_chunk_nothing_is_due() -> None:
    assert caught(events((1500, CREATED)), 1000) == []


@pytest.mark.parametrize(("silence", "follows"), [(59_999, []), (60_001, ["timing/3"])])
def test_a_minute_without_an_event_is_a_fault(silence: float, follows: list[str]) -> None:
    assert caught(events((0, CREATED), (silence, CREATED))) == follows


def test_what_is_due_of_a_custom_tool_cannot_be_counted() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"input": "x"}'}}
    said = read_chat_stream(chunk(tool_calls=[call]))
    tools = [{"type": "custom", "name": "f"}]

    for body, missing in (({"tools": tools}, {}), ({}, {"call": 14})):
        exchange = Exchange(Answer(200, ""), said, request={"body": body})
        assert timing.owed(exchange, 1000, []) == missing


@pytest.mark.parametrize("delta", [{"delta": 7}, {}], ids=["a number", "nothing"])
def test_a_delta_that_is_no_text_tells_nothing(delta: Json) -> None:
    exchange = Exchange(Answer(200, ""), read_chat_stream(CHUNKS[0]), request={"body": {}})

    assert timing.owed(exchange, 1000, events((1, {**TEXT, **delta}))) == {"text": 1}


# --- the pace ------------------------------------------------------------------------------------


def play(pace: Pace, count: int) -> float:
    """Await the pace before each of `count` chunks; return how many seconds that took."""

    async def chunks() -> None:
        for number in range(count):
            await pace(number, 0.0)

    start = time.perf_counter()
    asyncio.run(chunks())
    return time.perf_counter() - start


def test_who_has_what_is_due_is_not_waited_for() -> None:
    watch = Watch()
    took = watch.begin({"body": {}}, [response(*CHUNKS)])
    took(events((0, CREATED), (0, {**TEXT, "delta": "Hey"})))

    assert play(watch.pace(), 3) < timing.PAUSE / 1000
    assert [size for _, size in watch.sent(0.0)] == [
        0,
        len(CHUNKS[0]),
        len(CHUNKS[0] + CHUNKS[1]),
    ]


def test_who_has_nothing_is_waited_for_once() -> None:
    watch = Watch()
    watch.begin({"body": {}}, [response(*CHUNKS)])

    assert play(watch.pace(), 3) > 0.9

    first, second, third = [at for at, _ in watch.sent(0.0)]
    assert second - first >= timing.PAUSE
    assert third - second < timing.PAUSE


def test_it_goes_on_when_another_thread_has_what_is_due() -> None:
    watch = Watch()
    took = watch.begin({"body": {}}, [response(*CHUNKS)])
    due = events((0, CREATED), (0, {**TEXT, "delta": "Hey"}))

    client = threading.Timer(0.1, took, [due])
    client.start()
    seconds = play(watch.pace(), 3)
    client.join()

    assert 0.1 <= seconds < timing.PAUSE / 1000


def test_to_wait_costs_no_time_of_the_processor() -> None:
    """The proxy under test needs it; and the servers' loop cannot sleep for half a millisecond."""
    watch = Watch()
    watch.begin({"body": {}}, [response(*CHUNKS)])
    pace = watch.pace()

    async def chunks() -> None:
        await pace(0, 0.0)
        await pace(1, 0.0)

    start = time.thread_time()
    uvloop.run(chunks())
    assert time.thread_time() - start < 0.3


def test_a_pace_that_is_given_is_kept() -> None:
    seen: list[int] = []

    async def pace(number: int, milliseconds: float) -> None:
        seen.append(number)

    watch = Watch(lambda: pace)
    watch.begin({"body": {}}, [response(*CHUNKS)])

    assert play(watch.pace(), 3) < timing.PAUSE / 1000
    assert seen == [0, 1, 2]


def test_the_last_of_several_answers_counts() -> None:
    refused = {**response(b"{}"), "status": {"code": 503, "message": "Busy"}}
    watch = Watch()
    watch.begin({"body": {}}, [refused, response(*CHUNKS[:1])])

    play(watch.pace(), 1)
    play(watch.pace(), 1)

    assert [size for _, size in watch.sent(0.0)] == [0]
