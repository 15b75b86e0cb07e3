"""JSON Schema validation, dispatched by `type` in three places: event, item, part.

One `oneOf` over all events would be fifty times slower and name a wrong branch in its message.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.data import SCHEMAS
from harness.schema_validator import Schema, read_schemas

__all__ = ["SchemaFault", "check", "check_event", "event_types"]


class SchemaFault(NamedTuple):
    """What is wrong, and where: a JSON path below the instance (`$.item.arguments`)."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def check(instance: object, name: str, *, at: str = "$") -> list[SchemaFault]:
    """Return what the schema `name` (a path below `schemas/`) says of `instance`, by path."""
    faults = (
        SchemaFault(at + error.json_path.removeprefix("$"), error.message)
        for error in _schemas()[name].errors(instance)
    )
    return sorted(faults)


def check_event(event: Mapping[str, Any]) -> list[SchemaFault]:
    """Return what the schemas say of one Responses event, its items and their parts."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in event_types():
        return [SchemaFault("$.type", f"{kind!r} is no event that this suite knows")]
    faults = check(event, f"responses/events/{kind}.json")
    for path, item in _items(event):
        faults += _check_typed(item, "items", path)
        for part_path, part in _parts(item, path):
            faults += _check_typed(part, "parts", part_path)
    if isinstance(own_part := event.get("part"), dict):
        faults += _check_typed(own_part, "parts", "$.part")
    return faults


@functools.cache
def event_types() -> frozenset[str]:
    """Return the types of event that have a schema."""
    return frozenset(file.stem for file in (SCHEMAS / "responses" / "events").glob("*.json"))


def _items(event: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(item := event.get("item"), dict):
        yield "$.item", item
    response = event.get("response")
    if isinstance(response, dict) and isinstance(output := response.get("output"), list):
        for index, item in enumerate(output):
            if isinstance(item, dict):
                yield f"$.response.output[{index}]", item


def _parts(item: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in ("content", "summary"):
        if isinstance(parts := item.get(field), list):
            for index, part in enumerate(parts):
                if isinstance(part, dict):
                    yield f"{path}.{field}[{index}]", part


def _check_typed(instance: Mapping[str, Any], folder: str, path: str) -> list[SchemaFault]:
    name = f"responses/{folder}/{instance.get('type')}.json"
    if name not in _schemas():
        return [SchemaFault(f"{path}.type", f"{instance.get('type')!r} is not known in {folder}")]
    return check(instance, name, at=path)


@functools.cache
def _schemas() -> dict[str, Schema]:
    return read_schemas(SCHEMAS)
