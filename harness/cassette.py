"""A vcrpy cassette that keeps a stream as it came: its chunks, their times, and how it ended.

The format is vcrpy's, version 1, and stock vcrpy replays every file (as one chunk). Three things in
it are ours, and ignored by it:

- `response.stream`: `chunks` as `[[milliseconds since the request, bytes], ...]`, whose sizes add
  up to the body, and `end`, one of `ENDS`;
- `client_request`, beside `request` and `response`: what the client asked of the proxy, which made
  the proxy send `request`;
- `metadata.provenance`: where the recording is from.

Nothing is patched: vcrpy's patching reads a stream to its end before it hands over a byte, and in
replay answers the client under test itself, so that a test passes with the proxy switched off.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from vcr import matchers
from vcr.cassette import Cassette
from vcr.errors import MissingMetadataError
from vcr.record_mode import RecordMode
from vcr.request import Request

from harness.cassette_file import InvalidCassette, Persister, Serializer
from harness.difference import differences
from harness.redact import matchable
from harness.scenarios import Backend

__all__ = [
    "ENDS",
    "NO_ANSWER",
    "Cassette",
    "InvalidCassette",
    "Match",
    "backend_of",
    "check_digest",
    "chunks_of",
    "digest",
    "join",
    "load",
    "nearest",
    "new",
    "open_cassette",
    "play",
    "provenance",
    "save",
]

#: How a stream can end: as HTTP ends one; in the middle, by a closed connection; by a reset one; by
#: silence; because whoever read it left.
ENDS: Final = ("complete", "cut", "reset", "timeout", "abandoned")

#: How a request finds its recording: by all that it says; by what the conversation is about (real
#: clients word their requests differently with every version, and tools print other things); or by
#: its turn alone.
Match = Literal["content", "conversation", "turn"]

#: The status of an answer that never came; `end` says how the connection ended.
NO_ANSWER: Final = 0


def endpoint(one: Request, other: Request) -> None:
    """Match the last part of the path: what stands before it differs with the base URL."""
    names = [request.path.rpartition("/")[2] for request in (one, other)]
    assert names[0] == names[1], f"{names[0]} != {names[1]}"


def conversation(one: Request, other: Request) -> None:
    """Match what a conversation is about: neither prose, nor tools, nor what they printed."""
    assert _about(one) == _about(other), "another conversation"


def _about(request: Request) -> Any:
    body = matchable(_parsed(request.body))
    if not isinstance(body, dict):
        return body
    items = body.get("messages", body.get("input"))
    return [item for item in items if _says(item)] if isinstance(items, list) else items


def _says(item: Any) -> bool:
    """Whether there is something in an item but prose: each version of Codex has its own."""
    if not isinstance(item, dict) or item.get("role") not in ("user", "system", "developer"):
        return True
    content = item.get("content")
    return (
        bool(content) if isinstance(content, str) else any("text" in part for part in content or ())
    )


_MATCHERS: Final[Mapping[Match, tuple[Callable[[Request, Request], None], ...]]] = {
    "content": (matchers.method, endpoint, matchers.body),
    "conversation": (matchers.method, endpoint, conversation),
    "turn": (),
}


@contextmanager
def open_cassette(
    path: Path, *, record: bool = False, match: Match = "content", repeats: bool = False
) -> Iterator[Cassette]:
    """Open the cassette at `path` to replay it or, with `record`, to write it anew.

    Pass it to a `CassetteTransport`. With `repeats` an interaction can be played more than once. A
    new one takes the place of the old on the way out, or not at all where an exception comes by.
    Raises `InvalidCassette`.
    """
    if not record:
        yield load(path, match=match, repeats=repeats)
        return
    cassette = new()
    yield cassette
    save(cassette, path)


def load(path: Path, *, match: Match = "content", repeats: bool = False) -> Cassette:
    """Return the cassette at `path`, to be replayed; raises `InvalidCassette`."""
    if not path.is_file():
        raise InvalidCassette(f"{path}: there is no such cassette")
    return Cassette.load(
        path=str(path),
        serializer=Serializer,
        persister=Persister,
        record_mode=RecordMode.NONE,
        match_on=_MATCHERS[match],
        allow_playback_repeats=repeats,
    )


def join(paths: Iterable[Path], *, match: Match = "content", repeats: bool = False) -> Cassette:
    """Return one cassette with what is in all of them; raises `InvalidCassette`."""
    cassette = Cassette(
        "several cassettes",
        record_mode=RecordMode.NEW_EPISODES,
        match_on=_MATCHERS[match],
        allow_playback_repeats=repeats,
    )
    for path in paths:
        cassette.data += load(path).data
    return cassette


def new() -> Cassette:
    """Return an empty cassette, to be recorded."""
    return Cassette("a new cassette", record_mode=RecordMode.ALL)


def save(cassette: Cassette, path: Path) -> None:
    """Write `cassette` to `path`: whole, or not at all. Raises `InvalidCassette`, `OSError`."""
    if not len(cassette):
        raise InvalidCassette(f"{path}: nothing was recorded")
    content = {
        "requests": cassette.requests,
        "responses": copy.deepcopy(cassette.responses),  # vcrpy makes text of bodies, in place
        "metadata": cassette._metadata,
    }
    Persister.save_cassette(str(path), content, Serializer)


def provenance(cassette: Cassette) -> dict[str, Any]:
    """Return where the recording is from; raises `InvalidCassette` where it does not say."""
    try:
        return dict(cassette.get_metadata("provenance", None))
    except MissingMetadataError:
        raise InvalidCassette(f"{cassette.path}: has no metadata.provenance") from None


def play(cassette: Cassette, request: Request) -> dict[str, Any]:
    """Return the recorded answer to `request`: the next one, and when all were played the last.

    vcrpy's own would repeat the first, and a failure that was got over would never be.
    """
    if not cassette.allow_playback_repeats:
        return dict(cassette.play_response(request))
    matching = dict(cassette._responses(request))
    unplayed = (number for number in matching if not cassette.play_counts[number])
    number = next(unplayed, max(matching))
    cassette.play_counts[number] += 1
    return dict(matching[number])


def nearest(cassette: Cassette, request: Request) -> tuple[int, list[str]] | None:
    """Return which interaction is most like `request`, from 1, and in what it differs, by path.

    None where no request to that endpoint is recorded.
    """
    view = _about if conversation in cassette._match_on else lambda request: _parsed(request.body)
    asked = view(request)
    found = [
        (number, list(differences(view(recorded), asked)))
        for number, recorded in enumerate(cassette.requests, 1)
        if recorded.path.rpartition("/")[2] == request.path.rpartition("/")[2]
    ]
    return min(found, key=lambda one: len(one[1]), default=None)


def backend_of(cassette: Cassette) -> Backend:
    """Return whose answers these are: each backend has an endpoint of its own."""
    asked: str = cassette.requests[0].path
    return "cerebras" if asked.endswith("/chat/completions") else "chatgpt"


def chunks_of(response: Mapping[str, Any]) -> list[tuple[float, bytes]]:
    """Return the chunks of a recorded response: milliseconds since the request, and bytes."""
    body: bytes = response["body"]["string"]
    chunks = []
    start = 0
    for milliseconds, size in response["stream"]["chunks"]:
        chunks.append((float(milliseconds), body[start : start + size]))
        start += size
    return chunks


def digest(cassette: Cassette, origin: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what was recorded, and of where it is from.

    Requests count as JSON, streams byte by byte.
    """
    total = hashlib.sha256(_canonical({name: origin[name] for name in origin if name != "sha256"}))
    for request, response in cassette.data:
        asked: Mapping[str, Any] = response.get("client_request", {})
        total.update(_canonical({name: asked[name] for name in asked if name != "body"}))
        total.update(_canonical(_parsed(asked.get("body"))))
        total.update(_canonical([request.method, request.uri, dict(request.headers)]))
        total.update(_canonical(_parsed(request.body)))
        head = [response["status"], response["headers"], response["stream"]]
        total.update(_canonical(head) + response["body"]["string"] + b"\n")
    return total.hexdigest()


def check_digest(cassette: Cassette) -> None:
    """Raise `InvalidCassette` where a recording is not as it was when it was made."""
    origin = cassette.get_metadata("provenance", {}) if cassette._metadata else {}
    if origin and origin["sha256"] != digest(cassette, origin):
        raise InvalidCassette(f"{cassette.path}: was changed by hand; record it again")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, default=repr).encode() + b"\n"


def _parsed(body: str | bytes | None) -> Any:
    """Return a body so that its layout does not matter, where it is JSON."""
    try:
        return json.loads(body or b"")
    except ValueError:
        return repr(body)
