"""Known gaps: faults that are expected, each with its reason, in a file that is looked after.

    - rule: failures/3
      cassette: cerebras/queue-full    # or queue-full; left out: any
      variant: recorded                # left out: any
      reason: the gateway hides what the provider says

A gap that no longer occurs is a fault itself: the file says what is, not what was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import msgspec
import yaml

from harness.errors import HarnessError, nearest
from harness.suite import REQUIRED
from harness.variants import VARIANTS
from harness.verdicts import Line, Run, Verdict

__all__ = ["GAPS_RULE", "Gap", "read_gaps", "with_gaps"]

#: That of the file itself.
GAPS_RULE: Final = "gaps/1"

_Said = Annotated[str, msgspec.Meta(min_length=1)]


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that is known."""

    rule: _Said
    reason: _Said
    cassette: str = ""
    variant: str = ""

    def is_about(self, line: Verdict) -> bool:
        """Return whether `line` says whether this gap occurs."""
        return (
            self.rule == line.rule
            and self.cassette in ("", line.cassette, line.cassette.rpartition("/")[2])
            and self.variant in ("", line.variant)
        )


def read_gaps(path: Path, cassettes: Collection[str]) -> list[Gap]:
    """Return the gaps in a YAML file; raises `HarnessError`, which says what is wrong with it.

    Gaps may be about `cassettes`, by name, whether they are played or not.
    """
    try:
        content = path.read_bytes()
        gaps = msgspec.yaml.decode(content, type=list[Gap] | None) or []
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error}") from None
    except ValueError as error:
        raise HarnessError(
            f"{path}: is no list of gaps ({error}); each has a rule and a reason, and may have a "
            "cassette and a variant"
        ) from None
    for number, gap in enumerate(gaps):
        for kind, name, known in (
            ("rule", gap.rule, REQUIRED),
            ("cassette", gap.cassette, cassettes),
            ("variant", gap.variant, VARIANTS),
        ):
            if name and name not in known:
                nodes = yaml.compose(content)
                assert isinstance(nodes, yaml.SequenceNode)
                place = f"{path}, line {nodes.value[number].start_mark.line + 1}"
                raise HarnessError(f"{place}: there is no {kind} {name!r}{nearest(name, known)}")
    return gaps


def with_gaps(lines: Iterable[Line], gaps: list[Gap], file: str) -> Iterator[Line]:
    """Yield `lines`, faults that are known as gaps; then a fault for each gap that did not occur.

    A gap that nothing was said of (its cassette was not played) is left alone.
    """
    asked: set[Gap] = set()
    occurred: set[Gap] = set()
    subject = ""
    for line in lines:
        if isinstance(line, Run):
            subject = line.subject
        if not isinstance(line, Verdict):
            yield line
            continue
        about = [gap for gap in gaps if gap.is_about(line)]
        if line.verdict == "fault" and about:
            occurred.update(about)
            yield replace(line, verdict="gap", reason=about[0].reason)
            continue
        if line.verdict == "pass":
            asked.update(about)
        yield line
    for gap in gaps:
        if gap in asked - occurred:
            yield Verdict(
                subject,
                gap.cassette,
                gap.variant,
                GAPS_RULE,
                "MUST",
                "fault",
                where=file,
                expected=f"a fault of {gap.rule}: {gap.reason}",
                actual="it no longer occurs; take it out of the file",
                requirement="a gap that is known occurs",
            )
