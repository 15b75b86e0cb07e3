"""Looks through a recording for secrets: before it is written, and what is on disk.

Every text of it is looked at: URLs, headers, the strings of requests, the bytes of answers, and
what their deltas say once they are joined, for a stream may spell a key over several events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx

from harness.chat_stream import read_chat_stream
from harness.redact import REQUEST_HEADERS, RESPONSE_HEADERS, KeptHeaders
from harness.secrets import Own, finds, own_secrets

__all__ = ["Secret", "scan", "scan_text", "unpacked"]


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that must not be in a file."""

    #: `Cerebras key`, `JWT`, `value of CEREBRAS_API_KEY`, ...
    kind: str
    #: `interaction 2, client request, $.input[3].content[0].text`
    place: str
    #: Its beginning: six characters at most, and a third of it at most.
    shown: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind} ({self.shown})"


def scan(
    interactions: Iterable[tuple[Any, Mapping[str, Any]]],
    *,
    extra: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> list[Secret]:
    """Return the secrets in a recording, whose interactions are as a cassette's `data` has them.

    Besides what looks like a secret: `extra`, and what `own_secrets` finds in `environ`. What is in
    one body, or one header, more than once is told once, with its first place.
    """
    texts = (
        text
        for number, (request, response) in enumerate(interactions, 1)
        for text in _interaction(number, request, response)
    )
    return _scan(texts, own_secrets(environ, extra))


def scan_text(
    text: str, *, extra: Iterable[str] = (), environ: Mapping[str, str] = os.environ
) -> list[Secret]:
    """Return the secrets in a text, as `scan` does; their places are lines, counted from 1."""
    return _scan([_Text("", text, unit="line")], own_secrets(environ, extra))


def _scan(texts: Iterable[_Text], own: list[Own]) -> list[Secret]:
    found: dict[tuple[str, str], Secret] = {}
    names: set[str] = set()
    for text in texts:
        here = [(text, find) for find in finds(text.text, own)]
        if here:
            inner = [(inner, find) for inner in text.inner() for find in finds(inner.text, own)]
            named = {find.kind for _, find in inner}
            here = inner + [(text, find) for text, find in here if find.kind not in named]
        elif text.otherwise:
            where = text.where()
            found[where, ""] = Secret(text.otherwise, where, _shown(text.text))
        for spot, find in here:
            secret = Secret(find.kind, spot.where(find.start), _shown(find.secret))
            found.setdefault((text.part, find.secret), secret)
            if spot.is_name:
                names.add(find.secret)
    # The name of a field may be a secret, and is in the path to what the field holds.
    for name in names:
        for key, secret in found.items():
            found[key] = replace(secret, place=secret.place.replace(name, _shown(name)))
    return list(found.values())


def _shown(secret: str) -> str:
    return f"{secret[: min(6, len(secret) // 3)]}..."


# --- the texts of a recording --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a recording."""

    #: Of what is in a part more than once, only the first place is told.
    part: str
    text: str
    #: Where in the part.
    place: str = ""
    #: What places in it are counted in.
    unit: Literal["byte", "line"] | None = None
    #: What it is where nothing is found in it.
    otherwise: str = ""
    #: Whether it is the name of a field.
    is_name: bool = False
    #: The texts in it, which name a place better.
    inner: Callable[[], Iterable[_Text]] = tuple

    def where(self, start: int | None = None) -> str:
        place = self.part + self.place
        if start is None or self.unit is None:
            return place
        number = start if self.unit == "byte" else self.text.count("\n", 0, start) + 1
        return f"{place}, {self.unit} {number}" if place else f"{self.unit} {number}"


def _interaction(number: int, request: Any, response: Mapping[str, Any]) -> Iterator[_Text]:
    if (client := response.get("client_request")) is not None:
        part = f"interaction {number}, client request"
        yield _Text(part, client["path"], ", path")
        yield from _headers(part, client["headers"], REQUEST_HEADERS)
        yield _body(part, client["headers"], client["body"])
    part = f"interaction {number}, request"
    yield _Text(part, request.uri, ", URL")
    yield from _headers(part, request.headers, REQUEST_HEADERS)
    yield _body(part, request.headers, request.body)
    part = f"interaction {number}, response"
    yield from _headers(part, response["headers"], RESPONSE_HEADERS)
    body = _body(f"{part} body", response["headers"], response["body"]["string"])
    yield replace(body, inner=tuple)  # of an answer the bytes are told
    for name, text in _joined(body.text.encode("latin-1")):
        yield _Text(f"{part} body", text, f", the deltas of {name}")


def _headers(part: str, headers: Mapping[str, Any], kept: KeptHeaders) -> Iterator[_Text]:
    for name, given in headers.items():
        for value in given if isinstance(given, list | tuple) else [given]:
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            otherwise = "" if name in kept else "header that is not to be kept"
            yield _Text(f"{part}, header {name.lower()}", text, otherwise=otherwise)


def _body(part: str, headers: Mapping[str, Any], body: str | bytes | None) -> _Text:
    """Return a body, a character for each byte; in it are its strings, where it is JSON."""
    plain = unpacked(headers, body)
    if plain is None:
        return _Text(part, "", otherwise="body in an encoding that cannot be looked into")
    return _Text(part, plain.decode("latin-1"), unit="byte", inner=lambda: _strings(part, plain))


def _strings(part: str, body: bytes) -> Iterator[_Text]:
    left = [("$", _parsed(body))]
    while left:
        path, value = left.pop()
        match value:
            case str():
                yield _Text(part, value, f", {path}")
            case _Object():
                for name, _ in value:
                    yield _Text(part, name, f", a name in {path}", is_name=True)
                left += [(f"{path}.{name}", item) for name, item in reversed(value)]
            case list():
                left += [(f"{path}[{number}]", item) for number, item in enumerate(value)][::-1]


class _Object(list[tuple[str, Any]]):
    """An object of JSON with all that is in it: of two with one name a `dict` keeps one."""


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return None


def unpacked(headers: Mapping[str, Any], body: str | bytes | None) -> bytes | None:
    """Return a body without its content encoding; None where that cannot be taken off."""
    data = body.encode(errors="surrogatepass") if isinstance(body, str) else body or b""
    encodings = [value for name, value in headers.items() if name.lower() == "content-encoding"]
    encoding = ", ".join(
        each for value in encodings for each in (value if isinstance(value, list) else [value])
    )
    if not data or encoding in ("", "identity"):
        return data
    answer = httpx.Response(
        200, headers={"content-encoding": encoding}, stream=httpx.ByteStream(data)
    )
    try:
        plain = answer.read()
    except httpx.DecodingError:
        return None
    return None if plain == data else plain  # httpx lets pass what it does not know


def _joined(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the texts that a stream spells over its events, each by a name."""
    if b'"choices"' in body:
        said = read_chat_stream(body)
        yield "the reasoning", said.reasoning
        yield "the text", said.text
        for number, call in enumerate(said.calls, 1):
            yield f"call {number}", call.arguments
    deltas: dict[str, list[str]] = {}
    for line in body.split(b"\n"):
        if line.startswith(b"data:") and b'"delta"' in line and b'"response.' in line:
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            match event:
                case {"type": str(kind), "delta": str(delta), **more}:
                    part = more.get("content_index", more.get("summary_index", 0))
                    name = f"{kind} of item {more.get('item_id')}, part {part}"
                    deltas.setdefault(name, []).append(delta)
    for name, texts in deltas.items():
        yield name, "".join(texts)
