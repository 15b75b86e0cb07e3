"""The pooled client: what both backends may rely on."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

from harness.server import LoopbackServer
from proxy.upstream import open_session
from tests.unit.proxy.backend import Backend
from tests.unit.proxy.provider import stream_until


def test_a_connection_that_is_kept_holds_no_answer() -> None:
    going_on = threading.Event()
    backend = Backend()
    backend.answer = stream_until(going_on, b"one", b"two")

    async def fetch(url: str) -> None:
        async with open_session() as session:
            async with session.get(url) as answer:
                going_on.set()
                assert await answer.read() == b"onetwo"
            ended = weakref.ref(answer)
            async with session.get(url) as answer:
                gc.collect()
                assert ended() is None
                assert await answer.read() == b"onetwo"

    with LoopbackServer(backend) as server:
        asyncio.run(fetch(server.url))
