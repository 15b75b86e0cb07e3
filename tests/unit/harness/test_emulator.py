"""The emulator streams as Cerebras does, takes its time, and knows no proxy."""

from __future__ import annotations

import ast
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import scenarios
from harness.chat_stream import Said, SaidCall, read_chat_stream
from harness.emulator import Emulator
from harness.emulator.cerebras import deltas
from harness.scenarios import Call, Turn
from harness.schema import check
from tests.unit.harness.emulated import ASKED, CALLING, KEY, ONE, Answered, ask, play
from tests.unit.harness.handmade import Json, scenario, turn

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus" / "cerebras"

# --- turns ---------------------------------------------------------------------------------------


def test_the_turn_follows_from_the_conversation(emulator: Emulator) -> None:
    result = {"role": "tool", "tool_call_id": "a1", "content": "one"}

    second = read_chat_stream(ask(emulator.url, [*ASKED, CALLING, result]).body)
    first = read_chat_stream(ask(emulator.url).body)

    assert (first.reasoning, first.text) == ("Hm, well.", "Voilà ✓")
    assert first.calls == [SaidCall("a1", "exec_command", ONE.arguments_text)]
    assert (second.reasoning, second.text, second.calls) == ("", "Done.", [])


def test_the_model_answers_under_the_name_it_was_asked_by(emulator: Emulator) -> None:
    answer = ask(emulator.url, model="qwen-3.8-27b")

    assert {chunk["model"] for chunk in answer.chunks} == {"qwen-3.8-27b"}


# --- the wire dialect ----------------------------------------------------------------------------


def test_a_stream_is_events_of_data_alone(emulator: Emulator) -> None:
    answer = ask(emulator.url)

    assert (answer.status, answer.content_type) == (200, "text/event-stream; charset=utf-8")
    assert answer.body.endswith(b"\n\n")
    events = answer.body.removesuffix(b"\n\n").split(b"\n\n")
    assert all(event.startswith(b"data: ") and b"\n" not in event for event in events)


def test_json_is_compact_and_text_is_not_escaped(emulator: Emulator) -> None:
    assert '"delta":{"content":"Voilà"}'.encode() in ask(emulator.url).body


def test_every_chunk_has_the_same_keys_in_the_same_order(emulator: Emulator) -> None:
    *most, last = ask(emulator.url).chunks

    keys = ["id", "choices", "created", "model", "system_fingerprint", "object"]
    assert [list(chunk) for chunk in most] == [keys] * len(most)
    assert list(last) == [*keys, "usage", "time_info"]
    assert [list(chunk["choices"][0]) for chunk in most] == [["delta", "index"]] * len(most)
    assert list(last["choices"][0]) == ["delta", "finish_reason", "index"]


def test_all_chunks_of_a_stream_have_one_id_and_other_streams_have_another(
    emulator: Emulator,
) -> None:
    one = {chunk["id"] for chunk in ask(emulator.url).chunks}
    another = {chunk["id"] for chunk in ask(emulator.url).chunks}

    assert len(one) == len(another) == 1
    assert one != another


def test_what_is_not_there_is_absent_and_never_null(emulator: Emulator) -> None:
    assert b"null" not in ask(emulator.url).body


def test_the_role_comes_first_and_once(emulator: Emulator) -> None:
    first, *others = [chunk["choices"][0]["delta"] for chunk in ask(emulator.url).chunks]

    assert first == {"role": "assistant"}
    assert not [delta for delta in others if "role" in delta]


def test_a_delta_has_one_kind_of_thing_and_the_kinds_come_in_order(emulator: Emulator) -> None:
    found = [chunk["choices"][0]["delta"] for chunk in ask(emulator.url).chunks]

    assert [list(delta) for delta in found[:-1]] == [
        [kind] for delta in found[:-1] for kind in delta
    ]
    kinds = [kind for kind, _ in itertools.groupby(next(iter(delta)) for delta in found[:-1])]
    assert kinds == ["role", "reasoning", "content", "tool_calls"]
    assert found[-1] == {}


def test_a_provider_need_not_tell_its_usage() -> None:
    with Emulator(scenario(Turn(text="Hello", usage=None)), api_key=KEY) as emulator:
        *most, last = ask(emulator.url).chunks

    assert last["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in chunk for chunk in [*most, last])


def test_the_last_chunk_has_usage_and_times(emulator: Emulator) -> None:
    *most, last = ask(emulator.url).chunks

    assert last["choices"] == [{"delta": {}, "finish_reason": "tool_calls", "index": 0}]
    assert last["usage"] == {
        "total_tokens": 16,
        "completion_tokens": 5,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "reasoning_tokens": 2,
        },
        "prompt_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert sorted(last["time_info"]) == [
        "completion_time",
        "created",
        "prompt_time",
        "queue_time",
        "total_time",
    ]
    assert not [chunk for chunk in most if "finish_reason" in chunk["choices"][0]]


