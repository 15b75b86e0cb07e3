"""Cassettes to be shown, and what is seen of them."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from vcr.request import Request

from harness.cassette import open_cassette
from harness.show import show
from tests.unit.harness.handmade import Json, response, write

NOW = datetime.datetime(2026, 11, 25, 18, tzinfo=datetime.UTC)

ORIGIN = {
    "scenario": "handmade",
    "backend": "cerebras",
    "model": "gpt-oss-120b",
    "upstream": "live",
    "client": "codex 0.163.0",
    "recorded_at": "2026-11-22T12:00:00+00:00",
    "recorder": "codex-proxy-conformance 0.1.0",
    "sha256": "0f" * 32,
}

CHATGPT = "https://chatgpt.com/backend-api/codex/responses"


def shown(path: Path, **more: Any) -> str:
    with open_cassette(path) as cassette:
        return show(cassette, **{"color": False, "width": 80, "now": NOW, **more})


def asking(body: Json) -> Json:
    return {"method": "POST", "path": "/v1/responses", "headers": {}, "body": json.dumps(body)}


def sending(body: Json, uri: str = "https://api.cerebras.ai/v1/chat/completions") -> Request:
    headers = {"content-type": "application/json"}
    return Request("POST", uri, json.dumps(body).encode(), headers)


def chunks(*deltas: Json, finish: str = "stop", usage: Json | None = None) -> list[bytes]:
    """Return an answer of Cerebras', a chunk for each delta."""
    said = [{"choices": [{"delta": delta, "index": 0}]} for delta in deltas]
    end = {"choices": [{"delta": {}, "finish_reason": finish, "index": 0}], "usage": usage}
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in [*said, end]]


def calling(id: str, name: str, arguments: str, index: int = 0) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def rows(text: str, label: str) -> list[str]:
    """Return the text beside each `label`, with the lines that go on below it."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(f"  {label} "):
            found.append(line[13:])
        elif found and line.startswith(" " * 13):
            found[-1] += f"\n{line[13:]}"
        elif found:
            found.append("")  # what follows belongs to another label
    return [row for row in found if row]


def without_color(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def answered(
    tmp_path: Path, *body: bytes, uri: str = "http://p/v1/chat/completions", **more: Any
) -> str:
    answer = {**response(*body), **more}
    return shown(write(tmp_path / "c.yaml", (sending({}, uri), answer)))
