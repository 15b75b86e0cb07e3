"""The matrix: what a client does shows in its cell, with small programs in the place of Codex."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import codex_cases, codex_report
from harness.codex_case import Case
from harness.codex_cli import Codex
from harness.codex_matrix import Cell, Matrix, numbers

#: What Codex does, in its simplest form: it asks, runs what the model calls, and asks again.
CLIENT = f"""\
#!{sys.executable}
import json, re, subprocess, sys, urllib.request

url = re.search(r'base_url="([^"]+)"', " ".join(sys.argv))[1]
history = [{{"type": "message", "role": "user", "content": sys.argv[-1]}}]
tools = [{{
    "type": "function", "name": "exec_command", "strict": False,
    "parameters": {{"type": "object", "properties": {{"cmd": {{"type": "string"}}}}}},
}}]

def tell(item):
    print(json.dumps({{"type": "item.completed", "item": item}}))

def ask():
    body = {{"model": "gpt-oss-120b", "input": history, "tools": tools, "stream": True}}
    request = urllib.request.Request(
        url + "/responses", json.dumps(body).encode(), {{"content-type": "application/json"}}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    with opener.open(request) as answer:
        lines = [line for line in answer if line.startswith(b"data: ")]
    events = [json.loads(line[6:]) for line in lines]
    return [e["item"] for e in events if e["type"] == "response.output_item.done"]

def run(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    return f"Process exited with code {{done.returncode}}\\nOutput:\\n{{done.stdout}}"

while True:
    items = ask()
    history += items
    calls = [item for item in items if item["type"] == "function_call"]
    for call in calls:
        output = run(json.loads(call["arguments"])["cmd"])
        BETWEEN
        history.append(
            {{"type": "function_call_output", "call_id": call["call_id"], "output": output}}
        )
    if not calls:
        break
tell({{"type": "agent_message", "text": items[-1]["content"][0]["text"]}})
"""


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    with Matrix() as matrix:
        yield matrix


def client(folder: Path, between: str = "pass", version: str = "0.163.0") -> Codex:
    """Return a client that does `between` after each command."""
    binary = folder / "client"
    binary.write_text(CLIENT.replace("BETWEEN", between))
    binary.chmod(0o755)
    return Codex(version, binary)


def case(name: str) -> Case:
    return next(case for case in codex_cases.CASES if case.name == name)


@pytest.mark.parametrize(
    "name", ["hello", "create-file", "run-once", "sequential", "parallel", "reasoning"]
)
def test_a_client_that_does_it_is_ok(matrix: Matrix, tmp_path: Path, name: str) -> None:
    cell = matrix.run(client(tmp_path), case(name))

    assert (cell.mark, list(cell.faults)) == ("ok", [])


@pytest.mark.parametrize(
    ("between", "fault"),
    [
        (
            "run(json.loads(call['arguments'])['cmd'])",
            "count: expected 'ran\\n', not 'ran\\nran\\n'",
        ),
        ("output = ''", "the result of ro1: expected 'the-output' in it, not ''"),
        ("ask()", "it asked 3 times, not 2"),
        ("print('ERROR: oh no', file=sys.stderr)", "it complained: ERROR: oh no"),
        ("tell({'type': 'error', 'message': 'oh no'})", "it complained: oh no"),
        ("sys.exit(3)", "it ended with status 3"),
    ],
)
def test_what_a_client_does_wrong_is_told(
    matrix: Matrix, tmp_path: Path, between: str, fault: str
) -> None:
    cell = matrix.run(client(tmp_path, between), case("run-once"))

    assert cell.mark == "FAILED"
    assert fault in cell.faults


def test_a_tool_that_is_not_offered_is_named(matrix: Matrix, tmp_path: Path) -> None:
    cell = matrix.run(client(tmp_path), case("apply-patch"))

    assert (cell.mark, cell.lacks) == ("n/a", "the tool `apply_patch`")


def test_a_client_that_asks_nothing_fails_with_what_it_said(matrix: Matrix, tmp_path: Path) -> None:
    binary = tmp_path / "client"
    binary.write_text("#!/bin/sh\necho I cannot >&2\nexit 7\n")
    binary.chmod(0o755)

    cell = matrix.run(Codex("0.163.0", binary), case("hello"))

    assert cell.faults == ["Codex asked nothing; status 7: I cannot"]


def test_the_names_of_cases_are_unique() -> None:
    names = [case.name for case in codex_cases.CASES]

    assert len(set(names)) == len(names)


def test_the_page_has_every_cell_and_what_is_not_ok() -> None:
    cells = [
        Cell("hello", "0.98.0"),
        Cell("hello", "0.121.0", faults=["it asked 3 times, not 1"]),
        Cell("wrong-key", "0.98.0", lacks="the tool `x`"),
    ]

    page = codex_report.markdown(
        cells,
        {"0.45.0": "npm is missing"},
        now=datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
    )

    assert "on 2026-11-22, " in page
    assert "| | 0.45.0 | 0.98.0 | 0.121.0 | |" in page
    assert "| `hello` |  | ok | **FAILED** | an answer in text; 1 request |" in page
    assert "| `wrong-key` |  | n/a |  | HTTP 401: a person is told; requests: " in page
    assert "requests: 6 with 0.45.0; 1 with 0.98.0, 0.121.0 |" in page
    assert "- `hello`, 0.121.0: it asked 3 times, not 1\n" in page
    assert "- `wrong-key`, 0.98.0: has not the tool `x`\n" in page
    assert "- `wrong-key`: 0.45.0 and 0.63.0 ask five times more after any HTTP 400" in page
    assert "- 0.45.0: npm is missing\n" in page
    assert page.index("0.98.0 |") < page.index("0.121.0 |")  # as numbers, not as text


def test_versions_are_ordered_as_numbers() -> None:
    assert numbers("0.98.0") < numbers("0.144.6") < numbers("0.163.0")
