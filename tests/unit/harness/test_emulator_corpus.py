"""The emulator beside every stream that was recorded of the real providers.

A scenario is made of what a recording says, and played over real HTTP. Of both streams the facts
are taken - framing, order of events, keys and their order, types, fixed texts, figures - and
compared by path. `EXPLAINED` has every difference that is left.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from harness.scenarios import Call, Scenario, Timing, Turn, Usage
from tests.unit.harness.backends import CEREBRAS, CHAT, CHATGPT, CORPUS, RESPONSES
from tests.unit.harness.handmade import Json, scenario

RECORDED: Final = sorted(
    [*(CORPUS / "cerebras").glob("*.sse"), *(CORPUS / "chatgpt-backend").glob("*.sse")]
)

pytestmark = pytest.mark.skipif(not RECORDED, reason=f"there are no recordings at {CORPUS}")

#: Recording, path, and why the emulator is not like it. All three are patterns of `fnmatch`.
EXPLAINED: Final = (
    (
        "vercel__*",
        "end",
        "the recorder takes [DONE] away; others of that month have it",
    ),
    (
        "*qwen-3-coder-480b__multi_tool_streaming.2*",
        "finish.time_info.created",
        "some of that autumn have whole seconds, others not; the dialect has those that are rare",
    ),
    (
        "papercomputeco__*",
        "response.*.response.reasoning",
        "`mode` is younger than this recording",
    ),
    (
        "papercomputeco__*",
        "response.*.response.reasoning.mode",
        "`mode` is younger than this recording",
    ),
)

#: Which of Cerebras' dialects a recording is in, where it is not that of gpt-oss in 2025.
DIALECTS: Final = (
    ("*glm-4.6*", "2025-11-glm"),
    ("*qwen-3-coder-480b__multi_tool_streaming.2*", "2025-11-qwen"),
    ("*qwen_3_235b_a22b_instruct*", "2025-11-qwen"),
    ("endlessinternational__*", "2025-11-qwen"),
    ("crewaiinc__*", "2026-05"),
    ("vercel__*", "2026-05"),
)

#: By path: what is known of a stream.
Facts = dict[str, str]


# --- what a stream is like -----------------------------------------------------------------------

#: What differs from stream to stream: only its type is compared.
VARIABLE: Final = {
    "completed_at",
    "created",
    "created_at",
    "delta",
    "encrypted_content",
    "obfuscation",
    "prompt_cache_key",
    "safety_identifier",
    "sequence_number",
    "completion_time",
    "prompt_time",
    "queue_time",
    "total_time",
}
#: The same in a chunk of Chat Completions: its piece of a longer text, and the name of the model.
OF_A_CHUNK: Final = re.compile(
    r"(content|reasoning|fragment)\..*\.(content|reasoning|arguments)|[a-z +]+\.model"
)
IDS: Final = {"call_id", "id", "item_id", "system_fingerprint"}


class Stream(NamedTuple):
    """A stream as it was received, and whether its recorder masked ids and sorted keys."""

    body: bytes
    masked: bool = False

    @property
    def framing(self) -> list[str]:
        """The names of the fields of each event."""
        names = re.sub(rb"(?m)^([a-z]+): .+$", rb"\1", self.body).decode()
        return [event.replace("\n", " ") for event in names.removesuffix("\n\n").split("\n\n")]

    @property
    def events(self) -> list[Json]:
        lines = [line for line in self.body.split(b"\n") if line.startswith(b"data: {")]
        hook = (lambda pairs: dict(sorted(pairs))) if self.masked else dict
        found = [json.loads(line.removeprefix(b"data: "), object_pairs_hook=hook) for line in lines]
        assert found
        return found

    @property
    def facts(self) -> Facts:
        events = self.events
        by_path = defaultdict[str, set[str]](set)
        for event in events:
            for path, fact in _facts_of(event, _kind(event), self.masked):
                by_path[path].add(fact)
        facts = {path: " | ".join(sorted(found)) for path, found in by_path.items()}
        facts["framing"] = " | ".join(sorted(set(self.framing)))
        facts["order"] = " > ".join(kind for kind, _ in itertools.groupby(map(_kind, events)))
        facts["end"] = "[DONE]" if self.body.endswith(b"\ndata: [DONE]\n\n") else "event"
        numbers = [event["sequence_number"] for event in events if "sequence_number" in event]
        facts["numbers"] = str(numbers == list(range(len(events))))
        facts["ids"] = str(_item_ids_fit(events))
        return facts


def _kind(event: Json) -> str:
    """Return what an event is about."""
    if "choices" not in event:
        item = event.get("item")
        return f"{event['type']}({item['type']})" if item else str(event["type"])
    (choice,) = event["choices"]
    if "finish_reason" in choice:
        return "finish"
    for call in choice["delta"].get("tool_calls", ()):
        if "id" not in call:
            return "fragment"
        return "whole" if call["function"]["arguments"] else "opener"
    said = choice["delta"]
    return "+".join(name if said[name] else f"empty {name}" for name in said) or "nothing"


def _facts_of(value: object, path: str, masked: bool) -> Iterator[tuple[str, str]]:
    """Yield path and fact for all that is in a value."""
    name = path.rpartition(".")[2]
    if isinstance(value, dict):
        yield path, f"{{{', '.join(value)}}}"
        if "obfuscation" in value and not masked:
            yield f"{path}.block", str((len(value["delta"]) + len(value["obfuscation"])) % 16)
        for key, item in value.items():
            yield from _facts_of(item, f"{path}.{key}", masked)
    elif isinstance(value, list):
        yield path, f"list of {len(value)}"
        for item in value:
            yield from _facts_of(item, f"{path}[]", masked)
    elif name in IDS:
        yield path, _form(str(value), masked)
    elif name in VARIABLE or OF_A_CHUNK.fullmatch(path):
        yield path, type(value).__name__
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _form(id: str, masked: bool) -> str:
    """Return what an id looks like."""
    if masked:
        return id.partition("_")[0]
    form = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", id)
    return re.sub(r"[0-9a-f]{9,}", lambda found: f"<{len(found[0])} hex>", form)


def _item_ids_fit(events: list[Json]) -> bool:
    """Whether each event between the two of an item names that item."""
    ids = {event["output_index"]: event["item"]["id"] for event in events if "item" in event}
    return all(
        ids[event["output_index"]] == event["item_id"] for event in events if "item_id" in event
    )


# --- a scenario that says the same ---------------------------------------------------------------


def played_again(path: Path) -> tuple[Stream, Stream]:
    """Return a recording, and what the emulator makes of what it says."""
    recorded = Stream(path.read_bytes(), masked=path.name.startswith("0xplaygrounds__"))
    if path.parent.name == "cerebras":
        again, request = _of_chat(recorded, path.name)
        answer = CEREBRAS.play(again, request)
    else:
        again, request = _of_responses(recorded)
        answer = CHATGPT.play(again, request)
    assert answer.status_code == 200, answer.text
    return recorded, Stream(answer.content, masked=recorded.masked)


def _of_chat(recorded: Stream, name: str) -> tuple[Scenario, Json]:
    *chunks, last = recorded.events
    said = defaultdict[str, str](str)
    calls: list[Call] = []
    for delta in (chunk["choices"][0]["delta"] for chunk in chunks):
        for kind in ("reasoning", "content"):
            said[kind] += delta.get(kind, "")
        for part in delta.get("tool_calls", ()):
            if "id" in part:
                calls.append(Call(part["id"], part["function"]["name"], ""))
            call = calls[part["index"]]
            call.arguments = call.arguments_text + part["function"]["arguments"]
    counts = last["usage"]
    again = Turn(
        usage=Usage(
            counts["prompt_tokens"],
            counts["completion_tokens"],
            counts.get("prompt_tokens_details", {}).get("cached_tokens", 0),
            counts.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
        ),
        timing=Timing(1e-4, 1e-4, 1e-4, 3e-4),
        reasoning=said["reasoning"],
        text=said["content"],
        calls=calls,
        whole_calls=not any(_kind(chunk) == "fragment" for chunk in chunks),
        stopped_by="length" if last["choices"][0]["finish_reason"] == "length" else None,
    )
    dialects = [dialect for pattern, dialect in DIALECTS if fnmatchcase(name, pattern)]
    return scenario(again, dialect=next(iter(dialects), "2025-11")), CHAT


def _of_responses(recorded: Stream) -> tuple[Scenario, Json]:
    events = recorded.events
    echoed, counts = events[0]["response"], events[-1]["response"]["usage"]
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    texts = [item["content"][0]["text"] for item in items if item["type"] == "message"]
    thoughts = [item for item in items if item["type"] == "reasoning"]
    again = Turn(
        usage=Usage(
            counts["input_tokens"],
            counts["output_tokens"],
            counts["input_tokens_details"]["cached_tokens"],
            counts["output_tokens_details"]["reasoning_tokens"],
        ),
        # What it thought is sealed.
        reasoning="Hm." if thoughts else "",
        text="".join(texts),
        calls=[
            Call(str(number), item["name"], item["arguments"])
            for number, item in enumerate(items)
            if item["type"] == "function_call"
        ],
    )
    same = ("model", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "store")
    request = {
        **RESPONSES,
        **{name: echoed[name] for name in same},
        "reasoning": {name: echoed["reasoning"][name] for name in ("effort", "summary")},
        "include": ["reasoning.encrypted_content"]
        * any("encrypted_content" in t for t in thoughts),
    }
    return scenario(again), request


# --- streams -------------------------------------------------------------------------------------

#: By recording and path: the fact of the recording, and ours.
Differences = dict[str, dict[str, tuple[str | None, str | None]]]


@pytest.fixture(scope="module")
def differences() -> Differences:
    with ThreadPoolExecutor() as pool:
        pairs = list(pool.map(played_again, RECORDED))
    found: Differences = {}
    for path, (recorded, again) in zip(RECORDED, pairs, strict=True):
        theirs, ours = recorded.facts, again.facts
        assert len(theirs) > 20
        found[path.name] = {
            at: (theirs.get(at), ours.get(at))
            for at in sorted(theirs.keys() | ours.keys())
            if theirs.get(at) != ours.get(at)
        }
    return found


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem[:60])
def test_the_emulator_streams_what_was_recorded(path: Path, differences: Differences) -> None:
    unexplained = {
        at: values
        for at, values in differences[path.name].items()
        if not any(
            fnmatchcase(path.name, name) and fnmatchcase(at, where) for name, where, _ in EXPLAINED
        )
    }

    assert unexplained == {}


@pytest.mark.parametrize(("name", "where", "why"), EXPLAINED)
def test_an_explanation_is_still_needed(
    name: str, where: str, why: str, differences: Differences
) -> None:
    needed = [
        at
        for recording, found in differences.items()
        for at in found
        if fnmatchcase(recording, name) and fnmatchcase(at, where)
    ]

    assert needed, f"the emulator does not differ there any more: {why}"
