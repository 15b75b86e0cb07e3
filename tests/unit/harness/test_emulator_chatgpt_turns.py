"""Which turn ChatGPT's emulator plays follows from the conversation, whichever client holds it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import pytest

from harness import scenarios
from harness.codex_requests import begin
from harness.emulator import Emulator
from harness.emulator.responses import call_id
from harness.scenarios import Call, Turn
from tests.unit.harness.backends import ASKED, CHATGPT, RESPONSES, events_of, items_of
from tests.unit.harness.handmade import Json, scenario

ONE: Final = Call(id="a1", name="exec_command", arguments={"cmd": "echo one"})
TWO: Final = Call(id="b2", name="apply_patch", arguments="*** Begin Patch", kind="custom")
OUTPUTS: Final[list[Json]] = [
    {"type": "function_call_output", "call_id": call_id(ONE), "output": "one"},
    {"type": "custom_tool_call_output", "call_id": call_id(TWO), "output": "Done!"},
]

FIRST: Final = Turn(text="I look.", calls=[ONE, TWO])
LAST: Final = Turn(text="Done.")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with CHATGPT.emulator(scenario(FIRST, LAST)) as emulator:
        yield emulator


def items_after(emulator: Emulator, *history: Json) -> list[Json]:
    """Return the items that come next when `history` follows the question."""
    return items_of(events_of(CHATGPT.ask(emulator, {**RESPONSES, "input": [ASKED, *history]})))


def text_after(emulator: Emulator, *history: Json) -> str:
    items = items_after(emulator, *history)
    return "".join(part["text"] for item in items for part in item.get("content", ()))


def calls(emulator: Emulator) -> list[Json]:
    """Return the first turn's calls as old versions of Codex send them back: without ids."""
    items = [item for item in items_after(emulator) if "call_id" in item]
    return [{name: item[name] for name in item if name not in ("id", "status")} for item in items]


def said(text: str) -> Json:
    part = {"type": "output_text", "text": text}
    return {"type": "message", "role": "assistant", "content": [part]}


# --- calls ---------------------------------------------------------------------------------------


def test_the_turn_is_the_next_when_all_its_calls_are_there(emulator: Emulator) -> None:
    assert text_after(emulator) == "I look."
    assert text_after(emulator, *items_after(emulator), *OUTPUTS) == "Done."


def test_each_call_may_have_its_output_behind_it(emulator: Emulator) -> None:
    pairs = zip(calls(emulator), OUTPUTS, strict=True)

    assert text_after(emulator, *itertools.chain.from_iterable(pairs)) == "Done."


def test_a_turn_is_played_again_until_all_its_calls_are_there(emulator: Emulator) -> None:
    one, _ = calls(emulator)

    assert text_after(emulator, said("I look."), one, OUTPUTS[0]) == "I look."


def test_calls_with_the_same_id_in_two_turns_are_two_calls() -> None:
    with CHATGPT.emulator(scenario(Turn(calls=[ONE]), Turn(calls=[ONE]), LAST)) as emulator:
        once = [*calls(emulator), OUTPUTS[0]]

        assert text_after(emulator, *once) == ""
        assert text_after(emulator, *once, *once) == "Done."


# --- text ----------------------------------------------------------------------------------------


def test_a_turn_of_text_is_over_when_its_text_is_there_as_often_as_it_was_said() -> None:
    yes = Turn(text="Yes.")
    with CHATGPT.emulator(scenario(yes, yes, LAST)) as emulator:
        assert text_after(emulator) == "Yes."
        assert text_after(emulator, said("Yes."), ASKED) == "Yes."
        assert text_after(emulator, said("Yes."), ASKED, said("Yes."), ASKED) == "Done."


def test_what_the_client_says_is_not_what_the_model_said() -> None:
    with CHATGPT.emulator(scenario(Turn(text="Yes."), LAST)) as emulator:
        assert text_after(emulator, {"role": "user", "content": "Yes."}) == "Yes."


# --- whole conversations -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["create-file", "create-file-exec", "parallel-calls"])
def test_a_conversation_of_codex_goes_through_all_turns(name: str) -> None:
    played = scenarios.load(name)
    request = begin(played, model="gpt-5.5").request()
    with CHATGPT.emulator(played) as emulator:
        for turn in played.turns:
            items = items_of(events_of(CHATGPT.ask(emulator, request)))
            called = [item["call_id"] for item in items if "call_id" in item]
            assert called == [call_id(call) for call in turn.calls]
            request["input"] += items
            request["input"] += [{**OUTPUTS[0], "call_id": id} for id in called]
        over = CHATGPT.ask(emulator, request)

    assert (over.status_code, over.json()) == (400, {"detail": f"scenario {name} is over"})


# --- compaction ----------------------------------------------------------------------------------


def test_a_trigger_is_answered_with_the_blob_that_stands_for_the_conversation() -> None:
    summary = Turn(text="We said a word.", compacts=True)
    with CHATGPT.emulator(scenario(Turn(text="Word."), summary, LAST)) as emulator:
        (sealed,) = items_after(emulator, said("Word."), {"type": "compaction_trigger"})

        assert text_after(emulator, sealed, ASKED) == "Done."

    assert list(sealed) == ["id", "type", "encrypted_content"]
    assert (sealed["type"], sealed["id"][:4]) == ("compaction", "cmp_")
    assert "word" not in sealed["encrypted_content"]


def test_another_conversations_blob_is_nothing_to_it() -> None:
    summary = Turn(text="We said a word.", compacts=True)
    foreign = {"type": "compaction", "encrypted_content": "gAAAAABforeign"}
    with CHATGPT.emulator(scenario(Turn(text="Word."), summary, LAST)) as emulator:
        assert text_after(emulator, foreign) == "Word."
