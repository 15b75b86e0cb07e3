"""The proxy streams: it does not wait for the provider to finish."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx

from harness.cassette import open_cassette
from harness.provider import Provider
from harness.subject import OwnProxy
from harness.transport import CassetteTransport
from tests.cassettes import cerebras


def test_the_first_events_leave_before_the_provider_has_finished(
    provider: Provider, proxy: OwnProxy
) -> None:
    read = threading.Event()
    waits: list[bool] = []

    async def until_the_client_has_read(number: int, milliseconds: float) -> None:
        if number == 1:
            waits.append(await asyncio.to_thread(read.wait, 10))

    with open_cassette(cerebras("hello")) as cassette:
        transport = CassetteTransport(cassette, pace=lambda: until_the_client_has_read)
        provider.play(transport)
        body = json.loads(cassette.responses[0]["client_request"]["body"])
        with httpx.stream(
            "POST", f"{proxy.url}/v1/responses", json=body, trust_env=False
        ) as response:
            chunks = response.iter_bytes()
            first = next(chunks)
            read.set()
            rest = b"".join(chunks)

    assert first.startswith(b"event: response.created\n")
    assert b"event: response.completed\n" in rest
    # The provider went on because the client had read, not because it was tired of waiting.
    assert waits == [True]
