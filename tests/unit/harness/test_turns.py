"""A provider that answers by turn."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from harness.turns import TurnTransport
from tests.unit.harness.handmade import response


def ask(transport: TurnTransport, method: str = "POST", body: str = "whatever") -> httpx.Response:
    async def asked() -> httpx.Response:
        request = httpx.Request(method, "http://provider/v1/chat/completions", content=body)
        answer = await transport.handle_async_request(request)
        await answer.aread()
        return answer

    return asyncio.run(asked())


def test_each_turn_has_its_answers_whatever_is_asked() -> None:
    transport = TurnTransport()

    transport.begin([response(b"one")])
    assert ask(transport, body="{").content == b"one"
    transport.begin([response(b"two"), response(b"three")])
    assert [ask(transport).content for _ in range(3)] == [b"two", b"three", b"three"]
    assert len(transport.played) == 2


def test_a_turn_in_which_nothing_was_asked_played_nothing() -> None:
    transport = TurnTransport()
    transport.begin([response(b"one")])
    ask(transport)

    transport.begin([response(b"two")])

    assert transport.played == []


def test_what_is_asked_beside_the_conversation_is_no_turn() -> None:
    transport = TurnTransport()
    transport.begin([response(b"one")])

    assert ask(transport, "GET").status_code == 404
    assert transport.played == []


def test_no_answer_is_none() -> None:
    transport = TurnTransport()
    transport.begin([{**response(b"", end="cut"), "status": {"code": 0, "message": "no answer"}}])

    with pytest.raises(httpx.RemoteProtocolError):
        ask(transport)
