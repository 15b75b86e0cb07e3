"""The HTML report: one page that holds everything it shows, and asks no network for anything.

The matrix and the faults are plain JSON. The streams are most of it: each case's are compressed
for themselves, and the page unpacks a case when it is looked at, so that it opens at once.

What a proxy under test says is not to be trusted: it gets into the page as data only, and a policy
lets nothing run but the page's own script.
"""

from __future__ import annotations

import base64
import difflib
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any, Final

from harness.report.results import Judged, Results, section_of, worst
from harness.rules import RULES
from harness.verdicts import Verdict

__all__ = ["html_of"]

#: In the order in which they need each other.
_SCRIPTS: Final = ("tools.js", "timeline.js", "matrix.js", "case.js", "page.js")

#: Words, and whatever stands between them, one by one.
_TOKENS: Final = re.compile(r"\w+|\s+|[^\w\s]")

#: More tokens than these are not compared: it would take seconds, and nobody would read it.
_MOST_TOKENS: Final = 2000

#: Below this, two texts have nothing in common that is worth showing.
_ALIKE: Final = 0.3


def html_of(results: Results) -> str:
    """Return the document."""
    css = _asset("page.css")
    # In a block: what they name is nobody else's.
    js = '"use strict";\n{\n' + "\n".join(map(_asset, _SCRIPTS)) + "}\n"
    rules = results.rules
    index = {
        "runs": [asdict(run) for run in results.runs.values()],
        "subjects": results.subjects,
        "variants": results.variants,
        "rules": [
            # What holds says no requirement; what is no rule of the registry (`edge/1`) has none.
            {
                "id": id,
                "section": section_of(id),
                "requirement": RULES[id].requirement if id in RULES else "",
            }
            for id in rules
        ],
        "cases": [_case(judged, rules) for judged in results.cases],
    }
    streams = (
        f'<script type="application/gzip" id="case-{number}">{_streams(judged)}</script>\n'
        for number, judged in enumerate(results.cases)
    )
    values = {
        "css": css,
        "js": js,
        "policy": (
            f"default-src 'none'; style-src {_hash(css)}; "
            f"script-src {_hash(js)}; base-uri 'none'; form-action 'none'"
        ),
        # In a script element only `<` could end it.
        "index": json.dumps(index, separators=(",", ":")).replace("<", "\\u003c"),
        "streams": "".join(streams),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _asset("page.html"))


def _case(judged: Judged, rules: Sequence[str]) -> dict[str, Any]:
    case = judged.case
    return {
        "subject": case.subject,
        "cassette": case.cassette,
        "variant": case.variant,
        # A letter a rule, in the order of the index; a dot where it was not asked.
        "verdicts": "".join(
            worst(judged.verdicts[rule])[0] if rule in judged.verdicts else "." for rule in rules
        ),
        "found": [_found(verdict) for verdict in judged.found],
        "skipped": [
            {"rule": one.rule, "reason": one.reason}
            for verdicts in judged.verdicts.values()
            for one in verdicts
            if one.verdict == "skipped"
        ],
    }


def _found(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "level": verdict.level,
        "verdict": verdict.verdict,
        "where": verdict.where,
        # The level stands in its heading.
        "requirement": verdict.requirement.removeprefix(f"{verdict.level}: "),
        "reason": verdict.reason,
        "turn": verdict.turn,
        "event": verdict.event,
        "diff": list(_diff(verdict.expected, verdict.actual)),
    }


def _diff(expected: str, actual: str) -> Iterator[tuple[str, str, str]]:
    """Yield pieces: `same` or `other`, and what is expected and what came there."""
    one, other = _TOKENS.findall(expected), _TOKENS.findall(actual)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    # The quick bound first: most pairs have nothing in common.
    if len(one) + len(other) > _MOST_TOKENS or matcher.quick_ratio() < _ALIKE:
        yield "other", expected, actual
        return
    for operation, start, end, other_start, other_end in matcher.get_opcodes():
        kind = "same" if operation == "equal" else "other"
        yield kind, "".join(one[start:end]), "".join(other[other_start:other_end])


def _streams(judged: Judged) -> str:
    # Not `asdict`, which copies every event to its last field.
    turns = [{"chunks": turn.chunks, "events": turn.events} for turn in judged.case.turns]
    plain = json.dumps(turns, separators=(",", ":")).encode()
    # No time in it: the same run makes the same page.
    return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode()


def _asset(name: str) -> str:
    return (resources.files("harness.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
