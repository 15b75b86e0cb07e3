"""What a turn can say, and how each backend says it; which turn is next after a compaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from harness.emulator import Emulator
from harness.scenarios import Call, Turn
from tests.unit.harness.backends import (
    ASKED,
    CEREBRAS,
    CHAT,
    CHATGPT,
    Backend,
    chunks_of,
    events_of,
    items_of,
)
from tests.unit.harness.handmade import Json, scenario, turn

# --- calls ---------------------------------------------------------------------------------------

ONE: Final = Call(id="a1b2c3d4e", name="exec_command", arguments={"cmd": "echo one"})
TWO: Final = Call(id="b1b2c3d4e", name="exec_command", arguments={"cmd": "echo two"})
PATCH: Final = Call(id="c1b2c3d4e", name="apply_patch", arguments='*** "Begin"\n', kind="custom")
WAIT: Final = Call(id="d1b2c3d4e", name="wait_agent", arguments={}, namespace="multi_agent_v1")


def test_cerebras_sends_whole_calls_together_in_one_chunk() -> None:
    whole = Turn(text="Hm.", calls=[ONE, TWO], whole_calls=True)

    chunks = chunks_of(CEREBRAS.play(scenario(whole)))

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (calls,) = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert calls == [
        {
            "function": {"name": "exec_command", "arguments": call.arguments_text},
            "type": "function",
            "id": call.id,
            "index": index,
        }
        for index, call in enumerate([ONE, TWO])
    ]


def test_chatgpt_sends_whole_calls_in_one_delta_each() -> None:
    whole = Turn(text="Hm.", calls=[ONE, PATCH], whole_calls=True)

    events = events_of(CHATGPT.play(scenario(whole)))

    deltas = [event["delta"] for event in events if "call" in event.type and event["delta"]]
    assert deltas == [ONE.arguments_text, PATCH.arguments_text]


def test_cerebras_has_no_custom_tools_only_ones_that_take_an_input() -> None:
    chunks = chunks_of(CEREBRAS.play(scenario(Turn(text="Hm.", calls=[PATCH], whole_calls=True))))

    (call,) = chunks[-2]["choices"][0]["delta"]["tool_calls"]
    assert call["function"] == {
        "name": "apply_patch",
        "arguments": '{"input": "*** \\"Begin\\"\\n"}',
    }


def test_chatgpt_calls_a_custom_tool_with_text() -> None:
    *_, item = items_of(events_of(CHATGPT.play(scenario(Turn(text="Hm.", calls=[PATCH])))))

    assert (item["type"], item["name"]) == ("custom_tool_call", "apply_patch")
    assert item["input"] == '*** "Begin"\n'


@pytest.mark.parametrize(
    ("offered", "called"),
    [
        (["exec_command", "multi_agent_v1__wait_agent"], "multi_agent_v1__wait_agent"),
        (["wait_agent"], "wait_agent"),
        ([], "wait_agent"),
    ],
)
def test_cerebras_calls_a_tool_by_the_name_that_it_was_offered(
    offered: list[str], called: str
) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in offered]
    request = {**CHAT, "tools": tools} if tools else CHAT

    answer = CEREBRAS.play(scenario(Turn(text="Hm.", calls=[WAIT], whole_calls=True)), request)

    (call,) = chunks_of(answer)[-2]["choices"][0]["delta"]["tool_calls"]
    assert call["function"]["name"] == called


def test_chatgpt_calls_a_tool_by_name_and_namespace() -> None:
    *_, item = items_of(events_of(CHATGPT.play(scenario(Turn(text="Hm.", calls=[WAIT])))))

    assert (item["namespace"], item["name"]) == ("multi_agent_v1", "wait_agent")


@pytest.mark.parametrize("backend", [CEREBRAS, CHATGPT], ids=lambda backend: backend.name)
def test_arguments_can_be_filled_up(backend: Backend) -> None:
    filled = Call("a1b2c3d4e", "write", {"text": "<{filler}>"}, filler=100_000, chunks=7)

    answer = backend.play(scenario(Turn(text="Hm.", calls=[filled])))

    assert 100_000 < len(filled.arguments_text) < 120_000
    assert '"<line      0\\nline      1\\n' in filled.arguments_text
    if backend is CEREBRAS:
        calls = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks_of(answer)]
        pieces = [call["function"]["arguments"] for called in calls for call in called or ()]
        assert len(pieces) == 1 + 7
    else:
        events = events_of(answer)
        kind = "response.function_call_arguments.delta"
        pieces = [event["delta"] for event in events if event.type == kind]
        assert len(pieces) == 7
    assert "".join(pieces) == filled.arguments_text


# --- Cerebras' dialects --------------------------------------------------------------------------


def deltas_in(dialect: str, said: Turn) -> list[Json]:
    chunks = chunks_of(CEREBRAS.play(scenario(said, dialect=dialect)))
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_glm_says_where_thinking_begins_and_ends_and_that_it_stops() -> None:
    assert deltas_in("2025-11-glm", turn("Hi", reasoning="Hm")) == [
        {"content": "", "role": "assistant"},
        {"reasoning": ""},
        {"reasoning": "Hm"},
        {"reasoning": ""},
        {"content": "Hi"},
        {},
        {},
    ]


def test_qwen_says_that_it_stops_but_not_that_it_was_stopped() -> None:
    end: list[Json] = [{}, {}]

    assert deltas_in("2025-11-qwen", turn("Hi"))[-2:] == end
    assert deltas_in("2025-11-qwen", Turn(text="Hm.", stopped_by="length"))[-2:] != end
    assert deltas_in("2025-11-qwen", turn("Hi", calls=[ONE]))[-2:] != end
    assert deltas_in("2025-11", turn("Hi"))[-2:] != end


@pytest.mark.parametrize(
    ("dialect", "usage", "whole_seconds"),
    [
        ("2025-11", ["prompt_tokens", "completion_tokens", "total_tokens"], False),
        ("2025-11-qwen", ["prompt_tokens", "completion_tokens", "total_tokens"], True),
        ("2025-11-glm", ["total_tokens", "completion_tokens", "prompt_tokens"], False),
    ],
)
def test_usage_and_time_have_the_forms_of_the_dialect(
    dialect: str, usage: list[str], whole_seconds: bool
) -> None:
    last = chunks_of(CEREBRAS.play(scenario(turn("Hi"), dialect=dialect)))[-1]

    assert [name for name in last["usage"] if name != "prompt_tokens_details"] == usage
    assert isinstance(last["time_info"]["created"], int) == whole_seconds


# --- compaction ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[CEREBRAS, CHATGPT], ids=lambda backend: backend.name)
def compacting(request: pytest.FixtureRequest) -> Iterator[tuple[Backend, Emulator]]:
    """Says a word, sums up, says another: the same as the first."""
    summary = Turn(text="We said a word.", compacts=True)
    with request.param.emulator(scenario(turn("Word."), summary, turn("Word."))) as emulator:
        yield request.param, emulator


SAID: Final = {"role": "assistant", "content": "Word."}
SUM_UP: Final = {"role": "user", "content": "Sum up."}
SUMMED_UP: Final = {"role": "assistant", "content": "We said a word."}
SUMMARY: Final = {"role": "user", "content": "So far: We said a word. Go on."}


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([ASKED], "Word."),
        ([ASKED, SAID, SUM_UP], "We said a word."),
        # What came before is gone: the summary tells that it was.
        ([ASKED, SUMMARY], "Word."),
        ([ASKED, SUMMARY, ASKED], "Word."),
        # Here it is not gone.
        ([ASKED, SAID, SUM_UP, SUMMED_UP, ASKED], "Word."),
    ],
)
def test_a_conversation_goes_on_after_its_summary(
    compacting: tuple[Backend, Emulator], history: list[Json], said: str
) -> None:
    backend, emulator = compacting

    assert text_of(backend, emulator, history) == said


def test_a_conversation_that_was_summed_up_is_over_when_its_last_turn_is(
    compacting: tuple[Backend, Emulator],
) -> None:
    backend, emulator = compacting
    history = [ASKED, SUMMARY, SAID, ASKED]

    answer = backend.ask(emulator, conversation(backend, history))

    assert answer.status_code == 400
    assert "scenario handmade is over" in answer.text


def conversation(backend: Backend, history: list[Json]) -> Json:
    return {**backend.request, "messages" if backend is CEREBRAS else "input": history}


def text_of(backend: Backend, emulator: Emulator, history: list[Json]) -> str:
    """Return what is said next."""
    answer = backend.ask(emulator, conversation(backend, history))
    if backend is CEREBRAS:
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(answer)]
        return "".join(delta.get("content", "") for delta in deltas)
    (item,) = items_of(events_of(answer))
    return str(item["content"][0]["text"])
