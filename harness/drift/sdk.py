"""The schemas of `schemas/responses` against the models of the installed `openai` SDK.

Three things are held against each other: which events, items and parts there are; which fields are
required; and whether the SDK accepts what the schemas accept. For the last there are real events,
and each of them with a field left out, or null, wherever the schemas allow that.
"""

from __future__ import annotations

import copy
import functools
import json
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final

import msgspec

from harness import schema
from harness.client import Event
from harness.compare import Accepted, Difference, reason_of
from harness.data import SCHEMAS
from harness.errors import HarnessError

__all__ = ["Sdk", "accepted_drift", "sdk_differences"]

#: What a schema is of: the folders of `schemas/responses`.
_FOLDERS: Final[Mapping[str, str]] = {"event": "events", "item": "items", "part": "parts"}


class Sdk:
    """The models of the installed SDK, by what they are of and its type."""

    def __init__(self) -> None:
        try:
            from openai import __version__
            from openai.types import responses
            from pydantic import TypeAdapter
        except ImportError as error:
            raise HarnessError(
                f"the openai SDK is not installed ({error}); 'tox -e drift' installs it"
            ) from None
        self.version: str = __version__
        self._adapter = functools.cache(TypeAdapter)
        added = responses.ResponseContentPartAddedEvent.model_fields["part"].annotation
        summary = responses.ResponseReasoningItem.model_fields["summary"].annotation
        self.models: Mapping[str, Mapping[str, Any]] = {
            "event": _by_type(responses.ResponseStreamEvent),
            "item": _by_type(responses.ResponseOutputItem),
            "part": {**_by_type(added), **_by_type(summary)},
            "": {"response": responses.Response, "usage": responses.ResponseUsage},
        }

    def required(self, kind: str, type: str) -> set[str]:
        """Return the names of the fields that it requires."""
        fields = self.models[kind][type].model_fields
        return {field.alias or name for name, field in fields.items() if field.is_required()}

    def rejects(self, event: Mapping[str, Any]) -> str | None:
        """Return why it does not accept an event; None where it does, or does not know its type."""
        from pydantic import ValidationError

        if (model := self.models["event"].get(str(event.get("type")))) is None:
            return None
        try:
            self._adapter(model).validate_python(event)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return None


@functools.cache
def accepted_drift() -> list[Accepted]:
    """Return the differences to the SDK that are as they should be, `accepted.yaml`."""
    file = resources.files("harness.drift") / "accepted.yaml"
    return msgspec.yaml.decode(file.read_bytes(), type=list[Accepted])


def sdk_differences(
    sdk: Sdk,
    streams: Iterable[tuple[str, Iterable[Event]]],
    accepted: Sequence[Accepted] | None = None,
) -> list[Difference]:
    """Return how the schemas differ from the SDK, given streams, each with where it is from.

    Without `accepted`, what is accepted is what `accepted_drift` says.
    """
    if accepted is None:
        accepted = accepted_drift()
    found: dict[str, str] = {}
    for id, where in (*_types(sdk), *_required(sdk), *_rejected(sdk, streams)):
        found.setdefault(id, where)
    return [Difference(id, where, reason_of(id, accepted)) for id, where in found.items()]


def _types(sdk: Sdk) -> Iterator[tuple[str, str]]:
    for kind, folder in _FOLDERS.items():
        ours, theirs = _ours(folder), set(sdk.models[kind])
        for type in sorted(theirs - ours):
            yield f"{kind} {type} missing", f"schemas/responses/{folder}"
        for type in sorted(ours - theirs):
            yield f"{kind} {type} only ours", f"schemas/responses/{folder}/{type}.json"


def _required(sdk: Sdk) -> Iterator[tuple[str, str]]:
    for kind, models in sdk.models.items():
        for type in sorted(models):
            path = "/".join(part for part in ("responses", _FOLDERS.get(kind), type) if part)
            file = SCHEMAS / f"{path}.json"
            if not file.is_file():
                continue
            ours = json.loads(file.read_text(encoding="utf-8")).get("required", ())
            for name in sorted(sdk.required(kind, type) - set(ours)):
                yield (
                    f"{f'{kind} {type}'.strip()}: field {name} not required",
                    f"schemas/{path}.json",
                )


def _rejected(
    sdk: Sdk, streams: Iterable[tuple[str, Iterable[Event]]]
) -> Iterator[tuple[str, str]]:
    tried: set[str] = set()
    for where, events in streams:
        for event in events:
            if event.data is None or schema.check_event(event.data):
                continue
            place = f"{where}, event {event.number} ({event.type})"
            if (why := sdk.rejects(event.data)) is not None:
                yield f"{_subject(event.type, why)} rejected", place
                continue
            for path, how, changed in _changed(event.data):
                what = _subject(event.type, f"{path} {how}")
                if what in tried:
                    continue
                tried.add(what)
                spoilt = changed()
                if not schema.check_event(spoilt) and sdk.rejects(spoilt) is not None:
                    yield f"{what} rejected", place


def _subject(type: str, what: str) -> str:
    """Return what it is about: a response is the same in all events that carry it."""
    if what.startswith("response."):
        return what.replace(".", ": ", 1)
    return f"event {type}: {what}"


def _changed(
    value: dict[str, Any],
) -> Iterator[tuple[str, str, typing.Callable[[], dict[str, Any]]]]:
    """Yield each field's path, what can become of it, and what makes the event with that."""

    def make(steps: Sequence[str | int], how: str) -> dict[str, Any]:
        changed = copy.deepcopy(value)
        holder: Any = changed
        for step in steps[:-1]:
            holder = holder[step]
        if how == "absent":
            del holder[steps[-1]]
        else:
            holder[steps[-1]] = None
        return changed

    for steps in _steps(value):
        path = "".join("[]" if isinstance(step, int) else f".{step}" for step in steps)[1:]
        for how in ("absent", "null"):
            yield path, how, functools.partial(make, steps, how)


def _steps(value: Any) -> Iterator[list[str | int]]:
    """Yield the way to each field in `value`, however deep."""
    pairs: Iterable[tuple[str | int, Any]]
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    for step, inner in pairs:
        if isinstance(step, str):
            yield [step]
        if isinstance(inner, (dict, list)):
            for steps in _steps(inner):
                yield [step, *steps]


@functools.cache
def _ours(folder: str) -> frozenset[str]:
    return frozenset(file.stem for file in (SCHEMAS / "responses" / folder).glob("*.json"))


def _by_type(annotation: Any) -> dict[str, Any]:
    """Return the models in an annotation, by the value of their `type`."""
    found: dict[str, Any] = {}
    for model in _models(annotation):
        for type in typing.get_args(model.model_fields["type"].annotation):
            found[type] = model
    return found


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    else:
        for inner in typing.get_args(annotation):
            yield from _models(inner)
