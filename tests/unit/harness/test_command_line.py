"""The command line, as a person or a script meets it: a process with its output and its status."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import scenarios
from harness.cassette import open_cassette
from tests.cassettes import FOLDER, cerebras
from tests.unit.harness.upstreams import Say, Upstream

#: Nothing of the person who runs this: neither keys nor colours.
ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
    "PYTHONPATH": str(FOLDER.parent),
    "PYTHONDONTWRITEBYTECODE": "1",
}

HELLO = str(cerebras("hello"))

Done = dict[str, subprocess.CompletedProcess[str]]


def start(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background is started with Ctrl-C ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: a folder with one good cassette and one that was tampered with."""
    folder = tmp_path_factory.mktemp("work")
    good = folder / "cassettes" / "cerebras" / "hello.yaml"
    good.parent.mkdir(parents=True)
    shutil.copyfile(HELLO, good)
    say_more_after_the_end(good, folder / "tampered" / "hello.yaml")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> Done:
    """Commands that ran to their ends, all at the same time."""
    commands = {
        "help": ["--help"],
        "list": ["list"],
        "list --scenarios": ["list", "--scenarios"],
        "show hello": ["show", "hello"],
        "show cerebras/hello": ["show", "cerebras/hello"],
        "show a file": ["show", "cassettes/cerebras/hello.yaml"],
        "show what is missing": ["show", "nothing"],
        "run": ["run"],
        "run what is missing": ["run", "cassettes/cerebras/nothing.yaml"],
        "run what is tampered with": ["run", "tampered/hello.yaml", HELLO],
        "record without a key": ["record", "hello"],
        "verify": ["verify"],
        "verify what is tampered with": ["verify", "tampered/hello.yaml"],
        "compare for one backend": ["compare", "wrong-key"],
        "serve what is missing": ["serve", "nothing"],
        "record with another client": ["record", "hello", "--client", "curl"],
        "record with no version": ["record", "hello", "--client", "codex@new"],
        "record a failure live": ["record", "wrong-key", "--backend", "chatgpt"],
        "record what does not exist": ["record", "helo", "--upstream", "emulator"],
    }

    def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        with start(*arguments, folder=folder) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(commands, pool.map(run, commands.values()), strict=True))


def assert_unchanged(folder: Path) -> None:
    """The one cassette is as it was, and nothing was left beside it."""
    (path,) = (folder / "cassettes" / "cerebras").iterdir()
    assert path.read_bytes() == cerebras("hello").read_bytes()


def say_more_after_the_end(old: Path, new: Path) -> None:
    """Tamper with a recording: something comes after `[DONE]`, where no proxy listens."""
    with open_cassette(old) as recorded, open_cassette(new, record=True) as tampered:
        answer = recorded.responses[0]
        more = b'data: {"choices":[{"delta":{"content":"?"},"index":0}]}\n\n'
        answer["body"]["string"] += more
        answer["stream"]["chunks"].append([1000.0, len(more)])
        tampered.append(recorded.requests[0], answer)


def test_help_shows_commands_and_examples(done: Done) -> None:
    shown = done["help"]

    assert (shown.returncode, shown.stderr) == (0, "")
    for command in ("run", "list", "show", "record", "serve"):
        assert f"\n    {command} " in shown.stdout
    assert "\nexamples:\n  conformance run " in shown.stdout
    assert "CEREBRAS_API_KEY=" in shown.stdout


def test_list_tells_of_each_cassette_where_it_is_from(done: Done) -> None:
    listed = done["list"]

    assert (listed.returncode, listed.stderr) == (0, "")
    head, line, *_, total, _ = listed.stdout.splitlines()
    assert head.split()[:4] == ["cassette", "model", "from", "client"]
    assert line.split()[:3] == ["cerebras/hello", "gpt-oss-120b", "emulator"]
    assert total.startswith("1 cassette")


def test_list_tells_what_can_be_recorded(done: Done) -> None:
    listed = done["list --scenarios"]

    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == scenarios.names()


@pytest.mark.parametrize("command", ["show hello", "show cerebras/hello", "show a file"])
def test_show_takes_a_file_a_case_or_a_scenario(command: str, done: Done) -> None:
    shown = done[command]

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Hello, world!" in shown.stdout


