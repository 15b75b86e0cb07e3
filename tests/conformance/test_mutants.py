"""Each rule catches the proxies that break it; nothing catches the one that breaks nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.mutants.calls import CALLS
from tests.conformance.mutants.failures import FAILURES
from tests.conformance.mutants.items import ITEMS
from tests.conformance.mutants.judge import Broken, Judge, Judged
from tests.conformance.mutants.requests import REQUESTS
from tests.conformance.mutants.servers import Mutation, UpstreamMutation
from tests.conformance.mutants.streams import STREAMS
from tests.conformance.mutants.table import table_of, uncaught

MUTANTS = (*STREAMS, *ITEMS, *CALLS, *FAILURES, *REQUESTS)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mutants.md"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with Judge(tmp_path_factory.mktemp("report")) as judge:
        yield judge


@pytest.mark.parametrize("broken", MUTANTS, ids=str)
def test_its_rule_catches_it_and_only_what_follows(broken: Broken, judge: Judge) -> None:
    judged = judge(broken)

    assert judged.faults.keys() == {broken.rule, *broken.follows}
    fails = any(fault.level == "MUST" for fault in judged.faults.values())
    assert judged.status == (1 if fails else 0)


@pytest.mark.parametrize("unspoilt", [Mutation(), UpstreamMutation()], ids=["front", "behind"])
def test_nothing_is_caught_where_nothing_is_broken(
    unspoilt: Mutation | UpstreamMutation, judge: Judge
) -> None:
    judged = judge.judged(unspoilt, "hello", "whole-calls", "parallel-calls")

    assert (judged.status, judged.faults) == (0, {})


def test_no_rule_is_without_a_mutant(judge: Judge) -> None:
    assert uncaught(map(judge, MUTANTS)) == []


def test_a_rule_without_a_mutant_is_named(judge: Judge) -> None:
    assert uncaught([judge(MUTANTS[0])], ["schema", "items/99"]) == ["items/99"]


def test_the_table_is_what_the_verdicts_say(judge: Judge, pytestconfig: pytest.Config) -> None:
    table = table_of([(broken, judge(broken)) for broken in MUTANTS])

    if pytestconfig.getoption("update_snapshots"):
        DOCUMENT.write_text(table, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == table, f"{DOCUMENT.name}: --snapshot-update"


def test_the_command_in_a_process_of_its_own_says_the_same(judge: Judge) -> None:
    broken = next(one for one in MUTANTS if one.rule == "items/2")
    expected = judge(broken)

    command = [sys.executable, "-m", "harness", *judge.command(broken.does, broken.cassette)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (expected.status, "")
    assert Judged(ended.returncode, judge.read()).faults.keys() == expected.faults.keys()
    assert ended.stdout.startswith("FAILED  cerebras/whole-calls\n")
