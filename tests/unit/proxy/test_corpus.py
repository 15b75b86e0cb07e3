"""Streams that others recorded of real providers, each through the reconstruction.

The recordings are not part of this repository: they lie beside it, in `shared/corpus`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.chat_stream import Said, read_chat_stream
from harness.client import Answer, read_events
from harness.rules import Exchange, check
from tests.unit.proxy.streams import Json, answer, final, one_by_one, read, replay

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpus"

if not CORPUS.is_dir():
    pytest.skip(f"the corpus is not here: {CORPUS}", allow_module_level=True)

CEREBRAS = sorted((CORPUS / "cerebras").glob("*.sse"))
OTHERS = sorted((CORPUS / "chat-other").glob("*.sse"))


def name(path: Path) -> str:
    return path.stem


cerebras = pytest.mark.parametrize("path", CEREBRAS, ids=name)
others = pytest.mark.parametrize("path", OTHERS, ids=name)


def test_the_corpus_has_recordings_of_both_kinds() -> None:
    assert CEREBRAS
    assert OTHERS


# --- Cerebras ------------------------------------------------------------------------------------


def event_by_event(recording: bytes) -> list[bytes]:
    """Return the recording cut behind each blank line."""
    *blocks, rest = recording.split(b"\n\n")
    return [*(block + b"\n\n" for block in blocks), rest]


@cerebras
def test_a_recording_gives_the_same_bytes_however_it_is_cut(path: Path) -> None:
    recording = path.read_bytes()

    whole = replay(recording)

    assert replay(*event_by_event(recording)) == whole
    assert replay(*one_by_one(recording)) == whole


@cerebras
def test_a_recording_breaks_no_rule(path: Path) -> None:
    recording = path.read_bytes()

    got = Answer(200, "text/event-stream", read_events(replay(recording)))

    faults = check(Exchange(got, read_chat_stream(recording), path.name))
    assert [str(fault) for fault in faults] == []


@cerebras
def test_a_recording_is_told_as_it_was_said(path: Path) -> None:
    recording = path.read_bytes()
    said = read_chat_stream(recording)

    response = final(read(replay(recording)))

    assert texts(response, "message", "content") == said.text
    assert texts(response, "reasoning", "summary") == said.reasoning
    assert functions(response) == expected_functions(said)
    assert said.usage is not None
    assert counts(response["usage"]) == expected_counts(said.usage)


def texts(response: Json, kind: str, parts: str) -> str:
    """Return the text of all items of this kind."""
    items = [item for item in response["output"] if item["type"] == kind]
    return "".join(part["text"] for item in items for part in item[parts])


def functions(response: Json) -> list[tuple[str, str, str]]:
    """Return call id, name and arguments of the calls."""
    items = [item for item in response["output"] if item["type"] == "function_call"]
    return [(item["call_id"], item["name"], item["arguments"]) for item in items]


def expected_functions(said: Said) -> list[tuple[str, str, str]]:
    if said.finish_reason == "length":
        return []  # a call that was cut is never done
    return [(call.id, call.name, call.arguments) for call in said.calls]


def counts(usage: Json) -> tuple[int, ...]:
    """Return tokens: input, cached of them, output, reasoning of them, total."""
    return (
        usage["input_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
        usage["total_tokens"],
    )


def expected_counts(usage: Json) -> tuple[int, ...]:
    return (
        usage["prompt_tokens"],
        usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
        usage["completion_tokens"],
        usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
        usage["total_tokens"],
    )


# --- others --------------------------------------------------------------------------------------


#: What each of them shows, and the outcome: status and the kinds of its items.
DIALECTS = {
    # `reasoning_content`
    "0xplaygrounds__doubleword_reasoning_matrix__gpt_oss_reasoning_streaming": (
        "completed reasoning message"
    ),
    # usage twice; cut by `length` while it was thinking
    "0xplaygrounds__groq_prompt_caching__streaming_probe.1": "incomplete reasoning",
    # `reasoning_details` beside `reasoning`
    "0xplaygrounds__openrouter_reasoning_tool_order_matrix__streaming_signed_agent_roundtrip.1": (
        "completed reasoning function_call"
    ),
    "charmbracelet__TestOpenAICompatibleCommon_avian-kimi__multi_tool_streaming.2": (
        "completed reasoning message"
    ),
    # two calls, usage with a choice that is not empty
    "charmbracelet__TestOpenRouterCommon_gemini__multi_tool_streaming.1": (
        "completed function_call function_call"
    ),
    "crmne__chat_streaming_responses_gpustack_qwen3_supports_streaming_responses": (
        "completed reasoning message"
    ),
    "docker__TestExec_Mistral_ToolCall.2": "completed message",
    "enterpilot__groq__chat_completion_stream": "completed message",
    # no usage
    "enterpilot__xai__chat_completion_stream": "completed reasoning message",
    # `obfuscation`, no usage
    "envoyproxy__chat-streaming": "completed message",
    # comments
    "prism-php__openrouter__stream-text-with-empty-parameters-tools-when-using-gpt-5-1": (
        "completed function_call"
    ),
    "pydantic__test_tool_use_failed_error_streaming.3": "completed reasoning message",
    "simonw__test_tools_streaming__test_tools_streaming_variant_d.1": "completed function_call",
    "vercel__deepseek-tool-call.chunks": "completed reasoning function_call",
    "vkryukov__openrouter_openai_gpt_oss_120b__object_streaming": (
        "completed reasoning function_call"
    ),
}


@others
def test_another_dialect_is_understood(path: Path) -> None:
    response = final(answer(path.read_bytes()))

    kinds = [item["type"] for item in response["output"]]
    assert " ".join([response["status"], *kinds]) == DIALECTS[path.stem]


@others
def test_another_dialect_is_told_as_it_was_said(path: Path) -> None:
    recording = path.read_bytes()
    said = read_chat_stream(recording)

    response = final(read(replay(recording)))

    assert texts(response, "message", "content") == said.text
    assert [(name, arguments) for _, name, arguments in functions(response)] == [
        (name, arguments) for _, name, arguments in expected_functions(said)
    ]


@others
def test_another_dialect_gives_the_same_bytes_however_it_is_cut(path: Path) -> None:
    recording = path.read_bytes()

    assert replay(*one_by_one(recording)) == replay(recording)
