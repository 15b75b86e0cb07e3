"""How it is seen that a version of Codex did what it should.

It is judged by what happened: files, counters, what came back to the model, how often it was asked.
What Codex printed counts where a person would have been told something wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.codex_catalog import INSTRUCTIONS
from harness.codex_cli import Run
from harness.codex_model import Model
from harness.edge import Asked

__all__ = [
    "SUMMARY",
    "THOUGHTS",
    "Judge",
    "Outcome",
    "answered",
    "both",
    "catalog_used",
    "cut_told",
    "expect",
    "failing_told",
    "file",
    "image_read",
    "in_schema",
    "knows_no_catalog",
    "knows_no_namespace",
    "never_ran",
    "not_unsupported",
    "outside_refused",
    "planned",
    "printed",
    "read",
    "recorded",
    "resumed",
    "summed_up",
    "takes_no_images",
    "thoughts",
    "told",
]

#: What the model thinks in the case about that, turn by turn.
THOUGHTS: Final = ("The first thing that I think.", "The second thing that I think.")

#: What the model makes of the conversation in the case about that.
SUMMARY: Final = "SUMMARY: the command was run and printed one."


@dataclass(slots=True)
class Outcome:
    """What became of one case."""

    version: tuple[int, ...]
    folder: Path
    runs: list[Run]
    #: What Codex asked the proxy for.
    asked: list[Asked]
    model: Model

    @property
    def work(self) -> Path:
        """Where Codex worked."""
        return self.folder / "work"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What Codex asked for, as JSON."""
        return [json.loads(asked.body) for asked in self.asked]

    def results(self) -> dict[str, str]:
        """Return what came back to the model of its calls, by their ids."""
        return {
            message["tool_call_id"]: str(message["content"])
            for request in self.model.requests
            for message in request["messages"]
            if message["role"] == "tool"
        }


#: Yields what is wrong.
Judge = Callable[[Outcome], Iterator[str]]


def read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def expect(what: str, expected: object, actual: object) -> Iterator[str]:
    if expected != actual:
        yield f"{what}: expected {expected!r}, not {actual!r}"


def file(name: str, content: str) -> Judge:
    return lambda outcome: expect(name, content, read(outcome.work / name))


def answered(text: str) -> Judge:
    return lambda outcome: expect("the answer", text, outcome.runs[-1].last_message)


def recorded(text: str) -> Judge:
    """Judge that Codex has the answer `text` in its own record of the conversation."""

    def judge(outcome: Outcome) -> Iterator[str]:
        records = (outcome.folder / "codex" / "sessions").rglob("rollout-*.jsonl")
        if not any(text in record.read_text() for record in records):
            yield "the answer is not in the record of the conversation"

    return judge


def printed(id: str, text: str) -> Judge:
    """Judge that `text` is in what came back of the call `id`."""

    def judge(outcome: Outcome) -> Iterator[str]:
        result = outcome.results().get(id)
        if result is None or text not in result:
            yield f"the result of {id}: expected {text!r} in it, not {result!r}"

    return judge


def both(*judges: Judge) -> Judge:
    """Judge all that these judge."""

    def judge(outcome: Outcome) -> Iterator[str]:
        for each in judges:
            yield from each(outcome)

    return judge


def thoughts(outcome: Outcome) -> Iterator[str]:
    told = [message.get("reasoning") for message in outcome.model.requests[-1]["messages"]]
    yield from expect("reasoning in the last request", list(THOUGHTS), [t for t in told if t])


def planned(outcome: Outcome) -> Iterator[str]:
    plans = [event for event in outcome.runs[0].events if of_item(event) == "todo_list"]
    if not plans:
        yield "Codex did not show a plan"
        return
    steps = [(each["text"], each["completed"]) for each in plans[0]["item"]["items"]]
    yield from expect("the plan", [("look", True), ("do", False)], steps)


def of_item(event: dict[str, Any]) -> str:
    return str(event.get("item", {}).get("type", ""))


