"""The emulator streams as ChatGPT's backend does."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import scenarios
from harness.client import Event, read_events
from harness.emulator import Emulator
from harness.emulator.responses import ResponseStream, blob, call_id
from harness.scenarios import Call, Turn
from harness.schema import check_event
from tests.unit.harness.backends import CHATGPT, RESPONSES, events_of, items_of
from tests.unit.harness.emulated import ONE
from tests.unit.harness.handmade import Json, scenario, turn

TWO: Final = Call(id="b2", name="apply_patch", arguments="*** Begin Patch", kind="custom")
THREE: Final = Call(id="c3", name="wait_agent", arguments={}, namespace="multi_agent_v1")

ALL_KINDS: Final = turn("Voilà ✓", reasoning="Hm, well.", calls=[ONE, TWO, THREE])
#: What Codex asks for, and what the emulator answers only then.
ASKING_FOR_MORE: Final = {
    **RESPONSES,
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Says one turn, which has every kind of item. It takes no time."""
    with CHATGPT.emulator(scenario(ALL_KINDS)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def events(emulator: Emulator) -> list[Event]:
    """That turn, as Codex asks for it."""
    return events_of(CHATGPT.ask(emulator, ASKING_FOR_MORE))


def of_type(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.type == f"response.{kind}"]


def played(turn: Turn, request: Json = RESPONSES) -> list[Event]:
    """Return the events of a turn, without a server."""
    stream = ResponseStream(turn, request)
    sent = b"".join(event for _, event in (*stream.events(), stream.finish()))
    return read_events(sent)


# --- the wire dialect ----------------------------------------------------------------------------


def test_an_event_is_a_name_and_its_data(emulator: Emulator) -> None:
    answer = CHATGPT.ask(emulator)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("\n\n")
    assert "[DONE]" not in answer.text
    for event in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        assert name == f"event: {json.loads(data.removeprefix('data: '))['type']}"


def test_events_are_numbered_without_a_gap(events: list[Event]) -> None:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_the_type_comes_first_and_the_other_keys_by_the_alphabet(events: list[Event]) -> None:
    for event in events:
        assert event.data is not None
        first, *others = event.data
        assert first == "type"
        assert others == sorted(others)


def test_text_is_not_escaped(events: list[Event]) -> None:
    assert '"text":"Voilà ✓"'.encode() in of_type(events, "output_text.done")[0].raw


def test_the_order_is_that_of_the_backend(events: list[Event]) -> None:
    order = [
        kind.removeprefix("response.") for kind, _ in itertools.groupby(e.type for e in events)
    ]

    added, done = "output_item.added", "output_item.done"
    summary = [f"reasoning_summary_{part}" for part in ("part.added", "text.delta", "text.done")]
    assert order == [
        *("created", "in_progress"),
        *(added, *summary, "reasoning_summary_part.done", done),
        *(added, "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", done),
        *(added, "function_call_arguments.delta", "function_call_arguments.done", done),
        *(added, "custom_tool_call_input.delta", "custom_tool_call_input.done", done),
        *(added, "function_call_arguments.delta", "function_call_arguments.done", done),
        "completed",
    ]


def test_items_never_interleave(events: list[Event]) -> None:
    interleaved = turn(calls=[ONE, TWO], interleaved=True)

    for stream in (events, played(interleaved)):
        indexes = [event["output_index"] for event in stream if event["output_index"] is not None]
        assert indexes == sorted(indexes)


def test_the_deltas_of_an_item_add_up_to_what_is_done(events: list[Event]) -> None:
    said: dict[str, str] = {}
    for event in events:
        if event.type.endswith(".delta"):
            said[event["item_id"]] = said.get(event["item_id"], "") + event["delta"]

    thought, message, *calls = items_of(events)
    assert said.pop(thought["id"]) == thought["summary"][0]["text"] == "Hm, well."
    assert said.pop(message["id"]) == message["content"][0]["text"] == "Voilà ✓"
    for call, scripted in zip(calls, ALL_KINDS.calls, strict=True):
        assert said.pop(call["id"]) == scripted.arguments_text
    assert not said


def test_padding_fills_blocks_and_is_on_deltas_alone(events: list[Event]) -> None:
    padded = [event for event in events if event["obfuscation"] is not None]

    assert padded == [event for event in events if event.type.endswith(".delta")]
    assert {(len(delta["delta"]) + len(delta["obfuscation"])) % 16 for delta in padded} == {0}
    assert len({len(delta["obfuscation"]) for delta in padded}) > 3


def test_padding_is_another_each_time() -> None:
    streams = [played(turn("a")) for _ in range(5)]

    (of_each,) = zip(*(of_type(stream, "output_text.delta") for stream in streams), strict=True)
    assert len({delta["obfuscation"] for delta in of_each}) == 5


@pytest.mark.parametrize("name", scenarios.names())
def test_every_event_of_a_scenario_is_valid(name: str) -> None:
    for each in scenarios.load(name).turns:
        for event in played(each, ASKING_FOR_MORE):
            assert event.data is not None
            assert check_event(event.data) == []


# --- items ---------------------------------------------------------------------------------------


def test_items_are_like_those_that_were_recorded(events: list[Event]) -> None:
    thought, message, function, custom, namespaced = items_of(events)

    assert list(thought) == ["id", "type", "content", "encrypted_content", "summary"]
    assert list(message) == ["id", "type", "status", "content", "phase", "role"]
    assert list(function) == ["id", "type", "status", "arguments", "call_id", "name"]
    assert list(custom) == ["id", "type", "status", "call_id", "input", "name"]
    assert list(namespaced) == [*function, "namespace"]
    assert (namespaced["namespace"], namespaced["name"]) == ("multi_agent_v1", "wait_agent")


def test_ids_have_the_backends_form(events: list[Event]) -> None:
    response = events[0]["response"]
    items = items_of(events)
    ids = [response["id"], *(item["id"] for item in items)]

    assert [id.partition("_")[0] for id in ids] == ["resp", "rs", "msg", "fc", "ctc", "fc"]
    assert len(set(ids)) == len(ids)
    for id in ids:
        assert re.fullmatch(r"[a-z]+_[0-9a-f]{50}", id)
        # One response's ids have their beginning in common, and then tell the time.
        assert id.partition("_")[2][:18] == ids[0].partition("_")[2][:18]
        assert int(id.partition("_")[2][18:26], 16) - response["created_at"] in (0, 1)
    calls = [item["call_id"] for item in items if "call_id" in item]
    assert calls == [call_id(call) for call in ALL_KINDS.calls]
    assert all(re.fullmatch(r"call_[0-9a-z]{24}", id) for id in calls)


def test_a_scripted_id_is_part_of_the_id_of_the_call() -> None:
    assert call_id(ONE).startswith("call_a1")
    assert call_id(ONE) != call_id(TWO)
    assert call_id(Call("x" * 30, "f", "")) == f"call_{'x' * 30}"


def test_an_item_begins_empty(events: list[Event]) -> None:
    begun = [event["item"] for event in of_type(events, "output_item.added")]

    thought, message, function, custom, _ = begun
    assert (thought["summary"], message["content"]) == ([], [])
    assert (function["arguments"], custom["input"]) == ("", "")
    assert [item.get("status") for item in begun] == [None, *["in_progress"] * 4]
    assert [item.get("status") for item in items_of(events)] == [None, *["completed"] * 4]


def test_what_the_model_thought_is_sealed_anew_when_it_is_done(events: list[Event]) -> None:
    begun, done = of_type(events, "output_item.added")[0], of_type(events, "output_item.done")[0]

    seals = [event["item"]["encrypted_content"] for event in (begun, done)]
    assert all(seal.startswith("gAAAAA") for seal in seals)
    assert seals[0] != seals[1]


def test_what_is_not_asked_for_is_not_told(emulator: Emulator) -> None:
    plain = events_of(CHATGPT.ask(emulator))

    begun, done = of_type(plain, "output_item.added")[0], of_type(plain, "output_item.done")[0]
    assert begun["item"] == done["item"]
    assert list(done["item"]) == ["id", "type", "content", "summary"]
    assert done["item"]["summary"] == []
    assert not [event for event in plain if "summary" in event.type]


def test_text_before_a_call_is_commentary_and_other_text_the_answer(events: list[Event]) -> None:
    assert items_of(events)[1]["phase"] == "commentary"
    assert items_of(played(turn("Hi")))[0]["phase"] == "final_answer"


# --- the response object -------------------------------------------------------------------------


def test_the_response_echoes_the_whole_request(emulator: Emulator) -> None:
    parameters = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    function = {"type": "function", "name": "f", "parameters": parameters}
    format = {"type": "json_schema", "schema": {"type": "object"}, "strict": True, "name": "s"}
    request = {
        **ASKING_FOR_MORE,
        "instructions": "Be brief. " * 3000,
        "tools": [
            {**function, "strict": False, "description": "d"},
            {"type": "custom", "name": "c", "description": "d", "format": {"type": "text"}},
            {"type": "namespace", "name": "n", "description": "d", "tools": [function]},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "text": {"verbosity": "low", "format": format},
        "prompt_cache_key": "a-key",
    }

    stream = events_of(CHATGPT.ask(emulator, request))

    for event in (*stream[:2], stream[-1]):
        response = event["response"]
        assert len(event.raw) > 30_000
        assert len(response) == 35
        for name in ("model", "instructions", "tool_choice", "parallel_tool_calls"):
            assert response[name] == request[name]
        assert response["prompt_cache_key"] == "a-key"
        assert response["text"] == request["text"]
        assert list(response["text"]["format"]) == ["type", "name", "schema", "strict"]
        assert response["reasoning"]["effort"] == "high"
        assert response["reasoning"]["summary"] == "auto"
        assert [tool["type"] for tool in response["tools"]] == [
            *("function", "custom", "namespace", "web_search")
        ]
        keys = ["type", "description", "name", "parameters", "strict"]
        first, _, namespace, _ = response["tools"]
        assert list(first) == list(namespace["tools"][0]) == keys
        # What a tool leaves open is filled in.
        assert (first["strict"], namespace["tools"][0]["strict"]) == (False, True)
        assert namespace["tools"][0]["description"] is None
        assert response["store"] is False


def test_what_the_request_leaves_open_has_the_backends_defaults(emulator: Emulator) -> None:
    response = events_of(CHATGPT.ask(emulator))[0]["response"]

    assert response["reasoning"]["effort"] == "medium"
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert (response["tools"], response["tool_choice"]) == ([], "auto")
    assert response["parallel_tool_calls"] is True
    assert response["prompt_cache_key"]


def test_the_output_of_a_response_is_empty_even_when_it_is_complete(events: list[Event]) -> None:
    ends = events[0]["response"], events[1]["response"], events[-1]["response"]

    assert [response["output"] for response in ends] == [[], [], []]
    assert [response["status"] for response in ends] == ["in_progress", "in_progress", "completed"]
    assert [response["completed_at"] is None for response in ends] == [True, True, False]
    assert [response["service_tier"] for response in ends] == ["auto", "auto", "default"]
    assert [response["usage"] for response in ends[:2]] == [None, None]


def test_the_end_tells_what_was_used(events: list[Event]) -> None:
    assert events[-1]["response"]["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }


# --- ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (turn("Voi"), ["incomplete"]),
        (turn("Voilà", calls=[ONE, TWO]), ["completed", "completed", "incomplete"]),
        (turn(reasoning="Hm"), [None]),
        (turn(), []),
    ],
)
@pytest.mark.parametrize(
    ("stopped_by", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_that_is_cut_off_is_incomplete(
    said: Turn, statuses: list[str | None], stopped_by: Any, reason: str
) -> None:
    said.stopped_by = stopped_by

    stream = played(said)

    assert [item.get("status") for item in items_of(stream)] == statuses
    assert stream[-1].type == "response.incomplete"
    response = stream[-1]["response"]
    assert (response["status"], response["completed_at"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": reason}
    assert response["output"] == []
    assert response["usage"]["total_tokens"] == 16
    assert all(check_event(event.data or {}) == [] for event in stream)


# --- seals ---------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_a_seal_is_the_same_for_the_same_and_does_not_show_it(one: str, another: str) -> None:
    assert blob(one) == blob(one)
    assert (blob(one) == blob(another)) == (one == another)
    assert len(one) < 9 or one not in blob(one)
