"""A scripted model, the proxy in front of it, and the official SDK's clients of the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from harness.codex_model import KEY, Model
from harness.scenarios import Turn
from harness.subject import OwnProxy

#: Never sent upstream.
CLIENT_KEY = "sk-the-clients-own"

Says = Callable[..., None]


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Model, OwnProxy]]:
    with (
        Model() as model,
        OwnProxy(model.base_url, api_key=KEY, environment={"CEREBRAS_TIMEOUT": "1"}) as proxy,
    ):
        yield model, proxy


@pytest.fixture
def model(running: tuple[Model, OwnProxy]) -> Model:
    return running[0]


@pytest.fixture
def base_url(running: tuple[Model, OwnProxy]) -> str:
    """Where the SDK finds the proxy."""
    return f"{running[1].url}/v1"


@pytest.fixture
def says(model: Model) -> Says:
    """Let the model play these turns."""

    def says(*turns: Turn) -> None:
        model.play(lambda offer: list(turns))

    return says


@pytest.fixture
def client(base_url: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=base_url, api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def with_async_client(base_url: str) -> Callable[[Callable[[Any], Any]], Any]:
    """Run a coroutine function with an asynchronous client, and return what it returns."""

    def run(use: Callable[[Any], Any]) -> Any:
        async def within() -> Any:
            async with openai.AsyncOpenAI(
                base_url=base_url, api_key=CLIENT_KEY, max_retries=0
            ) as client:
                return await use(client)

        return asyncio.run(within())

    return run
