from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness import report
from harness.errors import HarnessError
from harness.provider import Provider
from harness.subject import OwnProxy
from harness.verdicts import Case, Line, Outcome, Run, Turn, Verdict, write_lines
from tests.conformance.mutants import Mutation, without
from tests.report_runs import MUTANT, OWN, lines_of

CASE = ("a proxy", "cerebras/hello", "recorded")
HOSTILE = "</script><script>alert(1)</script>\x00\ud83d | `x` \\ <b>\nnext"


@pytest.fixture(scope="module")
def lines(provider: Provider, proxy: OwnProxy) -> list[Line]:
    """What came of this proxy, and of one that never ends an item."""
    mutation = Mutation(events=without("response.output_item.done"))
    return lines_of(["hello", "parallel-calls"], provider, proxy, mutation)


def written(folder: Path, lines: list[Line]) -> dict[str, str]:
    write_lines(lines, folder / "verdicts.jsonl")
    report.write(folder)
    return {name: (folder / name).read_text(encoding="utf-8") for name in report.FILES}


def one(verdict: Outcome, *, strict: bool = False, **more: Any) -> list[Line]:
    """Return a run with one case, and one SHOULD."""
    run = Run("2026-11-22T20:00:00+00:00", "0.1.0", CASE[0], strict=strict)
    return [run, Case(*CASE, [Turn()]), Verdict(*CASE, "items/9", "SHOULD", verdict, **more)]


def cases_in(junit: str) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(junit)  # noqa: S314 (it is ours)
    return {f"{test.get('classname')} {test.get('name')}": test for test in root.iter("testcase")}


