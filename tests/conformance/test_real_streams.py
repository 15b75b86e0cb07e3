"""Streams that others recorded of OpenAI and of ChatGPT's backend: schemas and rules hold for them.

A rule that a real stream breaks is wrong, or the stream is odd: then it is listed here, and why.
The recordings are not part of this repository: they lie beside it, in `shared/corpus`.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from harness import schema
from harness.chat_stream import Said
from harness.client import Answer, read_events
from harness.rules import Exchange, check

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"

if not CORPUS.is_dir():
    pytest.skip(f"the corpus is not here: {CORPUS}", allow_module_level=True)

STREAMS = sorted(
    path for folder in ("responses", "chatgpt-backend") for path in (CORPUS / folder).glob("*.sse")
)

#: Recordings (folder and stem, as a pattern), what they break, and why that is none of ours.
ODDITIES: dict[tuple[str, str], str] = {
    ("chatgpt-backend/*", "items/5"): (
        "this backend leaves the output of a completed response empty, always; a client has "
        "the items from output_item.done, and a proxy should fill it for the others"
    ),
    ("responses/endless*conversation*", "lifecycle/2"): (
        "an error behind response.completed, which OpenAI sent twice in October 2025"
    ),
    ("responses/pydantic__test_openai_responses_stream.1", "sequence/1"): (
        "recorded in spring 2025, when events had no sequence_number yet"
    ),
    ("responses/pydantic__test_openai_responses_stream.1", "schema"): (
        "recorded in spring 2025, when events had no sequence_number yet"
    ),
    ("responses/prism-php__*-reasoning-3", "schema"): (
        "recorded before texts had logprobs, which the specification now requires"
    ),
    ("responses/0xplaygrounds__gpt_5_6_reasoning__*", "schema"): (
        "a message that is added as completed: gpt-5.6 sends its first one whole"
    ),
    ("responses/pydantic__test_openai_client_tool_search*", "schema"): (
        "tool_search_call: a hosted tool, which no provider of Chat Completions has"
    ),
    ("responses/vercel__openai-apply-patch-tool*", "schema"): (
        "apply_patch_call: a hosted tool, which no provider of Chat Completions has"
    ),
    ("responses/vercel__openai-web-search-tool*", "schema"): (
        "web_search_call: a hosted tool, which no provider of Chat Completions has"
    ),
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def broken(path: Path) -> dict[str, str]:
    """Return what a recording breaks: the id of each rule, or `schema`, and its first fault."""
    answer = Answer(200, "text/event-stream", read_events(path.read_bytes()))
    found = {fault.rule: str(fault) for fault in check(Exchange(answer, Said()), "stream")}
    for event in answer.events:
        for fault in schema.check_event(event.data or {}):
            found.setdefault("schema", f"{event.type} {fault}")
    return found


def listed(path: Path) -> set[str]:
    return {what for (pattern, what) in ODDITIES if fnmatch(name(path), pattern)}


def test_there_are_recordings_of_both() -> None:
    assert {path.parent.name for path in STREAMS} == {"responses", "chatgpt-backend"}


@pytest.mark.parametrize("path", STREAMS, ids=name)
def test_a_real_stream_conforms_or_is_listed(path: Path) -> None:
    found = broken(path)

    assert [text for what, text in found.items() if what not in listed(path)] == []
    # Nor is anything listed that is not so.
    assert listed(path) - found.keys() == set()


def test_each_oddity_is_one_of_a_recording() -> None:
    unknown = [
        pattern
        for pattern, _ in ODDITIES
        if not any(fnmatch(name(path), pattern) for path in STREAMS)
    ]
    assert unknown == []