def test_since_2026_a_stream_ends_with_done(emulator: Emulator) -> None:
    answer = ask(emulator.url)

    assert answer.body.endswith(b"}\n\ndata: [DONE]\n\n")
    assert answer.body.count(b"[DONE]") == 1


@pytest.fixture(scope="module")
def in_2025() -> Answered:
    """A stream of which every kind of chunk is part, in the dialect of that year."""
    said = turn("Hi", reasoning="Hm", calls=[ONE])
    return play(scenario(said, dialect="2025-11"))


def test_in_2025_a_stream_ended_without_done_and_told_no_reasoning_tokens(
    in_2025: Answered,
) -> None:
    assert b"[DONE]" not in in_2025.body
    assert sorted(in_2025.chunks[-1]["usage"]) == [
        "completion_tokens",
        "prompt_tokens",
        "prompt_tokens_details",
        "total_tokens",
    ]


def test_a_call_opens_with_id_and_name_and_goes_on_without() -> None:
    opener, *fragments = [
        delta["tool_calls"] for delta in deltas(turn(calls=[ONE])) if "tool_calls" in delta
    ]

    name_alone = {"name": "exec_command", "arguments": ""}
    assert opener == [{"function": name_alone, "type": "function", "id": "a1", "index": 0}]
    assert len(fragments) > 3
    for (fragment,) in fragments:
        assert list(fragment) == ["function", "type", "index"]
        assert list(fragment["function"]) == ["arguments"]
        assert (fragment["type"], fragment["index"]) == ("function", 0)


#: An opener and three fragments, an opener and one.
LONG = Call(id="a1", name="f", arguments="one two three")
SHORT = Call(id="b2", name="g", arguments="one")


def test_calls_follow_each_other() -> None:
    assert indexes(turn(calls=[LONG, SHORT])) == [0, 0, 0, 0, 1, 1]


def test_fragments_of_interleaved_calls_take_turns() -> None:
    assert indexes(turn(calls=[LONG, SHORT], interleaved=True)) == [0, 1, 0, 1, 0, 0]


def indexes(played: Turn) -> list[int]:
    """Return to which call each fragment belongs."""
    return [delta["tool_calls"][0]["index"] for delta in deltas(played) if "tool_calls" in delta]


@given(st.text(), st.text(), st.text(), st.booleans())
def test_the_deltas_add_up_to_what_the_turn_says(
    reasoning: str, text: str, arguments: str, interleaved: bool
) -> None:
    calls = [Call(id="a1", name="f", arguments=arguments), Call(id="b2", name="g", arguments={})]

    said = read(turn(text, reasoning=reasoning, calls=calls, interleaved=interleaved))

    assert (said.reasoning, said.text) == (reasoning, text)
    assert said.calls == [SaidCall("a1", "f", arguments), SaidCall("b2", "g", "{}")]


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_reasoning_comes_in_as_many_deltas_as_the_turn_says(text: str, count: int) -> None:
    played = turn(reasoning=text, reasoning_chunks=count)

    assert sum("reasoning" in delta for delta in deltas(played)) == count
    assert read(played).reasoning == text


def read(played: Turn) -> Said:
    """Return what the deltas of a turn say."""
    chunks = [{"choices": [{"delta": delta, "index": 0}]} for delta in deltas(played)]
    return read_chat_stream(b"".join(b"data: %b\n" % json.dumps(c).encode() for c in chunks))


# --- scenarios -----------------------------------------------------------------------------------


PLAYED = [
    name
    for name in scenarios.names("cerebras")
    if not scenarios.load(name).fails and scenarios.load(name).turns[0].refusal is None
]


@pytest.fixture(scope="module")
def streams() -> dict[str, Answered]:
    """The first answer of every scenario that has one."""
    # All at once: most of the time each of them waits.
    with ThreadPoolExecutor() as pool:
        answers = pool.map(play, map(scenarios.load, PLAYED))
        return dict(zip(PLAYED, answers, strict=True))


@pytest.mark.parametrize("name", PLAYED)
def test_every_chunk_of_a_scenario_is_valid(name: str, streams: dict[str, Answered]) -> None:
    assert streams[name].chunks
    for chunk in streams[name].chunks:
        assert check(chunk, "chat/chunk.json") == []


