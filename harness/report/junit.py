"""JUnit XML, which every CI reads: a suite for each subject, a test for each case and rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from harness.report.results import Judged, Results, section_of, worst
from harness.verdicts import Verdict

__all__ = ["junit_of"]

#: Characters that XML 1.0 cannot hold, however they are written.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(results: Results) -> str:
    """Return the document.

    A failure is what fails the run: a SHOULD that is violated without `--strict` passes, and is
    told beside it; so does a known gap, as skipped.
    """
    root = ElementTree.Element("testsuites", name="conformance")
    for subject in results.subjects:
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(subject))
        if (run := results.runs.get(subject)) is not None:
            suite.set("timestamp", _clean(run.started_at))
        for judged in results.cases:
            if judged.case.subject == subject:
                for rule, verdicts in judged.verdicts.items():
                    _add_test(suite, judged, rule, verdicts, results)
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_test(
    suite: ElementTree.Element,
    judged: Judged,
    rule: str,
    verdicts: Sequence[Verdict],
    results: Results,
) -> None:
    case = judged.case
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{case.subject}.{section_of(rule)}"),
        name=_clean(f"{rule} [{case.cassette}, {case.variant}]"),
    )
    failing = [verdict for verdict in verdicts if results.fails(verdict)]
    if failing:
        failure = ElementTree.SubElement(test, "failure", type=rule)
        failure.set("message", _clean(failing[0].requirement or f"{rule} is violated"))
        failure.text = _clean("\n\n".join(map(_told, failing)))
    elif (outcome := worst(verdicts)) in ("gap", "skipped"):
        reason = next(one.reason for one in verdicts if one.verdict == outcome)
        message = f"known gap: {reason}" if outcome == "gap" else reason
        ElementTree.SubElement(test, "skipped", message=_clean(message))
    elif outcome == "fault":
        told = "\n\n".join(map(_told, verdicts))
        ElementTree.SubElement(test, "system-out").text = _clean(f"SHOULD, not strict:\n{told}")


def _told(verdict: Verdict) -> str:
    return f"Expected: {verdict.expected}\nActual:   {verdict.actual}\nWhere:    {verdict.where}"


def _count(element: ElementTree.Element) -> None:
    counts = {
        "tests": "testcase",
        "failures": "testcase/failure",
        "errors": "testcase/error",
        "skipped": "testcase/skipped",
    }
    for name, path in counts.items():
        element.set(name, str(len(element.findall(f".//{path}"))))


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
