"""Schemas: all of them hold together, and what they say names the place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from jsonschema import Draft202012Validator

from harness.client import read_events
from harness.data import SCHEMAS
from harness.schema import SchemaFault, check, check_event, event_types
from tests.unit.harness.handmade import Json

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus" / "chatgpt-backend"
RECORDED = sorted(CORPUS.glob("*.sse"))

FILES = sorted(path.relative_to(SCHEMAS).as_posix() for path in SCHEMAS.rglob("*.json"))

PART: Json = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
MESSAGE: Json = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [PART],
}
CALL: Json = {
    "type": "function_call",
    "id": "fc_1",
    "status": "completed",
    "call_id": "a1",
    "name": "f",
    "arguments": "{}",
}
REASONING: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm"}],
}
DELTA: Json = {
    "type": "response.output_text.delta",
    "sequence_number": 4,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hi",
    "logprobs": [],
}


def done(item: object) -> Json:
    return {
        "type": "response.output_item.done",
        "sequence_number": 5,
        "output_index": 0,
        "item": item,
    }


def without(data: Json, name: str) -> Json:
    return {key: value for key, value in data.items() if key != name}


# --- the files -----------------------------------------------------------------------------------


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_valid_itself(name: str) -> None:
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_called_by_its_place(name: str) -> None:
    assert schema(name)["$id"] == f"https://codex-proxy-conformance.invalid/schemas/{name}"


@pytest.mark.parametrize("name", FILES)
def test_what_a_schema_refers_to_is_there(name: str) -> None:
    for reference in references(schema(name)):
        place, _, fragment = urljoin(schema(name)["$id"], reference).partition("#")
        target = schema(place.partition("/schemas/")[2])
        for step in fragment.strip("/").split("/") if fragment else ():
            assert step in target
            target = target[step]


@pytest.mark.parametrize("name", FILES)
def test_a_schema_can_be_used(name: str) -> None:
    # Nothing is valid everywhere, so every schema, and what it refers to, is looked at.
    assert check(5, name) == [SchemaFault("$", "5 is not of type 'object'")]


@pytest.mark.parametrize("folder", ["events", "items", "parts"])
def test_a_schema_that_is_picked_by_type_demands_that_type(folder: str) -> None:
    for path in (SCHEMAS / "responses" / folder).glob("*.json"):
        content = schema(f"responses/{folder}/{path.name}")
        assert content["properties"]["type"] == {"const": path.stem}
        assert "type" in content["required"]


# --- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", [MESSAGE, CALL, REASONING], ids=lambda item: item["type"])
def test_a_whole_event_has_no_faults(item: Json) -> None:
    assert check_event(done(item)) == []
    assert check_event(DELTA) == []


def test_an_unknown_event_is_a_fault() -> None:
    assert check_event({"type": "response.surprise"}) == [
        SchemaFault("$.type", "'response.surprise' is no event that this suite knows")
    ]


def test_an_event_without_a_type_is_a_fault() -> None:
    assert check_event({}) == [SchemaFault("$.type", "None is no event that this suite knows")]


@pytest.mark.parametrize("name", [name for name in DELTA if name != "type"])
def test_a_field_that_is_missing_is_named(name: str) -> None:
    assert check_event(without(DELTA, name)) == [
        SchemaFault("$", f"'{name}' is a required property")
    ]


def test_all_faults_of_an_event_are_told_by_place() -> None:
    event = {**DELTA, "sequence_number": "4", "delta": None}

    assert check_event(event) == [
        SchemaFault("$.delta", "None is not of type 'string'"),
        SchemaFault("$.sequence_number", "'4' is not of type 'integer'"),
    ]


def test_a_fault_reads_as_place_and_message() -> None:
    assert str(SchemaFault("$.item.id", "5 is not of type 'string'")) == (
        "$.item.id: 5 is not of type 'string'"
    )


def test_the_place_of_the_instance_can_be_given() -> None:
    assert check([], "responses/usage.json", at="$.response.usage") == [
        SchemaFault("$.response.usage", "[] is not of type 'object'")
    ]


# --- items ---------------------------------------------------------------------------------------


def test_a_fault_of_an_item_is_told_with_its_path() -> None:
    assert check_event(done({**CALL, "arguments": {}})) == [
        SchemaFault("$.item.arguments", "{} is not of type 'string'")
    ]


def test_an_unknown_item_is_a_fault() -> None:
    assert check_event(done({"type": "surprise"})) == [
        SchemaFault("$.item.type", "'surprise' is not known in items")
    ]


def test_an_item_that_is_done_is_not_in_progress() -> None:
    (fault,) = check_event(done({**MESSAGE, "status": "in_progress"}))

    assert fault.path == "$.item.status"


def test_items_of_a_response_are_looked_at() -> None:
    event = {"type": "response.completed", "response": {"output": [CALL, without(CALL, "name")]}}

    faults = check_event(event)

    assert SchemaFault("$.response.output[1]", "'name' is a required property") in faults
    assert not [fault for fault in faults if fault.path.startswith("$.response.output[0]")]


@pytest.mark.parametrize("item", [None, 5, "message", []])
def test_an_item_that_is_no_object_is_a_fault_of_the_event(item: object) -> None:
    assert [fault.path for fault in check_event(done(item))] == ["$.item"]


# --- parts ---------------------------------------------------------------------------------------


def test_a_fault_of_a_part_is_told_with_its_path() -> None:
    parts = [PART, {**PART, "text": 5}]

    assert check_event(done({**MESSAGE, "content": parts})) == [
        SchemaFault("$.item.content[1].text", "5 is not of type 'string'")
    ]


def test_parts_of_a_summary_are_looked_at() -> None:
    item = {**REASONING, "summary": [{"type": "summary_text"}]}

    assert check_event(done(item)) == [
        SchemaFault("$.item.summary[0]", "'text' is a required property")
    ]


def test_parts_of_items_of_a_response_are_looked_at() -> None:
    items = [{**MESSAGE, "content": [without(PART, "logprobs")]}]
    event = {"type": "response.completed", "response": {"output": items}}

    place = "$.response.output[0].content[0]"
    assert SchemaFault(place, "'logprobs' is a required property") in check_event(event)


def test_the_part_of_an_event_is_looked_at() -> None:
    event = {
        "type": "response.content_part.done",
        "sequence_number": 5,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "part": without(PART, "annotations"),
    }

    assert check_event(event) == [SchemaFault("$.part", "'annotations' is a required property")]


def test_an_unknown_part_is_a_fault() -> None:
    faults = check_event(done({**MESSAGE, "content": [{"type": "surprise"}]}))

    assert SchemaFault("$.item.content[0].type", "'surprise' is not known in parts") in faults


# --- beside real recordings ----------------------------------------------------------------------


@pytest.mark.skipif(not RECORDED, reason=f"there are no recordings of ChatGPT at {CORPUS}")
def test_every_event_that_chatgpt_was_recorded_with_is_valid() -> None:
    events = [event for path in RECORDED for event in read_events(path.read_bytes())]
    known = [event.data for event in events if event.data and event.type in event_types()]

    assert len(known) > 100
    assert [fault for data in known for fault in check_event(data)] == []
