"""An emulator, asked as a client of Cerebras asks."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx

from harness.emulator import Emulator
from harness.scenarios import Call, Scenario
from tests.unit.harness.handmade import Json

KEY = "csk-emulator"

ONE = Call(id="a1", name="exec_command", arguments={"cmd": "echo one", "workdir": "/tmp"})

ASKED = [{"role": "user", "content": "say hello"}]
CALLING = {
    "role": "assistant",
    "tool_calls": [
        {"id": "a1", "type": "function", "function": {"name": "exec_command", "arguments": "{}"}}
    ],
}


class Answered(NamedTuple):
    """What came back, and when."""

    status: int
    content_type: str
    body: bytes
    #: Seconds from the request to the first and to the last byte.
    first: float
    last: float

    @property
    def chunks(self) -> list[Any]:
        """The JSON of all events but `[DONE]`."""
        lines = [line for line in self.body.split(b"\n\n") if line and line != b"data: [DONE]"]
        return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def ask(
    url: str,
    messages: Sequence[Json] = ASKED,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    key: str | None = KEY,
    content: bytes | None = None,
    **more: object,
) -> Answered:
    body = {"model": "gpt-oss-120b", "messages": messages, "stream": True, **more}
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    start = time.perf_counter()
    with (
        httpx.Client(verify=False, trust_env=False) as http,
        http.stream(
            method,
            url + path,
            content=json.dumps(body).encode() if content is None else content,
            headers=headers,
        ) as answer,
    ):
        pieces = [(time.perf_counter() - start, piece) for piece in answer.iter_raw()]
    body_read = b"".join(piece for _, piece in pieces)
    first, last = (pieces[0][0], pieces[-1][0]) if pieces else (0.0, 0.0)
    content_type = answer.headers["content-type"]
    return Answered(answer.status_code, content_type, body_read, first, last)


def play(played: Scenario, messages: Sequence[Json] = ASKED) -> Answered:
    with Emulator(played, api_key=KEY) as emulator:
        return ask(emulator.url, messages)