def image_read(outcome: Outcome) -> Iterator[str]:
    if not any("data:image/png;base64," in asked.body.decode() for asked in outcome.asked[1:]):
        yield "no image came back from Codex"
    if any("data:image" in json.dumps(request) for request in outcome.model.requests):
        yield "the image went to a model that reads text"


def not_unsupported(id: str) -> Judge:
    def judge(outcome: Outcome) -> Iterator[str]:
        result = outcome.results().get(id, "nothing")
        if result == "nothing" or "unsupported call" in result:
            yield f"the result of {id}: {result!r}"

    return judge


def summed_up(outcome: Outcome) -> Iterator[str]:
    yield from expect("count", "one\n", read(outcome.work / "count"))
    if not any(SUMMARY in str(m["content"]) for m in outcome.model.requests[-1]["messages"]):
        yield "the summary did not come back"
    if any(m["role"] == "tool" for m in outcome.model.requests[-1]["messages"]):
        yield "what was summed up came back as it was"


def resumed(outcome: Outcome) -> Iterator[str]:
    said = [(m["role"], m["content"]) for m in outcome.model.requests[-1]["messages"]]
    if ("assistant", "I will remember it.") not in said:
        yield "the first answer did not come back in the second run"


def in_schema(outcome: Outcome) -> Iterator[str]:
    yield from expect("the answer", '{"colour":"teal"}', outcome.runs[0].last_message)
    told = outcome.model.requests[0]
    wants = json.dumps(told.get("response_format") or told["messages"][-1])
    if "colour" not in wants:
        yield "the model was not told the schema"


def knows_no_catalog(outcome: Outcome) -> str | None:
    """Return what is missing where the catalog, which was given, had no effect."""
    read = INSTRUCTIONS.encode() in outcome.asked[0].body
    return None if read else "`model_catalog_json`"


def knows_no_namespace(outcome: Outcome) -> str | None:
    kinds = {tool["type"] for tool in outcome.bodies[0]["tools"]}
    return None if "namespace" in kinds else "tools in a namespace"


def takes_no_images(outcome: Outcome) -> str | None:
    refused = "you do not support image inputs" in outcome.results().get("vi1", "")
    return "images for this model: it refuses to read one" if refused else None


def catalog_used(outcome: Outcome) -> Iterator[str]:
    """Judge that Codex knows the model, and offers what the catalog says."""
    if any("metadata" in item["message"] for item in outcome.runs[0].items("error")):
        yield "Codex warns that it does not know the model"
    kinds = [t["type"] for t in outcome.bodies[0]["tools"] if t.get("name") == "apply_patch"]
    yield from expect("the kinds of apply_patch", ["custom"], kinds)


def outside_refused(outcome: Outcome) -> Iterator[str]:
    if (outcome.folder / "outside.txt").exists():
        yield "the sandbox let it write outside of its folder"


def told(pattern: str) -> Judge:
    """Judge that a person is told what went wrong."""

    def judge(outcome: Outcome) -> Iterator[str]:
        events = outcome.runs[-1].events
        said = " ".join(e["error"]["message"] for e in events if e["type"] == "turn.failed")
        if not re.search(pattern, said):
            yield f"what a person is told: expected {pattern!r} in it, not {said!r}"

    return judge


def failing_told(outcome: Outcome) -> Iterator[str]:
    result = outcome.results().get("c2", "nothing")
    if not re.search(r'exit_code":3|code:? 3\b', result):
        yield f"c2 does not tell its exit code: {result!r}"


def never_ran(outcome: Outcome) -> Iterator[str]:
    yield from expect("count", None, read(outcome.work / "count"))


def cut_told(reason: str, text: str) -> Judge:
    """Judge an answer that was cut: who knows what that is, is told; the others get the text."""

    def judge(outcome: Outcome) -> Iterator[str]:
        knows = outcome.version >= (0, 163)
        yield from (told(reason) if knows else answered(text))(outcome)

    return judge
