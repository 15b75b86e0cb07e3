"""A vcrpy cassette that keeps a stream as it came: its chunks, their times, and how it ended.

The format is vcrpy's, version 1, and stock vcrpy replays every file (as one chunk). Three things in
it are ours, and ignored by it:

- `response.stream`: `chunks` as `[[milliseconds since the request, bytes], ...]`, whose sizes add
  up to the body, and `end`, one of `ENDS`;
- `client_request`, beside `request` and `response`: what the client asked of the proxy, which made
  the proxy send `request`;
- `metadata.provenance`: where the recording is from.

vcrpy's patching is not used: it reads a stream to its end before it hands over a byte, and in
replay answers the client under test itself, so that a test passes with the proxy switched off.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import vcr
import yaml
from vcr.cassette import Cassette
from vcr.errors import MissingMetadataError
from vcr.patch import PATCHER_NAMES
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.record_mode import RecordMode
from vcr.serialize import deserialize, serialize

from harness import schema

__all__ = [
    "ENDS",
    "Cassette",
    "InvalidCassette",
    "Match",
    "check_digest",
    "chunks_of",
    "digest",
    "open_cassette",
    "provenance",
]

#: How a stream can end: as HTTP ends one; in the middle, by a closed connection; by a reset one; by
#: silence; because whoever read it left.
ENDS: Final = ("complete", "cut", "reset", "timeout", "abandoned")

#: How a request finds its recording: by what it says, or by its turn (real clients word their
#: requests differently with every version).
Match = Literal["content", "turn"]

_MATCHERS: Final[Mapping[Match, tuple[str, ...]]] = {
    "content": ("method", "path", "body"),
    "turn": (),
}

#: Columns of the JSON and the lists in a file.
_WIDTH: Final = 100

#: What YAML reads as a line break or drops, and so cannot stand in a literal block.
_NOT_LITERAL: Final = "\r\x85\u2028\u2029\ufeff"


class InvalidCassette(ValueError):
    """A file that cannot be read as a cassette; the message names it and says why."""


@contextmanager
def open_cassette(
    path: Path, *, record: bool = False, match: Match = "content"
) -> Iterator[Cassette]:
    """Open the cassette at `path` to replay it or, with `record`, to write it anew.

    Nothing is patched: pass the cassette to a `CassetteTransport`. A new one takes the place of the
    old on the way out, or not at all where an exception comes by. Raises `InvalidCassette`.
    """
    recorder = vcr.VCR(
        match_on=_MATCHERS[match], record_mode=RecordMode.ALL if record else RecordMode.NONE
    )
    recorder.register_serializer("stream", _Serializer)
    recorder.register_persister(_Persister)
    options = {
        "serializer": "stream",
        "skip_patchers": PATCHER_NAMES,
        "record_on_exception": False,
    }
    if not record:
        if not path.is_file():
            raise InvalidCassette(f"{path}: there is no such cassette")
        with recorder.use_cassette(str(path), **options) as cassette:
            yield cassette
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".recording-") as folder:
        unfinished = Path(folder, path.name)
        with recorder.use_cassette(str(unfinished), **options) as cassette:
            yield cassette
        if not unfinished.exists():
            raise InvalidCassette(f"{path}: nothing was recorded")
        unfinished.replace(path)


def provenance(cassette: Cassette) -> dict[str, Any]:
    """Return where the recording is from; raises `InvalidCassette` where it does not say."""
    try:
        return dict(cassette.get_metadata("provenance", None))
    except MissingMetadataError:
        raise InvalidCassette(f"{cassette.path}: has no metadata.provenance") from None


def chunks_of(response: Mapping[str, Any]) -> list[tuple[float, bytes]]:
    """Return the chunks of a recorded response: milliseconds since the request, and bytes."""
    body: bytes = response["body"]["string"]
    chunks = []
    start = 0
    for milliseconds, size in response["stream"]["chunks"]:
        chunks.append((float(milliseconds), body[start : start + size]))
        start += size
    return chunks


def digest(cassette: Cassette) -> str:
    """Return the SHA-256 of what was recorded: requests, as JSON, and streams, byte by byte."""
    total = hashlib.sha256()
    for request, response in cassette.data:
        for body in (response.get("client_request", {}).get("body"), request.body):
            total.update(_canonical(body) + b"\n")
        total.update(response["body"]["string"] + response["stream"]["end"].encode() + b"\n")
    return total.hexdigest()


def check_digest(cassette: Cassette) -> None:
    """Raise `InvalidCassette` where a recording is not as it was when it was made."""
    origin = cassette.get_metadata("provenance", {}) if cassette._metadata else {}
    if origin and origin["sha256"] != digest(cassette):
        raise InvalidCassette(f"{cassette.path}: was changed by hand; record it again")


def _canonical(body: str | bytes | None) -> bytes:
    """Return a body so that its layout does not matter, where it is JSON."""
    try:
        return json.dumps(json.loads(body or b""), sort_keys=True).encode()
    except ValueError:
        return _bytes(body or b"")


# --- the file ------------------------------------------------------------------------------------


class _Persister:
    """UTF-8, whatever the locale, and a clear word on a file that cannot be read."""

    @staticmethod
    def load_cassette(path: str, serializer: type[_Serializer]) -> Any:
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
        path: str, cassette_dict: dict[str, Any], serializer: type[_Serializer]
    ) -> None:
        text = serialize(cassette_dict, serializer)
        Path(path).write_text(text, encoding="utf-8", newline="")


class _Serializer:
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
        # The C loader, where PyYAML was built with it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
        faults = schema.check(document, "cassette.json")
        if faults:
            raise ValueError("; ".join(map(str, faults[:3])))
        for number, interaction in enumerate(document["interactions"]):
            response = interaction["response"]
            size = len(_bytes(response["body"]["string"]))
            if sum(chunk for _, chunk in response["stream"]["chunks"]) != size:
                raise ValueError(f"$.interactions[{number}]: the chunks are not {size} bytes")
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
