"""jsonschema's validator, each part of a schema made ready once, and equal values judged once.

By itself jsonschema makes a validator for each value below a value, and looks up each `$ref` at
each value: nine tenths of its time. What is a fault, and in which words, its keywords say as ever.
"""

from __future__ import annotations

import functools
import json
import marshal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource

__all__ = ["Schema", "read_schemas"]

#: Valid values that each part of a schema remembers, and how many bytes the largest of them has.
_MOST: Final = 1024
_LONGEST: Final = 4096


class Schema(dict[str, Any]):
    """A schema, or an object inside of one. Where it has a `$ref`, that is the schema meant."""

    @functools.cached_property
    def validator(self) -> Validator:
        return cast("Validator", _Validator(self))

    @functools.cached_property
    def _valid(self) -> set[bytes]:
        return set()

    def errors(self, instance: Any) -> list[ValidationError]:
        """Return what is wrong with `instance`."""
        try:
            # Tells true, 1 and 1.0 apart, which are equal in Python.
            value = marshal.dumps(instance, 2)
        except ValueError:
            value = b""  # what only YAML has, a time; or nested too deep
        if value in self._valid:
            return []
        errors = list(self.validator.iter_errors(instance))
        if not errors and 0 < len(value) <= _LONGEST:
            if len(self._valid) >= _MOST:
                self._valid.clear()
            self._valid.add(value)
        return errors


def read_schemas(folder: Path) -> dict[str, Schema]:
    """Return the schemas below `folder`, by their paths from there, with `/`."""
    schemas: dict[str, Schema] = {
        file.relative_to(folder).as_posix(): json.loads(
            file.read_text(encoding="utf-8"), object_hook=Schema
        )
        for file in folder.rglob("*.json")
    }
    resources = [Resource[Any].from_contents(schema) for schema in schemas.values()]
    registry = Registry[Any]().with_resources((one.id() or "", one) for one in resources)
    for resource in resources:
        _resolve(resource.contents, registry.resolver(resource.id() or ""))
    return schemas


def _resolve(part: object, resolver: Any) -> None:
    """Put the schemas that are meant where `$ref` is in `part`."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref" and isinstance(value, str):
                part[name] = resolver.lookup(value).contents
            else:
                _resolve(value, resolver)
    elif isinstance(part, list):
        for value in part:
            _resolve(value, resolver)


# --- keywords that go down -----------------------------------------------------------------------

# As jsonschema's own, but for the validators, which are there already.


def _properties(
    validator: Validator, properties: Mapping[str, Schema], instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name, below in properties.items():
            if name in instance:
                for error in below.errors(instance[name]):
                    error.path.appendleft(name)
                    yield error


def _items(
    validator: Validator, items: Schema, instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    if isinstance(instance, list):
        for index in range(len(schema.get("prefixItems", ())), len(instance)):
            for error in items.errors(instance[index]):
                error.path.appendleft(index)
                yield error


def _prefix_items(
    validator: Validator, prefix: Sequence[Schema], instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    if isinstance(instance, list):
        for index, (below, item) in enumerate(zip(prefix, instance, strict=False)):
            for error in below.errors(item):
                error.path.appendleft(index)
                yield error


def _all_of(
    validator: Validator, parts: Sequence[Schema], instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    for part in parts:
        yield from part.validator.iter_errors(instance)


def _if(
    validator: Validator, condition: Schema, instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    branch = "then" if condition.validator.is_valid(instance) else "else"
    if branch in schema:
        yield from schema[branch].validator.iter_errors(instance)


def _ref(
    validator: Validator, target: Schema, instance: Any, schema: Schema
) -> Iterator[ValidationError]:
    yield from target.validator.iter_errors(instance)


_Validator: Final = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "properties": _properties,
        "items": _items,
        "prefixItems": _prefix_items,
        "allOf": _all_of,
        "if": _if,
        "$ref": _ref,
    },
)
