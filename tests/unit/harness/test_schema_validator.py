"""The validator: it says what jsonschema by itself says, and takes a fraction of its steps."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from harness.bench.core import new_stream, reads
from harness.bench.traffic import KINDS, Plan, request, stream
from harness.cassette import load
from harness.client import read_events
from harness.data import SCHEMAS, cassettes_folder
from harness.schema_validator import read_schemas
from tests.unit.harness.handmade import Json

CASSETTE: Final = cassettes_folder() / "cerebras" / "parallel-calls.yaml"

FILES: Final = sorted(path.relative_to(SCHEMAS).as_posix() for path in SCHEMAS.rglob("*.json"))

INTERACTION: Final = {
    "request": {"method": "POST", "uri": "/", "body": "", "headers": {}},
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": ""},
        "stream": {"chunks": [[0.5, 3], [1, 4]], "end": "complete"},
    },
}

#: What is put in the place of something else.
OTHERS: Final[tuple[Any, ...]] = (None, True, 1.0, "", [None], {"type": "other"})


@cache
def plain(name: str) -> Draft202012Validator:
    """Return jsonschema's own validator of the schema `name`."""
    return Draft202012Validator(contents()[name], registry=registry())


@cache
def contents() -> dict[str, Any]:
    return {name: json.loads((SCHEMAS / name).read_text(encoding="utf-8")) for name in FILES}


@cache
def registry() -> Registry[Any]:
    resources = [Resource[Any].from_contents(schema) for schema in contents().values()]
    return Registry[Any]().with_resources((one.id() or "", one) for one in resources)


def events(kind: str) -> list[Json]:
    """Return the events of an answer."""
    answer = new_stream(Plan(kind, 3))
    sent = [answer.start(), *map(answer.receive_data, reads(stream(Plan(kind, 3))))]
    return [event.data for event in read_events(b"".join(sent)) if event.data is not None]


def examples() -> Iterator[tuple[str, Json]]:
    """Yield values with the schemas that they are valid by."""
    for kind in KINDS:
        for event in {event["type"]: event for event in events(kind)}.values():
            if "response" in event:
                del event["response"]["tools"][1:]
            if event["type"] == "response.in_progress":
                continue  # as it was created
            if kind == "text" or "item" in event:
                yield f"responses/events/{event['type']}.json", event
    yield "responses/request.json", json.loads(request(Plan("text", 3), history=0))
    yield "chat/request.json", json.loads(load(CASSETTE).requests[-1].body)
    yield "cassette.json", {"version": 1, "interactions": [INTERACTION]}


def changed(value: Any, depth: int = 3) -> Iterator[Any]:
    """Yield `value` with one thing in it left out, or taken by another."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {key: other for key, other in value.items() if key != name}
            for other in (*OTHERS, *(changed(inner, depth - 1) if depth else ())):
                yield {**value, name: other}
    elif isinstance(value, list) and value:
        for other in (*OTHERS, *(changed(value[-1], depth - 1) if depth else ())):
            yield [*value[:-1], other]


def told(errors: Iterable[ValidationError]) -> list[tuple[str, str]]:
    return sorted((error.json_path, error.message) for error in errors)


# --- the same judgement --------------------------------------------------------------------------


def test_it_says_what_jsonschema_says() -> None:
    schemas, faulty = read_schemas(SCHEMAS), 0
    for name, example in examples():
        assert not schemas[name].errors(example)
        for value in changed(example):
            expected = told(plain(name).iter_errors(value))
            faulty += bool(expected)
            # What was found valid before is remembered the second time.
            assert told(schemas[name].errors(value)) == expected
            assert told(schemas[name].errors(value)) == expected
    assert faulty > 1000


@pytest.mark.parametrize("value", [True, 1.5, "1", None, -1])
def test_a_value_is_not_taken_for_one_that_is_equal_or_like_it(value: object) -> None:
    schema = read_schemas(SCHEMAS)["responses/events/response.output_text.delta.json"]
    event = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0}
    valid = {**event, "content_index": 0, "delta": "a", "logprobs": [], "sequence_number": 1}
    assert schema.errors(valid) == []

    (error,) = schema.errors({**valid, "sequence_number": value})

    assert error.json_path == "$.sequence_number"


def test_what_only_yaml_has_is_judged_too() -> None:
    schema = read_schemas(SCHEMAS)["cassette.json"]
    time = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)

    (error,) = schema.errors({"version": time, "interactions": [INTERACTION]})

    assert (error.json_path, error.message) == ("$.version", "1 was expected")


# --- with less work ------------------------------------------------------------------------------


def calls(function: Callable[[], object]) -> int:
    """Return how many calls of Python functions `function` makes: steadier than its time."""
    count = 0

    def count_calls(frame: object, what: str, argument: object) -> None:
        nonlocal count
        count += what == "call"

    sys.setprofile(count_calls)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_it_takes_a_tenth_of_the_steps() -> None:
    schemas = read_schemas(SCHEMAS)
    for event in events("text"):
        schemas[f"responses/events/{event['type']}.json"].errors(event)
    own = alone = 0
    for number, event in enumerate(events("text")):
        event["sequence_number"] = 1000 + number  # so that no event is one that it knows
        name = f"responses/events/{event['type']}.json"
        validator = plain(name)
        own += calls(partial(schemas[name].errors, event))
        alone += calls(lambda: list(validator.iter_errors(event)))  # noqa: B023 - called here

    assert own < alone / 10, f"{own} calls of functions, and {alone}"