@pytest.mark.parametrize("name", ["create-file", "create-file-exec"])
def test_the_field_test_has_its_figures(name: str, streams: dict[str, Answered]) -> None:
    *most, last = streams[name].chunks

    found = [chunk["choices"][0]["delta"] for chunk in most]
    assert found[0] == {"role": "assistant"}
    assert sum("reasoning" in delta for delta in found) == 323
    assert not [delta for delta in found if delta.get("reasoning") == ""]
    assert last["usage"]["prompt_tokens"] == 3595
    assert last["usage"]["completion_tokens"] == 239
    assert last["usage"]["total_tokens"] == 3834
    times = {name: time for name, time in last["time_info"].items() if name != "created"}
    assert times == {
        "queue_time": 0.0007,
        "prompt_time": 0.157,
        "completion_time": 0.14,
        "total_time": 0.3,
    }


# --- time ----------------------------------------------------------------------------------------


def test_nothing_comes_before_queue_and_prompt_are_over_and_the_rest_takes_its_time() -> None:
    words = " ".join(["word"] * 20)

    answer = play(scenario(turn(words, timing=(0.03, 0.03, 0.1))))

    assert answer.first >= 0.06
    assert answer.last >= 0.16
    assert answer.last < 0.3


def test_what_is_due_together_goes_out_together(emulator: Emulator) -> None:
    answer = ask(emulator.url)

    assert len(answer.chunks) > 3
    assert answer.first == answer.last


# --- independence --------------------------------------------------------------------------------


def test_it_knows_nothing_of_the_proxy() -> None:
    seen, waiting = set[str](), {"harness.emulator"}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= {name for name in imports(module) if name.startswith("harness")} - seen

    assert seen >= {"harness.emulator", "harness.schema", "harness.scenarios", "harness.server"}
    assert not [module for module in seen if any(is_proxys(name) for name in imports(module))]


def is_proxys(name: str) -> bool:
    return name == "proxy" or name.startswith("proxy.")


def imports(module: str) -> set[str]:
    """Return the modules that `module` imports, by its source."""
    file = ROOT / (module.replace(".", "/") + ".py")
    if not file.exists():
        file = ROOT / module.replace(".", "/") / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not followed"
            found.add(str(node.module))
            # `from harness import schema` names a module; `from x import f` adds no file.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if (ROOT / (name.replace(".", "/") + ".py")).exists()}
            found |= {name for name in names if (ROOT / name.replace(".", "/")).is_dir()}
    return found


# --- beside real recordings ----------------------------------------------------------------------

RECORDED = sorted(CORPUS.glob("*gpt_oss_120b*.sse"))

beside_recordings = pytest.mark.skipif(
    not RECORDED, reason=f"there are no recordings of Cerebras at {CORPUS}"
)


@pytest.fixture(scope="module")
def recorded() -> list[Json]:
    """The chunks of all recordings."""
    streams = [Answered(200, "", path.read_bytes(), 0, 0) for path in RECORDED]
    return [chunk for stream in streams for chunk in stream.chunks]


@beside_recordings
@pytest.mark.parametrize("kind", ["role", "reasoning", "content", "opener", "fragment"])
def test_a_chunk_has_the_keys_that_cerebras_was_recorded_with(
    kind: str, in_2025: Answered, recorded: list[Json]
) -> None:
    ours = {keys_of(chunk) for chunk in in_2025.chunks if kind_of(chunk) == kind}
    theirs = {keys_of(chunk) for chunk in recorded if kind_of(chunk) == kind}

    assert len(ours) == 1
    assert ours == theirs


@beside_recordings
def test_the_last_chunk_has_the_keys_that_cerebras_was_recorded_with(
    in_2025: Answered, recorded: list[Json]
) -> None:
    ours = in_2025.chunks[-1]
    theirs = [chunk for chunk in recorded if kind_of(chunk) == "finish"]

    for chunk in theirs:
        assert list(ours) == list(chunk)
        assert keys_of(ours["choices"]) == keys_of(chunk["choices"])
        assert keys_of(ours["time_info"]) == keys_of(chunk["time_info"])
        assert sorted(ours["usage"]) == sorted(chunk["usage"])
    assert theirs


def kind_of(chunk: Json) -> str:
    choice = chunk["choices"][0]
    delta: Json = choice["delta"]
    if "finish_reason" in choice:
        return "finish"
    if "tool_calls" in delta:
        return "opener" if "id" in delta["tool_calls"][0] else "fragment"
    return next(iter(delta), "nothing")


def keys_of(value: object) -> str:
    """Return the keys in `value`, in their order, at every level."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {keys_of(item)}' for name, item in value.items())}}}"
    return f"[{', '.join(map(keys_of, value))}]" if isinstance(value, list) else "..."
