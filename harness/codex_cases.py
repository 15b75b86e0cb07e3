"""What the matrix lets each version of Codex do: one case a row."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness import scenarios
from harness.codex_judges import (
    SUMMARY,
    THOUGHTS,
    Judge,
    Outcome,
    answered,
    both,
    catalog_used,
    cut_told,
    expect,
    failing_told,
    file,
    image_read,
    in_schema,
    knows_no_catalog,
    knows_no_namespace,
    never_ran,
    not_unsupported,
    outside_refused,
    planned,
    printed,
    read,
    recorded,
    resumed,
    summed_up,
    takes_no_images,
    thoughts,
    told,
)
from harness.codex_model import Offer, Script
from harness.scenarios import Turn, Usage

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix."""

    name: str
    #: For who reads the table.
    title: str
    prompt: str
    script: Script
    #: Yields what is wrong.
    judge: Judge
    #: How often Codex asks; by version, where that differs.
    requests: Callable[[tuple[int, ...]], int]
    #: What is in the folder before, by name.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: Returns values of `config.toml`; it gets the folder.
    config: Callable[[Path], dict[str, Any]] = lambda folder: {}
    #: The versions that need a flag.
    arguments: Callable[[tuple[int, ...]], list[str]] = lambda version: []
    output_schema: Mapping[str, Any] | None = None
    #: Why versions differ, for who wonders at the table.
    note: str = ""
    catalog: bool = False
    sandbox: bool = False
    #: What the person says in the same conversation after that.
    then: str | None = None
    #: It ends with an error.
    fails: bool = False
    #: A pattern of what Codex says of it with any backend, among warnings and errors.
    says: str | None = None
    #: Returns what a version was seen not to know, where without that there is nothing to judge.
    lacks: Callable[[Outcome], str | None] = lambda outcome: None


def _always(number: int) -> Callable[[tuple[int, ...]], int]:
    return lambda version: number


# --- scripts -------------------------------------------------------------------------------------

_USAGE: Final = Usage(3500, 40)
_DONE: Final = Turn(text="Done.", usage=_USAGE)

_CONTENT: Final = "naïve ✓ 'quoted' \"twice\" \\back"
_PATCH: Final = """\
*** Begin Patch
*** Update File: old.txt
@@
-before
+after ✓
*** Add File: new.txt
+one line
*** End Patch
"""


def _calling(*calls: Callable[[Offer], Any], **more: Any) -> Script:
    """Return a script: each call in a turn of its own, then the last word."""
    return lambda offer: [
        *(Turn(calls=[call(offer)], usage=_USAGE, **more) for call in calls),
        _DONE,
    ]


def _says(*texts: str) -> Script:
    return lambda offer: [Turn(text=text, usage=_USAGE) for text in texts]


def _command(id: str, command: str) -> Callable[[Offer], Any]:
    return lambda offer: offer.command(id, command)


def _played(name: str) -> Script:
    """Return the turns of a scenario that has no calls."""
    return lambda offer: scenarios.load(name).turns


def _failed_sequence(offer: Offer) -> list[Turn]:
    commands = ("echo first >> steps", "echo second >> steps; exit 3", "echo third >> steps")
    return [
        *(
            Turn(reasoning=f"Step {number}.", calls=[offer.command(f"c{number}", command)])
            for number, command in enumerate(commands, 1)
        ),
        _DONE,
    ]


def _parallel(offer: Offer) -> list[Turn]:
    calls = [
        offer.command("pa1", "echo one >> one; echo said-one"),
        offer.command("pa2", "echo two >> two; echo said-two"),
    ]
    return [Turn(calls=calls, interleaved=True, usage=_USAGE), _DONE]


def _thinking(offer: Offer) -> list[Turn]:
    return [
        Turn(reasoning=THOUGHTS[0], calls=[offer.command("th1", "echo 1")], usage=_USAGE),
        Turn(reasoning=THOUGHTS[1], calls=[offer.command("th2", "echo 2")], usage=_USAGE),
        _DONE,
    ]


def _plan(offer: Offer) -> Any:
    steps = [{"step": "look", "status": "completed"}, {"step": "do", "status": "in_progress"}]
    return offer.tool("pl1", "update_plan", {"plan": steps})


def _namespace(offer: Offer) -> Any:
    return offer.tool("ns1", "close_agent", {"target": "nobody"})


#: 200 events and more.
_LONG: Final = " ".join(f"word{number}" for number in range(300))


def _compacted(offer: Offer) -> list[Turn]:
    full = Usage(50_000, 20)
    return [
        Turn(calls=[offer.command("co1", "echo one >> count; echo one")], usage=full),
        Turn(text=SUMMARY, usage=_USAGE, compacts=True),
        _DONE,
    ]


def _cut_after_call(offer: Offer) -> list[Turn]:
    return [Turn(calls=[offer.command("cu1", "echo ran >> count")], end="cut", usage=_USAGE)]


