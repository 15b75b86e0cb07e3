"""What the matrix lets each version of Codex do: one case a row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness.codex_case import (
    CONTENT,
    LONG,
    PATCH,
    PIXEL,
    SCHEMA,
    Case,
    always,
    calling,
    command,
    compacted,
    cut_after_call,
    failed_sequence,
    namespace,
    parallel,
    plan,
    played,
    says,
    thinking,
)
from harness.codex_judges import (
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

__all__ = ["CASES"]

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
        says("Hello, world!"),
        answered("Hello, world!"),
        always(1),
    ),
    Case(
        "create-file",
        "a file from a heredoc, its content to the byte",
        "create file.txt",
        calling(command("cf1", f"cat > file.txt <<'EOF'\n{CONTENT}\nEOF")),
        both(file("file.txt", f"{CONTENT}\n"), answered("Done.")),
        always(2),
    ),
    Case(
        "run-once",
        "a command runs once, its output comes back",
        "count",
        calling(command("ro1", "echo ran >> count; echo the-output")),
        both(file("count", "ran\n"), printed("ro1", "the-output")),
        always(2),
    ),
    Case(
        "apply-patch",
        "the patch tool, of the kind that the version offers by itself",
        "change the files",
        calling(lambda offer: offer.patch("ap1", PATCH)),
        both(file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        always(2),
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
        calling(command("ah1", f"apply_patch <<'EOF'\n{PATCH}EOF\n")),
        both(file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        always(2),
        files={"old.txt": b"before\n"},
    ),
    Case(
        "sequential",
        "three calls one after the other, the second fails",
        "do three steps",
        failed_sequence,
        both(
            file("steps", "first\nsecond\nthird\n"),
            lambda o: expect("results", ["c1", "c2", "c3"], sorted(o.results())),
            failing_told,
        ),
        always(4),
    ),
    Case(
        "parallel",
        "two calls in one answer, their fragments interleaved",
        "do two things",
        parallel,
        both(
            file("one", "one\n"),
            file("two", "two\n"),
            printed("pa1", "said-one"),
            printed("pa2", "said-two"),
        ),
        always(2),
    ),
    Case(
        "reasoning",
        "what the model thought comes back to it, turn by turn",
        "think",
        thinking,
        thoughts,
        always(3),
    ),
    Case(
        "update-plan",
        "the plan tool",
        "plan it",
        calling(plan),
        both(planned, printed("pl1", "lan")),
        always(2),
        arguments=lambda version: ["--include-plan-tool"] if version < (0, 50) else [],
    ),
    Case(
        "view-image",
        "an image is read; the model, which reads text, is told of it",
        "look at the image",
        calling(lambda offer: offer.tool("vi1", "view_image", {"path": "pixel.png"})),
        image_read,
        always(2),
        files={"pixel.png": PIXEL},
        lacks=takes_no_images,
        note="0.121.0 says `view_image is not allowed because you do not support image inputs`.",
    ),
    Case(
        "namespace",
        "a tool in a namespace",
        "close the agent",
        calling(namespace),
        not_unsupported("ns1"),
        always(2),
        says="invalid agent id",
        lacks=knows_no_namespace,
    ),
    Case(
        "long-answer",
        "an answer of more than 200 events",
        "say much",
        says(LONG),
        recorded(LONG),
        always(1),
        note=(
            "It is judged by Codex' own record: on a busy machine, 0.144.6 with `--json` sometimes "
            "ends, with status 0, without having printed the answer that it has recorded."
        ),
    ),
    Case(
        "compaction",
        "the conversation is summed up, and goes on",
        "count",
        compacted,
        summed_up,
        always(3),
        config=lambda folder: {"model_auto_compact_token_limit": 10_000},
    ),
    Case(
        "resume",
        "a conversation goes on in a second run",
        "my favourite colour is teal",
        says("I will remember it.", "It was teal."),
        both(resumed, answered("It was teal.")),
        always(2),
        then="which colour was it?",
        says="state db missing rollout path",
    ),
    Case(
        "output-schema",
        "the answer in a form that is asked for",
        "which colour?",
        says('{"colour":"teal"}'),
        in_schema,
        always(1),
        output_schema=SCHEMA,
    ),
    Case(
        "mcp",
        "the one tool of an MCP server",
        "count a line",
        calling(lambda offer: offer.tool("mc1", "count", {"line": "a line"})),
        both(_counted, printed("mc1", "counted 1")),
        always(2),
        config=_mcp,
    ),
    Case(
        "sandbox",
        "a command in Codex' sandbox: its folder is writable, the one above is not",
        "write",
        calling(command("sa1", "echo in > inside.txt; echo out > ../outside.txt; echo tried")),
        both(file("inside.txt", "in\n"), outside_refused, printed("sa1", "tried")),
        always(2),
        sandbox=True,
        config=lambda folder: dict.fromkeys(_NOT_EVEN_TMP, True),
    ),
    Case(
        "on-failure",
        "the same, and with the approval policy on-failure",
        "write",
        calling(command("of1", "echo in > inside.txt; echo tried")),
        both(file("inside.txt", "in\n"), printed("of1", "tried")),
        always(2),
        sandbox=True,
        config=lambda folder: {"approval_policy": "on-failure"},
    ),
    Case(
        "catalog",
        "with a model catalog: no warning, and the patch tool is a custom one",
        "change the files",
        calling(lambda offer: offer.patch("ca1", PATCH)),
        both(catalog_used, file("old.txt", "after ✓\n"), file("new.txt", "one line\n")),
        always(2),
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
        played("rate-limit"),
        answered("Hello, world!"),
        always(2),
        says=r"^Reconnecting\.\.\. 1/5|retrying 1/5",
    ),
    Case(
        "server-error-once",
        "HTTP 503 once: the proxy asks again, Codex does not see it",
        "say hello world",
        played("server-error-once"),
        answered("Hello, world!"),
        always(1),
    ),
    Case(
        "server-error",
        "HTTP 500 for good",
        "say hello world",
        played("server-error"),
        told("server error"),
        always(6),
        fails=True,
    ),
    Case(
        "wrong-key",
        "HTTP 401: a person is told",
        "say hello world",
        played("wrong-key"),
        told("Wrong API Key"),
        _final,
        note="0.45.0 and 0.63.0 ask five times more after any HTTP 400, whoever answers it.",
        fails=True,
    ),
    Case(
        "context-length",
        "a conversation that is too long: told at once",
        "say hello world",
        played("context-length"),
        told("context window"),
        always(1),
        fails=True,
    ),
    Case(
        "cut-text",
        "a stream that breaks in the middle of a text",
        "say hello world",
        played("cut-text"),
        told("broke off|disconnected"),
        always(6),
        fails=True,
    ),
    Case(
        "cut-call",
        "a stream that breaks after a call: the command never runs",
        "count",
        cut_after_call,
        both(never_ran, told("broke off|disconnected")),
        always(6),
        fails=True,
    ),
    Case(
        "quota",
        "the tokens of the day are used up",
        "say hello world",
        played("quota-exhausted"),
        told("[Qq]uota|per day"),
        lambda version: 6 if version < (0, 63) else 1,
        note="0.45.0 does not know the code `insufficient_quota`, and asks five times more.",
        fails=True,
    ),
    Case(
        "unanswered",
        "the connection is closed without an answer",
        "say hello world",
        played("unanswered"),
        told("closed the connection|disconnected"),
        always(6),
        fails=True,
    ),
    Case(
        "content-filter",
        "an answer that a filter cuts",
        "tell me something",
        played("content-filter"),
        cut_told("content_filter", "Here is how"),
        always(1),
        fails=True,
    ),
    Case(
        "length",
        "an answer that the limit cuts",
        "count to a thousand",
        played("length-text"),
        cut_told("max_output_tokens", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,"),
        always(1),
        note=(
            "Versions before 0.163.0 take `response.incomplete` for a stream that broke, so that "
            "the proxy gives them what there is as the answer."
        ),
        fails=True,
    ),
)