def index_in(page: str) -> dict[str, Any]:
    found = re.search(r'id="index">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    index: dict[str, Any] = json.loads(found[1])
    return index


def streams_in(page: str) -> list[Any]:
    packed = re.findall(r'id="case-\d+">(.*?)</script>', page)
    return [json.loads(gzip.decompress(base64.b64decode(one))) for one in packed]


# --- JUnit ---------------------------------------------------------------------------------------


def test_each_case_and_rule_is_a_test(tmp_path: Path, lines: list[Line]) -> None:
    tests = cases_in(written(tmp_path, lines)["junit.xml"])

    asked = {
        (line.subject, line.cassette, line.rule) for line in lines if isinstance(line, Verdict)
    }
    assert len(tests) == len(asked) > 50
    broken = tests[f"{MUTANT}.items items/2 [cerebras/hello, recorded]"].find("failure")
    assert broken is not None
    requirement = "every item that was added is done before the response is completed"
    assert requirement in (broken.get("message") or "")
    assert "Expected: one response.output_item.done" in (broken.text or "")
    assert tests[f"{OWN}.items items/2 [cerebras/hello, recorded]"].find("failure") is None


def test_the_counts_of_the_suites_are_those_of_their_tests(
    tmp_path: Path, lines: list[Line]
) -> None:
    root = ElementTree.fromstring(written(tmp_path, lines)["junit.xml"])  # noqa: S314

    own, mutant = root.findall("testsuite")
    assert (own.get("name"), own.get("failures")) == (OWN, "0")
    failures = len(mutant.findall("testcase/failure"))
    assert mutant.get("failures") == root.get("failures") == str(failures)
    assert failures > 0
    assert root.get("tests") == str(len(list(root.iter("testcase"))))


@pytest.mark.parametrize(
    ("verdict", "strict", "tag"),
    [
        ("pass", False, None),
        ("fault", False, "system-out"),
        ("fault", True, "failure"),
        ("gap", True, "skipped"),
        ("skipped", False, "skipped"),
    ],
)
def test_what_does_not_fail_the_run_is_no_failure(
    verdict: Outcome, strict: bool, tag: str | None, tmp_path: Path
) -> None:
    reports = written(tmp_path, one(verdict, strict=strict, reason="because"))

    (test,) = cases_in(reports["junit.xml"]).values()
    assert [child.tag for child in test] == ([] if tag is None else [tag])
    assert ("❌ fails" in reports["summary.md"]) == (tag == "failure")


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    reports = written(tmp_path, one("fault", strict=True, actual=HOSTILE))

    (test,) = cases_in(reports["junit.xml"]).values()
    assert "</script><script>alert(1)</script>��" in (test.findtext("failure") or "")


# --- Markdown ------------------------------------------------------------------------------------


def test_the_summary_is_a_table_of_subjects_and_one_of_sections(
    tmp_path: Path, lines: list[Line]
) -> None:
    summary = written(tmp_path, lines)["summary.md"].splitlines()

    assert f"| {OWN} | 2 | 0 | 0 | 0 | 0 | ✅ conforms |" in summary
    assert any(line.startswith(f"| {MUTANT} | 2 | ") and "❌ fails" in line for line in summary)
    assert "| items | ✅ | ❌ 2 |" in summary


def test_nothing_that_a_proxy_says_leaves_its_cell(tmp_path: Path) -> None:
    summary = written(tmp_path, one("fault", expected="x", actual=HOSTILE))["summary.md"]

    row = next(line for line in summary.splitlines() if "items/9" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert r"\</script\>" in row


def test_a_run_without_cases_says_so(tmp_path: Path) -> None:
    reports = written(tmp_path, [])

    assert "No case was run." in reports["summary.md"]
    assert cases_in(reports["junit.xml"]) == {}


# --- HTML ----------------------------------------------------------------------------------------


def test_the_page_holds_every_case_verdict_and_stream(tmp_path: Path, lines: list[Line]) -> None:
    page = written(tmp_path, lines)["index.html"]

    index = index_in(page)
    cases = [line for line in lines if isinstance(line, Case)]
    assert [case["cassette"] for case in index["cases"]] == [case.cassette for case in cases]
    assert index["subjects"] == [OWN, MUTANT]
    assert all(len(case["verdicts"]) == len(index["rules"]) for case in index["cases"])
    rule = [rule["id"] for rule in index["rules"]].index("items/2")
    assert [case["verdicts"][rule] for case in index["cases"]] == ["p", "p", "f", "f"]
    streams = streams_in(page)
    assert [len(turn["events"]) for turn in streams[0]] == [len(cases[0].turns[0].events)]
    assert streams[0][0]["chunks"][0][2] == cases[0].turns[0].chunks[0][2]


def test_the_difference_is_told_in_pieces(tmp_path: Path) -> None:
    lines = one("fault", expected="one event of type a", actual="one event of type b")

    (case,) = index_in(written(tmp_path, lines)["index.html"])["cases"]

    pieces = [["same", "one event of type ", "one event of type "], ["other", "a", "b"]]
    assert case["found"][0]["diff"] == pieces


@pytest.mark.parametrize(("expected", "actual"), [("abc", "xyz"), ("a " * 2000, "b " * 2000)])
def test_texts_that_are_not_alike_or_too_long_are_not_compared(
    expected: str, actual: str, tmp_path: Path
) -> None:
    lines = one("fault", expected=expected, actual=actual)

    (case,) = index_in(written(tmp_path, lines)["index.html"])["cases"]

    assert case["found"][0]["diff"] == [["other", expected, actual]]


def test_nothing_but_the_pages_own_script_may_run(tmp_path: Path) -> None:
    page = written(tmp_path, one("fault", actual=HOSTILE))["index.html"]

    assert "alert(1)</script>" not in page
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_the_same_run_makes_the_same_page(tmp_path: Path, lines: list[Line]) -> None:
    assert written(tmp_path, lines) == written(tmp_path, lines)


# --- errors --------------------------------------------------------------------------------------


def test_a_folder_without_verdicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"verdicts\.jsonl: cannot be read"):
        report.write(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_verdict_without_its_case_is_refused(tmp_path: Path) -> None:
    write_lines(one("fault")[2:], tmp_path / "verdicts.jsonl")

    with pytest.raises(HarnessError, match=r"items/9 is about a proxy cerebras/hello recorded, of"):
        report.write(tmp_path)
