"""`openai-agents`: an agent with two tools works through the proxy until it has its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import agents
import openai
import pytest

from harness.codex_model import Model
from harness.scenarios import Call, Turn
from tests.sdk.conftest import CLIENT_KEY, Says

FIRST = Turn(reasoning="The city first.", calls=[Call("a1", "city", {"person": "Ada"})])
SECOND = Turn(reasoning="Now the weather.", calls=[Call("a2", "weather", {"city": "Köln"})])
BOTH = Turn(
    calls=[Call("b1", "city", {"person": "Ada"}), Call("b2", "weather", {"city": "Bonn"})],
    interleaved=True,
)
LAST = Turn(text="It rains where Ada is.")


class Tools:
    """What the agent can do, and what it did."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def city(self, person: str) -> str:
        """Tell where a person is."""
        self.calls.append(f"city of {person}")
        return "Köln"

    def weather(self, city: str) -> str:
        """Tell the weather of a city."""
        self.calls.append(f"weather of {city}")
        return f"rain in {city}"


def run_agent(base_url: str, tools: Tools, *, streamed: bool) -> str:
    async def within() -> Any:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=CLIENT_KEY) as client:
            agent = agents.Agent(
                name="forecaster",
                instructions="Tell the weather where a person is.",
                model=agents.OpenAIResponsesModel("gpt-oss-120b", client),
                tools=[agents.function_tool(tools.city), agents.function_tool(tools.weather)],
            )
            config = agents.RunConfig(tracing_disabled=True)
            if not streamed:
                return (await agents.Runner.run(agent, "Ada?", run_config=config)).final_output
            result = agents.Runner.run_streamed(agent, "Ada?", run_config=config)
            async for _ in result.stream_events():
                pass
            return result.final_output

    return str(asyncio.run(within()))


@pytest.mark.parametrize("streamed", [False, True])
def test_two_tools_one_after_the_other(
    base_url: str, says: Says, model: Model, *, streamed: bool
) -> None:
    says(FIRST, SECOND, LAST)
    tools = Tools()

    assert run_agent(base_url, tools, streamed=streamed) == LAST.text

    assert tools.calls == ["city of Ada", "weather of Köln"]
    assert len(model.requests) == 3
    results = [m["content"] for m in model.requests[-1]["messages"] if m["role"] == "tool"]
    assert results == ["Köln", "rain in Köln"]


@pytest.mark.parametrize("streamed", [False, True])
def test_two_tools_at_once(base_url: str, says: Says, model: Model, *, streamed: bool) -> None:
    says(BOTH, LAST)
    tools = Tools()

    assert run_agent(base_url, tools, streamed=streamed) == LAST.text

    assert sorted(tools.calls) == ["city of Ada", "weather of Bonn"]
    assert len(model.requests) == 2