#: One red pixel.
_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)

_SCHEMA: Final = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}


# --- cases ---------------------------------------------------------------------------------------

#: By default the sandbox lets commands write there, and all this is below it.
_NOT_EVEN_TMP: Final = (
    "sandbox_workspace_write.exclude_slash_tmp",
    "sandbox_workspace_write.exclude_tmpdir_env_var",
)

_MCP: Final = "mcp_servers.counter"


def _mcp(folder: Path) -> dict[str, Any]:
    arguments = ["-P", "-m", "harness.mcp_counter", str(folder / "counted")]
    path = str(Path(__file__).resolve().parent.parent)
    return {
        f"{_MCP}.command": sys.executable,
        f"{_MCP}.args": arguments,
        f"{_MCP}.env": {"PYTHONPATH": path},
    }


def _counted(outcome: Outcome) -> Iterator[str]:
    yield from expect("counted", "a line\n", read(outcome.folder / "counted"))


#: HTTP 400 stops Codex since 0.77; before, it asks five times more.
def _final(version: tuple[int, ...]) -> int:
    return 6 if version < (0, 77) else 1


CASES: Final[tuple[Case, ...]] = (
    Case(
        "hello",
        "an answer in text",
        "say hello world",
        _says("Hello, world!"),
        answered("Hello, world!"),
        _always(1),
    ),
    Case(
        "create-file",
        "a file from a heredoc, its content to the byte",
        "create file.txt",
        _calling(_command("cf1", f"cat > file.txt <<'EOF'\n{_CONTENT}\nEOF")),
        both(file("file.txt", f"{_CONTENT}\n"), answered("Done.")),
        _always(2),
    ),
    Case(
        "run-once",
        "a command runs once, its output comes back",
        "count",
        _calling(_command("ro1", "echo ran >> count; echo the-output")),
        both(file("count", "ran\n"), printed("ro1", "the-output")),
        _always(2),
    ),
    Case(
        "apply-patch",
        "the patch tool, of the kind that the version offers by itself",
        "change the files",
        _calling(lambda offer: offer.patch("ap1", _PATCH)),
        both(file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        _always(2),
        note=(
            "Newer versions offer a model that they have no metadata for no patch tool; with a "
            "catalog (`catalog`) they do, and a heredoc in the shell always works."
        ),
        files={"old.txt": b"before\n"},
    ),
    Case(
        "apply-patch-heredoc",
        "a patch in a shell command",
        "change the files",
        _calling(_command("ah1", f"apply_patch <<'EOF'\n{_PATCH}EOF\n")),
        both(file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        _always(2),
        files={"old.txt": b"before\n"},
    ),
    Case(
        "sequential",
        "three calls one after the other, the second fails",
        "do three steps",
        _failed_sequence,
        both(
            file("steps", "first\nsecond\nthird\n"),
            lambda o: expect("results", ["c1", "c2", "c3"], sorted(o.results())),
            failing_told,
        ),
        _always(4),
    ),
    Case(
        "parallel",
        "two calls in one answer, their fragments interleaved",
        "do two things",
        _parallel,
        both(
            file("one", "one\n"),
            file("two", "two\n"),
            printed("pa1", "said-one"),
            printed("pa2", "said-two"),
        ),
        _always(2),
    ),
    Case(
        "reasoning",
        "what the model thought comes back to it, turn by turn",
        "think",
        _thinking,
        thoughts,
        _always(3),
    ),
    Case(
        "update-plan",
        "the plan tool",
        "plan it",
        _calling(_plan),
        both(planned, printed("pl1", "lan")),
        _always(2),
        arguments=lambda version: ["--include-plan-tool"] if version < (0, 50) else [],
    ),
    Case(
        "view-image",
        "an image is read; the model, which reads text, is told of it",
        "look at the image",
        _calling(lambda offer: offer.tool("vi1", "view_image", {"path": "pixel.png"})),
        image_read,
        _always(2),
        files={"pixel.png": _PIXEL},
        lacks=takes_no_images,
        note="0.121.0 says `view_image is not allowed because you do not support image inputs`.",
    ),
    Case(
        "namespace",
        "a tool in a namespace",
        "close the agent",
        _calling(_namespace),
        not_unsupported("ns1"),
        _always(2),
        says="invalid agent id",
        lacks=knows_no_namespace,
    ),
    Case(
        "long-answer",
        "an answer of more than 200 events",
        "say much",
        _says(_LONG),
        recorded(_LONG),
        _always(1),
        note=(
            "It is judged by Codex' own record: on a busy machine, 0.144.6 with `--json` sometimes "
            "ends, with status 0, without having printed the answer that it has recorded."
        ),
    ),
    Case(
        "compaction",
        "the conversation is summed up, and goes on",
        "count",
        _compacted,
        summed_up,
        _always(3),
        config=lambda folder: {"model_auto_compact_token_limit": 10_000},
    ),
    Case(
        "resume",
        "a conversation goes on in a second run",
        "my favourite colour is teal",
        _says("I will remember it.", "It was teal."),
        both(resumed, answered("It was teal.")),
        _always(2),
        then="which colour was it?",
        says="state db missing rollout path",
    ),
    Case(
        "output-schema",
        "the answer in a form that is asked for",
        "which colour?",
        _says('{"colour":"teal"}'),
        in_schema,
        _always(1),
        output_schema=_SCHEMA,
    ),
    Case(
        "mcp",
        "the one tool of an MCP server",
        "count a line",
        _calling(lambda offer: offer.tool("mc1", "count", {"line": "a line"})),
        both(_counted, printed("mc1", "counted 1")),
        _always(2),
        config=_mcp,
    ),
    Case(
        "sandbox",
        "a command in Codex' sandbox: its folder is writable, the one above is not",
        "write",
        _calling(_command("sa1", "echo in > inside.txt; echo out > ../outside.txt; echo tried")),
        both(file("inside.txt", "in\n"), outside_refused, printed("sa1", "tried")),
        _always(2),
        sandbox=True,
        config=lambda folder: dict.fromkeys(_NOT_EVEN_TMP, True),
    ),
    Case(
        "on-failure",
        "the same, and with the approval policy on-failure",
        "write",
        _calling(_command("of1", "echo in > inside.txt; echo tried")),
        both(file("inside.txt", "in\n"), printed("of1", "tried")),
        _always(2),
        sandbox=True,
        config=lambda folder: {"approval_policy": "on-failure"},
    ),
    Case(
        "catalog",
        "with a model catalog: no warning, and the patch tool is a custom one",
        "change the files",
        _calling(lambda offer: offer.patch("ca1", _PATCH)),
        both(catalog_used, file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        _always(2),
        files={"old.txt": b"before\n"},
        catalog=True,
        lacks=knows_no_catalog,
        note=(
            "0.105.0 is the first published version that reads `model_catalog_json`; 0.104.0, the "
            "one before it, does not."
        ),
    ),
    Case(
        "rate-limit",
        "HTTP 429 once: it is waited for",
        "say hello world",
        _played("rate-limit"),
        answered("Hello, world!"),
        _always(2),
        says=r"^Reconnecting\.\.\. 1/5|retrying 1/5",
    ),
    Case(
        "server-error-once",
        "HTTP 503 once: the proxy asks again, Codex does not see it",
        "say hello world",
        _played("server-error-once"),
        answered("Hello, world!"),
        _always(1),
    ),
    Case(
        "server-error",
        "HTTP 500 for good",
        "say hello world",
        _played("server-error"),
        told("server error"),
        _always(6),
        fails=True,
    ),
    Case(
        "wrong-key",
        "HTTP 401: a person is told",
        "say hello world",
        _played("wrong-key"),
        told("Wrong API Key"),
        _final,
        note="0.45.0 and 0.63.0 ask five times more after any HTTP 400, whoever answers it.",
        fails=True,
    ),
    Case(
        "context-length",
        "a conversation that is too long: told at once",
        "say hello world",
        _played("context-length"),
        told("context window"),
        _always(1),
        fails=True,
    ),
    Case(
        "cut-text",
        "a stream that breaks in the middle of a text",
        "say hello world",
        _played("cut-text"),
        told("broke off|disconnected"),
        _always(6),
        fails=True,
    ),
    Case(
        "cut-call",
        "a stream that breaks after a call: the command never runs",
        "count",
        _cut_after_call,
        both(never_ran, told("broke off|disconnected")),
        _always(6),
        fails=True,
    ),
    Case(
        "quota",
        "the tokens of the day are used up",
        "say hello world",
        _played("quota-exhausted"),
        told("[Qq]uota|per day"),
        lambda version: 6 if version < (0, 63) else 1,
        note="0.45.0 does not know the code `insufficient_quota`, and asks five times more.",
        fails=True,
    ),
    Case(
        "unanswered",
        "the connection is closed without an answer",
        "say hello world",
        _played("unanswered"),
        told("closed the connection|disconnected"),
        _always(6),
        fails=True,
    ),
    Case(
        "content-filter",
        "an answer that a filter cuts",
        "tell me something",
        _played("content-filter"),
        cut_told("content_filter", "Here is how"),
        _always(1),
        fails=True,
    ),
    Case(
        "length",
        "an answer that the limit cuts",
        "count to a thousand",
        _played("length-text"),
        cut_told("max_output_tokens", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,"),
        _always(1),
        note=(
            "Versions before 0.163.0 take `response.incomplete` for a stream that broke, so that "
            "the proxy gives them what there is as the answer."
        ),
        fails=True,
    ),
)
