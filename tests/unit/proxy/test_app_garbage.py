"""The application over HTTP: what is over is forgotten at once, and not when garbage is collected.

An answer may be megabytes of text in few objects: Python would wait for many of them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from proxy.reconstruct import ResponseStream
from proxy.settings import Settings
from tests.unit.proxy.provider import Answer, Provider, hold, reply, stream, stream_and_break
from tests.unit.proxy.serving import serving, wait_for
from tests.unit.proxy.streams import Json, finishes, says

REQUEST: Json = {"model": "gpt-oss-120b", "input": "Say hello.", "stream": True}


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def kept() -> int:
    """Return how many streams there are in this process, which is the proxy's."""
    return sum(isinstance(each, ResponseStream) for each in gc.get_objects())


@pytest.mark.parametrize(
    "answer",
    [
        stream(says("Hello") + finishes()),
        stream(says("Hello")),
        stream_and_break(says("Hello")),
        hold(threading.Event(), says("Hello")),
        hold(threading.Event()),
        reply(429),
    ],
    ids=["completed", "unfinished", "broken", "silent", "silent at once", "refused"],
)
@pytest.mark.usefixtures("no_collection")
def test_an_answer_that_is_over_is_forgotten(
    provider_url: str, upstream: Provider, answer: Answer
) -> None:
    upstream.answer = answer
    with serving(Settings(api_key="k", base_url=provider_url, timeout=0.3)) as client:
        client.post("/v1/responses", json=REQUEST)
        wait_for(lambda: kept() == 0)


@pytest.mark.usefixtures("no_collection")
def test_an_answer_that_a_client_left_is_forgotten(provider_url: str, upstream: Provider) -> None:
    upstream.answer = hold(threading.Event(), says("Hello"))
    with serving(Settings(api_key="k", base_url=provider_url)) as client:
        with client.stream("POST", "/v1/responses", json=REQUEST) as response:
            data = response.iter_raw()
            next(data)
            assert kept() == 1
        wait_for(lambda: kept() == 0)
