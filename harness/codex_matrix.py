"""Runs published Codex CLIs through the proxy, case by case, and writes down what became of each.

Codex -> client's edge (what it asks is taken down) -> proxy -> scripted model
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from harness.codex_case import Case
from harness.codex_catalog import CATALOG
from harness.codex_cli import Codex, CodexUnavailable, Run
from harness.codex_judges import Outcome
from harness.codex_model import KEY, Model
from harness.edge import Asked, ClientEdge
from harness.subject import OwnProxy

__all__ = ["VERSIONS", "Cell", "Matrix", "numbers", "takes_catalog"]

#: From each generation of Codex one; the newest published one comes to them.
VERSIONS: Final = (
    "0.45.0",
    "0.63.0",
    "0.77.0",
    "0.98.0",
    "0.121.0",
    "0.144.6",
    "0.163.0",
    "0.169.0",
)

_WARNING: Final = re.compile(r"\b(WARN(ING)?|ERROR|[Ww]arning|[Ee]rror)\b")

#: What has nothing to do with the proxy.
_HARMLESS: Final = (
    # An unknown model's; the catalog mends it.
    "Model metadata for",
    # Codex' own advice after each compaction.
    "Heads up: Long",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one case with one version."""

    case: str
    version: str
    #: What is wrong; none: it works.
    faults: Sequence[str] = ()
    #: Why there is nothing to judge.
    lacks: str | None = None
    seconds: float = 0.0

    @property
    def mark(self) -> str:
        """It in a word."""
        if self.lacks is not None:
            return "n/a"
        return "FAILED" if self.faults else "ok"


class Matrix:
    """A model, the proxy and the client's edge, for as long as a `with` lasts."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._asked: list[Asked] = []
            self._model = stack.enter_context(Model())
            proxy = OwnProxy(
                self._model.base_url, api_key=KEY, environment={"CEREBRAS_TIMEOUT": "2"}
            )
            edge = ClientEdge(
                stack.enter_context(proxy).url, on_request=lambda asked: self._asked.append(asked)
            )
            self._url = stack.enter_context(edge).url
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, codex: Codex, case: Case, *, catalog: bool = False) -> Cell:
        """Return what becomes of `case` with `codex`, also with a model catalog where it has none.

        The cell's version is then `0.163.0 + catalog`.
        """
        start = time.monotonic()
        version = numbers(codex.version)
        label = f"{codex.version} + catalog" if catalog else codex.version
        if catalog:
            case = replace(case, catalog=True)
        with tempfile.TemporaryDirectory(prefix="codex-matrix-") as name:
            folder = Path(name).resolve()
            self._asked.clear()
            self._model.play(case.script)
            try:
                runs = list(self._runs(codex, case, folder))
            except CodexUnavailable as error:
                return Cell(case.name, label, [str(error)])
            asked = [each for each in self._asked if each.method == "POST"]
            outcome = Outcome(version, folder, runs, asked, self._model)
            lacks = case.lacks(outcome) if asked else None
            if lacks is None and self._model.missing is not None:
                lacks = f"the tool `{self._model.missing}`"
            faults = [] if lacks is not None else list(_faults(case, outcome))
        return Cell(case.name, label, faults, lacks, time.monotonic() - start)

    def _runs(self, codex: Codex, case: Case, folder: Path) -> Iterator[Run]:
        work = folder / "work"
        work.mkdir()
        for name, content in case.files.items():
            (work / name).write_bytes(content)
        config = case.config(folder)
        if case.catalog:
            catalog = folder / "catalog.json"
            catalog.write_text(json.dumps(CATALOG))
            config["model_catalog_json"] = str(catalog)
        options: dict[str, Any] = {
            "proxy_url": self._url,
            "folder": folder,
            "sandbox": case.sandbox,
            "output_schema": case.output_schema,
            "config": config,
            "arguments": case.arguments(numbers(codex.version)),
        }
        first = codex.run(case.prompt, **options)
        yield first
        if case.then is not None and first.conversation is not None:
            yield codex.run(case.then, resume=first.conversation, **options)


def _faults(case: Case, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong, as a person would say it."""
    if not outcome.model.requests:
        run = outcome.runs[0]
        yield f"Codex asked nothing; status {run.exit_code}: {run.stderr.strip()[-300:]}"
        return
    yield from case.judge(outcome)
    if len(outcome.asked) != (wanted := case.requests(outcome.version)):
        yield f"it asked {len(outcome.asked)} times, not {wanted}"
    if case.fails:
        return
    for run in outcome.runs:
        if run.exit_code:
            yield f"it ended with status {run.exit_code}"
        for line in _complaints(run):
            if case.says is None or not re.search(case.says, line):
                yield f"it complained: {line}"


def _complaints(run: Run) -> Iterator[str]:
    """Yield each warning and error that a person would see."""
    said = [line for line in run.stderr.splitlines() if _WARNING.search(line)]
    said += [item["message"] for item in run.items("error")]
    said += [str(event["message"]) for event in run.events if event["type"] == "error"]
    for line in said:
        if not any(harmless in line for harmless in _HARMLESS):
            yield line[:200]


def takes_catalog(version: str) -> bool:
    """Return whether a version reads `model_catalog_json`: 0.105.0 is the first that does."""
    return numbers(version) >= (0, 105)


def numbers(version: str) -> tuple[int, ...]:
    """Return `0.144.6` as (0, 144, 6)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