def test_who_asks_for_what_is_not_there_is_told_so(done: Done) -> None:
    shown = done["show what is missing"]

    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == "conformance: cassettes/nothing.yaml: there is no such cassette\n"


def test_all_cassettes_are_run_and_those_that_conform_are_ok(done: Done) -> None:
    run = done["run"]

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "ok      cerebras/hello\n1 of 1 cassettes conform\n"


def test_a_cassette_that_is_missing_is_told_in_one_sentence(done: Done) -> None:
    run = done["run what is missing"]

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "conformance: cassettes/cerebras/nothing.yaml: there is no such cassette\n"
    )


def test_a_fault_is_printed_with_all_that_it_takes_to_mend_it(done: Done) -> None:
    run = done["run what is tampered with"]

    assert (run.returncode, run.stderr) == (1, "")
    failed, fault, *rest = run.stdout.split("\n\n")
    assert failed == "FAILED  tampered/hello"
    requirement, expected, actual, where = fault.splitlines()
    assert requirement.startswith("text/1  MUST: the text of the messages that are done is the")
    assert expected.startswith("    Expected: 'Hello, world!?'")
    assert actual.startswith("    Actual:   'Hello, world!'")
    assert where.startswith("    Where:    ")
    assert "tampered/hello.yaml, turn 1, chunk " in where
    assert rest == ["ok      cerebras/hello\n1 of 2 cassettes conform\n"]


def test_without_a_key_nothing_is_recorded(done: Done, folder: Path) -> None:
    record = done["record without a key"]

    assert (record.returncode, record.stdout) == (2, "")
    assert record.stderr == (
        "conformance: CEREBRAS_API_KEY is not set; set it, or record the scripted emulator with "
        "--upstream emulator\n"
    )
    assert_unchanged(folder)


def test_an_unknown_scenario_is_told_with_those_that_exist(done: Done) -> None:
    record = done["record what does not exist"]

    assert (record.returncode, record.stdout) == (2, "")
    assert record.stderr == (
        f"conformance: there is no scenario 'helo'; there are: {', '.join(scenarios.names())}\n"
    )


def test_what_is_whole_is_verified(done: Done) -> None:
    verified = done["verify"]

    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout == "1 cassettes: 0 errors, 0 warnings\n"


def test_what_was_tampered_with_is_not(done: Done) -> None:
    verified = done["verify what is tampered with"]

    assert (verified.returncode, verified.stderr) == (1, "")
    assert verified.stdout.startswith("tampered/hello.yaml: error: ")
    assert "record it again" in verified.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("compare for one backend", "wrong-key is for one backend; for both are: add-function, "),
        ("serve what is missing", "cassettes/cerebras/nothing.yaml: there is no such recording; "),
        ("record with another client", "--client is script, codex or codex@VERSION, not 'curl'"),
        ("record with no version", "'new' is no version of Codex; they look like 0.163.0"),
        ("record a failure live", "wrong-key was not recorded: it is for cerebras, not for chat"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(command: str, said: str, done: Done) -> None:
    told = done[command]

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"conformance: {said}")
    assert told.stderr.count("\n") == 1


def test_a_pipe_gets_plain_text(done: Done) -> None:
    printed = "".join(process.stdout + process.stderr for process in done.values())

    assert printed.replace("\n", "").isprintable()


def test_who_interrupts_leaves_the_old_recording(folder: Path, upstream: Upstream) -> None:
    asked, over = threading.Event(), threading.Event()

    async def keep_waiting(say: Say) -> None:
        asked.set()
        await asyncio.to_thread(over.wait, 20)

    upstream.does(keep_waiting)
    live = {"CEREBRAS_API_KEY": "csk-live", "CEREBRAS_BASE_URL": f"{upstream.url}/v1"}

    with start("record", "hello", folder=folder, **live) as process:
        assert asked.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    over.set()

    assert (process.returncode, out) == (130, "")
    assert err.endswith("conformance: interrupted; no cassette was changed halfway\n")
    assert_unchanged(folder)
