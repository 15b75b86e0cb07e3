"""The file of a cassette: vcrpy's YAML, version 1, laid out to be read, and written whole."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import yaml
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.serialize import deserialize, serialize

from harness import schema
from harness.errors import HarnessError

__all__ = ["InvalidCassette", "Persister", "Serializer"]

#: Seconds after which an unfinished file is one of somebody who was killed.
_LEFT_OVER: Final = 60

#: Texts whose content is kept: to play a cassette it is read thrice in a row.
_KEPT: Final = 8

#: Columns of the JSON and the lists in a file.
_WIDTH: Final = 100

#: What YAML reads as a line break or drops, and so cannot stand in a literal block.
_NOT_LITERAL: Final = "\r\x85\u2028\u2029\ufeff"


class InvalidCassette(HarnessError, ValueError):
    """A file that cannot be read as a cassette; the message names it and says why."""


class Persister:
    """UTF-8, whatever the locale, and a clear word on a file that cannot be read."""

    @staticmethod
    def load_cassette(path: str, serializer: type[Serializer]) -> Any:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise CassetteNotFoundError from None
        except UnicodeDecodeError as error:
            raise InvalidCassette(f"{path}: not UTF-8: {error}") from None
        try:
            return deserialize(text, serializer)
        except (yaml.YAMLError, ValueError) as error:
            raise InvalidCassette(f"{path}: no cassette: {error}") from error

    @staticmethod
    def save_cassette(
        path: str, cassette_dict: dict[str, Any], serializer: type[Serializer]
    ) -> None:
        content = serialize(cassette_dict, serializer).encode()
        try:
            _write_whole(Path(path), content)
        except OSError as error:
            raise HarnessError(f"{path}: cannot be written: {error.strerror}") from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, whenever that is interrupted, the old one or the new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = f".{path.name}."
    for left_over in path.parent.glob(f"{unfinished}*"):
        with contextlib.suppress(FileNotFoundError):  # another one clears up, too
            if time.time() - left_over.stat().st_mtime > _LEFT_OVER:
                left_over.unlink()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=unfinished, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


class Serializer:
    """vcrpy's YAML, laid out to be read: streams and JSON stand there as they look."""

    @staticmethod
    def serialize(cassette: dict[str, Any]) -> str:
        interactions = []
        for interaction in cassette["interactions"]:
            request, response = dict(interaction["request"]), dict(interaction["response"])
            entry = {"request": _laid_out(request), "response": response}
            if (client_request := response.pop("client_request", None)) is not None:
                entry = {"client_request": _laid_out(client_request), **entry}
            if "stream" in response:
                stream = response["stream"]
                chunks = _Flow([_Flow(chunk) for chunk in stream["chunks"]])
                response["stream"] = {"chunks": chunks, "end": stream["end"]}
            interactions.append(entry)
        # What it is stands above what it holds.
        document = {
            "version": cassette["version"],
            "metadata": cassette.get("metadata", {}),
            "interactions": interactions,
        }
        return yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH
        )

    @staticmethod
    def deserialize(text: str) -> dict[str, Any]:
        return copy.deepcopy(_document(text))  # whoever replays it may change it


@functools.lru_cache(maxsize=_KEPT)
def _document(text: str) -> dict[str, Any]:
    """Return what a cassette says, to be copied; raises `ValueError`, `yaml.YAMLError`."""
    # The C loader, where PyYAML was built with it, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
    faults = schema.check(document, "cassette.json")
    if faults:
        raise ValueError("; ".join(map(str, faults[:3])))
    for number, interaction in enumerate(document["interactions"]):
        response, place = interaction["response"], f"$.interactions[{number}]"
        # The schema cannot say it: bytes that are no text are of no type of JSON.
        if not isinstance(body := response["body"]["string"], str | bytes):
            raise ValueError(f"{place}.response.body.string: {body!r} is no text")
        size, chunks = len(_bytes(body)), response["stream"]["chunks"]
        if sum(chunk for _, chunk in chunks) != size:
            raise ValueError(f"{place}: the chunks are not {size} bytes")
        if not all(math.isfinite(milliseconds) for milliseconds, _ in chunks):
            raise ValueError(f"{place}: a chunk has no time")
        # vcrpy keeps what it does not know only inside of `response`.
        if "client_request" in interaction:
            response["client_request"] = interaction["client_request"]
    return document


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _laid_out(request: dict[str, Any]) -> dict[str, Any]:
    """Return `request` with its JSON laid out: requests are compared parsed, never as bytes."""
    headers = {name.lower(): value for name, value in request["headers"].items()}
    if "json" not in str(headers.get("content-type")):
        return request  # vcrpy compares it as bytes
    try:
        body = json.loads(request["body"])
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair cannot be written
    except (ValueError, TypeError):
        return request
    return {**request, "body": _json(body, "") + "\n"}


def _json(value: Any, indent: str) -> str:
    """Return `value` as JSON: on one line where it fits, else a line for each thing in it."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not value or not isinstance(value, dict | list):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        names = (f"{json.dumps(name, ensure_ascii=False)}: " for name in value)
        lines = [
            f"{name}{_json(item, inner)}" for name, item in zip(names, value.values(), strict=True)
        ]
        opening, closing = "{", "}"
    else:
        lines = [_json(item, inner) for item in value]
        opening, closing = "[", "]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{closing}"


class _Flow(list[Any]):
    """A list to be written on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if any(character in text for character in _NOT_LITERAL):
        style = '"'  # what a literal block would lose, the escapes of a quoted scalar keep
    else:
        style = "|" if "\n" in text else ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_flow(dumper: yaml.SafeDumper, data: _Flow) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(_Flow, _represent_flow)
