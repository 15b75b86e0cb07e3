"""What is different between the proxy's streams and the ChatGPT backend's, and may be."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.client import Event, read_events
from harness.compare import Accepted, accepted_differences, compare, runs, unmatched
from harness.provider import Provider
from harness.replay import replay
from harness.subject import OwnProxy
from tests.cassettes import cerebras
from tests.unit.harness.chatgpt_streams import conversation, events
from tests.unit.harness.handmade import Json, sse, turn

#: Both clients, all kinds of item, calls that are interleaved.
SCENARIOS = ["hello", "parallel-calls", "create-file", "create-file-exec"]


def ids(ours: Iterable[Json], reference: Iterable[Json]) -> list[str]:
    """Return the ids of the differences between two turns of one stream."""
    found = compare([read_events(sse(*ours))], [read_events(sse(*reference))], [])
    return [difference.id for difference in found]


# --- the proxy's streams -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reconstructed(provider: Provider, proxy: OwnProxy) -> dict[str, list[list[Event]]]:
    """What the proxy makes of the recordings of Cerebras' dialect."""
    return {
        name: [
            exchange.answer.events
            for exchange in replay(cerebras(name), proxy.url, provider).exchanges
        ]
        for name in SCENARIOS
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_difference_is_accepted(
    name: str, reconstructed: dict[str, list[list[Event]]]
) -> None:
    differences = compare(reconstructed[name], conversation(name))

    assert [difference for difference in differences if difference.reason is None] == []
    assert differences, "they cannot be the same"


def test_a_difference_has_its_place_and_its_reason(
    reconstructed: dict[str, list[list[Event]]],
) -> None:
    found = {
        difference.id: difference
        for difference in compare(reconstructed["hello"], conversation("hello"))
    }

    missing = found["event response.output_text.delta: field obfuscation missing"]
    assert missing.where == "reference, turn 1, event 4 (response.output_text.delta)"
    assert missing.reason is not None
    assert missing.reason.startswith("Random padding")
    added = found["response completed: field output[] only ours"]
    assert added.where.startswith("ours, turn 1, event ")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_stream_does_not_differ_from_itself(
    name: str, reconstructed: dict[str, list[list[Event]]]
) -> None:
    assert compare(reconstructed[name], reconstructed[name]) == []
    assert compare(conversation(name), conversation(name)) == []


# --- what is a difference ------------------------------------------------------------------------

Change = Callable[[list[Json]], object]


def first(all_events: list[Json], type: str) -> Json:
    return next(event for event in all_events if event["type"] == type)


def without(*path: str | int) -> Callable[[Json], object]:
    """Return what takes a field away."""

    def change(value: Json) -> None:
        for name in path[:-1]:
            value = value[name]  # type: ignore[index]
        del value[path[-1]]  # type: ignore[arg-type]

    return change


def changed(type: str, change: Callable[[Json], object]) -> Change:
    return lambda all_events: change(first(all_events, type))


DONE = "response.output_item.done"
TEXT = "response.output_text"

#: What is changed in our stream, and the one difference that it makes.
CHANGES: dict[str, tuple[Change, str]] = {
    "a field of an event": (
        changed(f"{TEXT}.done", without("logprobs")),
        f"event {TEXT}.done: field logprobs missing",
    ),
    "a field of some events": (
        changed(f"{TEXT}.delta", without("logprobs")),
        f"event {TEXT}.delta: field logprobs sometimes missing",
    ),
    "a field more": (
        changed(f"{TEXT}.done", lambda event: event.update(extra=1)),
        f"event {TEXT}.done: field extra only ours",
    ),
    "a value of another type": (
        changed(f"{TEXT}.done", lambda event: event.update(content_index="0")),
        f"event {TEXT}.done: field content_index is a string, not an integer",
    ),
    "a number that is no integer": (
        changed("response.completed", lambda event: event["response"].update(top_logprobs=0.5)),
        "response completed: field top_logprobs is a number, not an integer",
    ),
    "a boolean that is one in Python alone": (
        changed("response.completed", lambda event: event["response"].update(background=0)),
        "response completed: field background is an integer, not a boolean",
    ),
    "an id of another kind": (
        changed(f"{TEXT}.done", lambda event: event.update(item_id="fc_1")),
        f"event {TEXT}.done: field item_id is an id fc_, not an id msg_",
    ),
    "a field of an item": (
        changed(DONE, without("item", "encrypted_content")),
        "item reasoning done: field encrypted_content missing",
    ),
    "a field of a part": (
        changed("response.content_part.done", without("part", "annotations")),
        "part output_text: field annotations sometimes missing",
    ),
    "a part of another type": (
        lambda all_events: all_events[-2]["item"]["content"][0].update(type="refusal"),
        "item message done: field content[] is refusal, not output_text",
    ),
    "no part": (
        lambda all_events: all_events[-2]["item"].update(content=[]),
        "item message done: field content[] missing",
    ),
    "usage": (
        changed(
            "response.completed",
            without("response", "usage", "output_tokens_details", "reasoning_tokens"),
        ),
        "response completed: field usage.output_tokens_details.reasoning_tokens missing",
    ),
    "usage as a whole, which is not told field by field": (
        changed("response.completed", lambda event: event["response"].update(usage=None)),
        "response completed: field usage is null, not an object",
    ),
    "an event of an item": (
        lambda all_events: all_events.remove(first(all_events, f"{TEXT}.done")),
        f"item message: event {TEXT}.done missing",
    ),
    "an event of no item": (
        lambda all_events: all_events.insert(1, {"type": "codex.rate_limits"}),
        "stream: event codex.rate_limits only ours",
    ),
    "the order of an item's events": (
        lambda all_events: all_events.insert(-2, all_events.pop(-4)),
        "item message: events in another order",
    ),
    "items that take turns": (
        # The reasoning is done after the first delta of the message.
        lambda all_events: all_events.insert(6, all_events.pop(3)),
        "stream: items interleave only ours",
    ),
}


def a_turn() -> list[Json]:
    """Return reasoning, then text."""
    return copy.deepcopy(events(turn("It is done.", reasoning="Hm."), newer=False))


@pytest.mark.parametrize(("change", "id"), CHANGES.values(), ids=CHANGES)
def test_what_is_different_is_told(change: Change, id: str) -> None:
    ours = a_turn()
    change(ours)

    found = ids(ours, a_turn())

    assert found == [id]


def test_what_is_the_other_way_round_is_missing() -> None:
    ours, reference = a_turn(), a_turn()
    reference.insert(1, {"type": "codex.rate_limits"})

    assert ids(ours, reference) == ["stream: event codex.rate_limits missing"]


def test_what_the_reference_has_only_sometimes_may_be_missing() -> None:
    ours, reference = a_turn(), a_turn()
    for event in ours:
        event.pop("logprobs", None)
    del first(reference, f"{TEXT}.delta")["logprobs"]

    assert ids(ours, reference) == [
        f"event {TEXT}.delta: field logprobs missing",
        f"event {TEXT}.done: field logprobs missing",
    ]
    assert f"event {TEXT}.delta: field logprobs sometimes missing" not in ids(reference, reference)


def test_values_do_not_matter() -> None:
    ours = json.loads(json.dumps(a_turn()).replace("0b1", "9f3").replace("gpt-5.4", "other"))

    assert ids(ours, a_turn()) == []


def test_what_the_request_is_echoed_of_does_not_matter() -> None:
    ours = a_turn()
    for event in ours:
        if "response" in event:
            event["response"] |= {"tools": [{"name": "x"}], "metadata": {"a": "b"}}

    assert ids(ours, a_turn()) == []


def test_how_many_deltas_there_are_does_not_matter() -> None:
    ours = a_turn()
    delta = first(ours, f"{TEXT}.delta")
    ours.insert(ours.index(delta), delta)

    assert ids(ours, a_turn()) == []


def test_a_sign_of_life_within_an_item_parts_nothing() -> None:
    ours = a_turn()
    ours.insert(7, first(ours, "response.in_progress"))

    assert ids(ours, a_turn()) == []


def test_an_event_that_is_not_always_there_is_in_no_other_order_for_that() -> None:
    turns = [read_events(sse(*a_turn())), read_events(sse(*a_turn()))]
    short = [event for event in a_turn() if event["type"] != f"{TEXT}.done"]

    (found,) = compare([turns[0], read_events(sse(*short))], turns, [])

    assert found.id == f"item message: event {TEXT}.done sometimes missing"
    assert found.where == "ours, turn 2"


def test_a_field_with_a_dot_in_its_name_is_one() -> None:
    ours = a_turn()
    ours[0]["a.b"] = {"c": 1}

    assert ids(ours, a_turn()) == ["event response.created: field a.b only ours"]


def test_an_item_that_is_missing_is_told_once() -> None:
    reference = a_turn()
    ours = [event for event in reference if event.get("output_index") != 0]

    assert ids(ours, reference) == ["turn: item reasoning missing"]
    assert ids(reference, ours) == ["turn: item reasoning only ours"]


def test_another_end_is_told() -> None:
    ours = a_turn()
    ours[-1]["type"] = "response.incomplete"
    ours[-1]["response"]["status"] = "incomplete"

    assert ids(ours, a_turn()) == [
        "stream: end response.completed missing",
        "stream: end response.incomplete only ours",
    ]


def test_a_turn_that_is_missing_is_told() -> None:
    one = read_events(sse(*a_turn()))

    (fewer,) = compare([one], [one, one], [])
    (more,) = compare([one, one], [one], [])

    assert (fewer.id, fewer.where) == ("conversation: turn missing", "reference, turn 2")
    assert (more.id, more.where) == ("conversation: turn only ours", "ours, turn 2")


def test_a_turn_without_an_event_is_told() -> None:
    assert ids([], a_turn())[-1] == "stream: end before it began only ours"


def test_a_difference_is_told_where_it_is_first() -> None:
    ours = a_turn()
    for event in ours:
        event.pop("logprobs", None)
    two = read_events(sse(*ours))

    (found, *_) = compare([read_events(sse(*a_turn())), two], [two, two], [])

    assert found.id == f"event {TEXT}.delta: field logprobs only ours"
    assert found.where == "ours, turn 1, event 6 (response.output_text.delta)"


def test_runs_keep_all_events_in_their_order() -> None:
    all_events = read_events(sse(*a_turn()))

    found = runs(all_events)

    assert [event for run in found for event in run.events] == all_events
    assert [run.type for run in found if run.index is not None] == ["reasoning", "message"]


# --- what is accepted ----------------------------------------------------------------------------


def test_the_first_entry_that_matches_gives_the_reason() -> None:
    ours = a_turn()
    del first(ours, f"{TEXT}.done")["logprobs"]
    accepted = [
        Accepted("Other.", ["event * missing elsewhere"]),
        Accepted("Because.", ["turn: *", "event *.done: field logprobs missing"]),
        Accepted("Never mind.", ["*"]),
    ]

    (found,) = compare([read_events(sse(*ours))], [read_events(sse(*a_turn()))], accepted)

    assert found.reason == "Because."
    assert unmatched([found], accepted) == ["event * missing elsewhere", "turn: *"]


def test_brackets_and_dots_in_a_pattern_are_what_they_are() -> None:
    accepted = [Accepted("Because.", ["response completed: field output[] only ours"])]
    ours, reference = a_turn(), a_turn()
    ours[-1]["response"]["output"] = [{"type": "message"}]

    (found,) = compare([read_events(sse(*ours))], [read_events(sse(*reference))], accepted)

    assert found.reason == "Because."


def test_each_reason_is_a_sentence_and_stands_once() -> None:
    entries = accepted_differences()

    assert all(entry.reason.endswith(".") and entry.differences for entry in entries)
    assert len({entry.reason for entry in entries}) == len(entries)


# --- anything ------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "type", "content", "summary", "a"]), inner)
    ),
    max_leaves=6,
)
any_event = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["type", "item", "part", "response", "output_index", "item_id", "delta"], values
    ),
)
streams = st.lists(st.lists(any_event | values, max_size=4), max_size=2)


@given(streams, streams)
def test_streams_of_any_shape_are_compared(
    ours: list[list[object]], reference: list[list[object]]
) -> None:
    found = compare(read(ours), read(reference))

    assert len({difference.id for difference in found}) == len(found)
    assert compare(read(ours), read(ours)) == []


def read(turns: list[list[object]]) -> list[list[Event]]:
    return [
        read_events(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events))
        for events in turns
    ]
