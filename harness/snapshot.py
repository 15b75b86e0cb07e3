"""A replay as text, to be compared with a snapshot: per turn the request upstream in short, then
one event a line. Ids are renamed by first appearance, so that what refers to what stays visible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from harness.replay import Replay

__all__ = ["render"]

#: Fields that change from run to run though nothing has changed.
_TIMES: Final = ("created_at", "completed_at")

#: Characters of a text that is shown.
_LONGEST: Final = 2000

_LINE_BREAKS: Final = {ord(one): f"\\u{ord(one):04x}" for one in "\x85\u2028\u2029\ufeff"}

_ID: Final = re.compile(r"\b(resp|rs|msg|fc|ctc|cmp)_[A-Za-z0-9_-]+")


def render(played: Replay) -> str:
    """Return the replay as text."""
    return _Ids().rename("".join(f"{line}\n" for line in _lines(played)))


def _lines(played: Replay) -> Iterator[str]:
    asked = iter(played.upstream_requests)
    for number, exchange in enumerate(played.exchanges):
        for tries, response in enumerate(exchange.responses or [{}]):
            yield f"=== turn {number + 1}: upstream{', again' if tries else ''}"
            if (request := next(asked, None)) is not None:
                yield from _request(request)
                yield from _refusal(response)
        yield f"=== turn {number + 1}: events (HTTP {exchange.answer.status})"
        if exchange.answer.status != 200 and exchange.answer.text:
            yield exchange.answer.text
        for event in exchange.events:
            # Not the numbers: one event more would change every line after it (sequence/1 counts).
            rest = {
                name: value
                for name, value in (event.data or {}).items()
                if name not in ("type", "sequence_number")
            }
            yield f"{event.type} {_json(_without_times(rest))}"
        yield ""


def _request(request: dict[str, Any]) -> Iterator[str]:
    for message in request["messages"]:
        rest = {name: value for name, value in message.items() if name != "role"}
        yield f"{message['role']} {_json(rest)}"
    names = [tool["function"]["name"] for tool in request.get("tools", ())]
    yield f"tools {_json(names)}"
    rest = {name: value for name, value in request.items() if name not in ("messages", "tools")}
    yield f"parameters {_json(rest)}"


def _refusal(response: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the provider answered, where it was no whole stream."""
    status = response.get("status", {}).get("code", 200)
    end = response.get("stream", {}).get("end", "complete")
    if status != 200:
        body = response["body"]["string"].decode(errors="replace")
        yield f"HTTP {status} {_json(dict(response['headers']))} {body}".strip()
    if end != "complete":
        yield f"the stream ended: {end}"


def _without_times(data: dict[str, Any]) -> dict[str, Any]:
    response = data.get("response")
    if isinstance(response, dict):
        times = {name: "..." for name in _TIMES if response.get(name) is not None}
        # What the response echoes of the request is long, and told above.
        tools = f"... {len(response.get('tools') or [])} tools"
        data["response"] = {**response, **times, "tools": tools}
    return data


def _json(value: object) -> str:
    text = json.dumps(_shortened(value), ensure_ascii=False, separators=(", ", ": "))
    # A line is a line for whoever reads the file.
    return text.translate(_LINE_BREAKS)


def _shortened(value: Any) -> Any:
    """Return `value` with digests in the place of texts that nobody would read."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"... {len(value)} characters, sha256 {sha256(value.encode()).hexdigest()[:16]}"
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


class _Ids:
    """Names for ids: the first response id is resp_1, the second resp_2."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def rename(self, text: str) -> str:
        return _ID.sub(lambda match: self._name(match[0], match[1]), text)

    def _name(self, id: str, prefix: str) -> str:
        if id not in self._names:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._names[id] = f"{prefix}_{self._counts[prefix]}"
        return self._names[id]
