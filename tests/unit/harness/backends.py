"""The emulator of each backend, asked over real HTTP as a client of that backend asks."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from harness import scenarios
from harness.client import Event, read_events
from harness.emulator import Emulator
from harness.scenarios import Scenario
from tests.unit.harness.handmade import Json

#: Streams that were recorded of the real backends; not everyone has them.
CORPUS: Final = Path(__file__).resolve().parents[4] / "shared" / "corpus"

KEY: Final = "the-emulators-key"

ASKED: Final[Json] = {"role": "user", "content": "say hello"}

#: The least that each backend takes.
CHAT: Final[Json] = {"model": "gpt-oss-120b", "messages": [ASKED], "stream": True}
RESPONSES: Final[Json] = {
    "model": "gpt-5.5",
    "instructions": "Be brief.",
    "input": [ASKED],
    "store": False,
    "stream": True,
}


class Backend(NamedTuple):
    """Who is emulated, and what it is asked."""

    name: scenarios.Backend
    path: str
    request: Json

    def emulator(self, played: Scenario) -> Emulator:
        return Emulator(played, backend=self.name, api_key=KEY)

    def ask(
        self,
        emulator: Emulator,
        request: Json | bytes | None = None,
        *,
        method: str = "POST",
        path: str | None = None,
        key: str | None = KEY,
        headers: Json | None = None,
    ) -> httpx.Response:
        """Return the whole answer to `request`, by default the least that there is."""
        body = self.request if request is None else request
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        login = {} if key is None else {"authorization": f"Bearer {key}"}
        with httpx.Client(verify=False, trust_env=False) as http:
            return http.request(
                method,
                emulator.base_url + (path or self.path),
                content=content,
                headers={**login, **(headers or {})},
            )

    def play(self, played: Scenario, request: Json | None = None) -> httpx.Response:
        with self.emulator(played) as emulator:
            return self.ask(emulator, request)

    def connect(self, emulator: Emulator) -> socket.socket:
        """Return a connection over which the request was sent."""
        parts = urlsplit(emulator.base_url + self.path)
        body = json.dumps(self.request).encode()
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
        connection.sendall(head.encode() + body)
        return connection


CEREBRAS: Final = Backend("cerebras", "/chat/completions", CHAT)
CHATGPT: Final = Backend("chatgpt", "/responses", RESPONSES)


def events_of(answer: httpx.Response) -> list[Event]:
    """Return the events of a Responses stream."""
    assert answer.status_code == 200, answer.text
    return read_events(answer.content)


def chunks_of(answer: httpx.Response) -> list[Json]:
    """Return the chunks of a Chat Completions stream."""
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.content.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def items_of(events: Sequence[Event]) -> list[Json]:
    """Return the items that were done."""
    return [event["item"] for event in events if event.type == "response.output_item.done"]


def received(connection: socket.socket) -> tuple[bytes, type[Exception] | None]:
    """Return the body as it stood on the wire, and what ended the connection but for a FIN."""
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
    except OSError as error:
        return answer.partition(b"\r\n\r\n")[2], type(error)
    return answer.partition(b"\r\n\r\n")[2], None
