"""`conformance codex`: published Codex CLIs through the proxy, version by version."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.codex_case import Case
    from harness.codex_matrix import Cell

__all__ = ["add"]

_EPILOG: Final = """\
Each version is installed from npm into the cache, 200 to 500 MB, and kept there. Each case runs
in an empty folder with an empty Codex home: no login, no key, and nothing of yours is touched.

examples:
  conformance codex                                        all versions, all cases
  conformance codex --versions 0.45.0 newest --scenario hello
  conformance codex --report docs/codex-matrix.md
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "codex",
        help="let published Codex CLIs work through the proxy, and tell which do",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--versions",
        nargs="+",
        metavar="VERSION",
        help="of Codex; 'newest' is the newest that npm has (default: one of each generation)",
    )
    parser.add_argument("--scenario", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where Codex is kept (default: CODEX_CACHE, or ~/.cache/codex-cli)",
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="versions at a time (default: %(default)s)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.set_defaults(command=_codex)


def _codex(arguments: argparse.Namespace) -> int:
    from harness.codex_cases import CASES
    from harness.codex_report import markdown

    names = [case.name for case in CASES]
    for name in arguments.scenario or ():
        if name not in names:
            raise HarnessError(f"there is no scenario {name!r}; there are: {', '.join(names)}")
    cases = [case for case in CASES if case.name in (arguments.scenario or names)]
    cache = arguments.cache or os.environ.get("CODEX_CACHE") or Path.home() / ".cache/codex-cli"
    matrix = _Versions(cases, Path(cache))
    matrix.run(arguments.versions or (), jobs=arguments.jobs)
    if arguments.report is not None:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.datetime.now(datetime.UTC)
        arguments.report.write_text(markdown(matrix.cells, matrix.unavailable, now=now))
        print(f"wrote {arguments.report}")
    failed = sum(bool(cell.faults) for cell in matrix.cells)
    passed = sum(cell.mark == "ok" for cell in matrix.cells)
    rest = len(matrix.cells) - failed - passed
    print(f"{passed} ok, {failed} failed, {rest} that a version does not have", end="")
    print(f"; could not be had: {', '.join(matrix.unavailable)}" if matrix.unavailable else "")
    return 1 if failed or matrix.unavailable else 0


class _Versions:
    """Versions side by side, each with a model and a proxy of its own: most of it is waiting."""

    def __init__(self, cases: Sequence[Case], cache: Path) -> None:
        self._cases = cases
        self._cache = cache
        self._stopped = threading.Event()
        self.cells: list[Cell] = []
        #: The versions that could not be had, and why.
        self.unavailable: dict[str, str] = {}

    def run(self, asked: Sequence[str], *, jobs: int) -> None:
        """Run these versions, or those of every generation."""
        versions = self._resolved(asked)
        with ThreadPoolExecutor(jobs) as pool:
            running = [pool.submit(self._run_version, version) for version in versions]
            try:
                for each in running:
                    each.result()
            except BaseException:
                self._stopped.set()
                raise

    def _resolved(self, asked: Sequence[str]) -> list[str]:
        """Return which versions are meant, each once."""
        from harness.codex_cli import CodexUnavailable, newest
        from harness.codex_matrix import VERSIONS

        found: list[str] = []
        for version in asked or (*VERSIONS, "newest"):
            try:
                found.append(newest() if version == "newest" else version)
            except CodexUnavailable as error:
                self._miss(version, error)
        return list(dict.fromkeys(found))

    def _run_version(self, version: str) -> None:
        from harness.codex_cli import CodexUnavailable, from_npm
        from harness.codex_matrix import Matrix, takes_catalog

        if self._stopped.is_set():
            return
        _tell(f"{version:<17} is fetched, where it is not there yet ...")
        try:
            codex = from_npm(version, self._cache)
        except CodexUnavailable as error:
            self._miss(version, error)
            return
        todo = [(case, False) for case in self._cases]
        if takes_catalog(version):
            # What goes wrong upstream has nothing to do with it.
            todo += [(case, True) for case in self._cases if not (case.catalog or case.fails)]
        with Matrix() as matrix:
            for number, (case, catalog) in enumerate(todo, 1):
                if self._stopped.is_set():
                    return
                cell = matrix.run(codex, case, catalog=catalog)
                self.cells.append(cell)
                lacks = f"it has not {cell.lacks}" if cell.lacks is not None else ""
                _tell(
                    f"{cell.version:<17} {number:>2}/{len(todo)} {cell.mark:<7} {case.name:<20}"
                    f"{cell.seconds:5.1f} s  {lacks}"
                    + "".join(f"\n{'':<18}{fault}" for fault in cell.faults)
                )

    def _miss(self, version: str, error: Exception) -> None:
        self.unavailable[version] = str(error)
        _tell(f"{version:<17} cannot be had: {error}")


def _tell(lines: str) -> None:
    """Print what is done, whole lines at once: versions run side by side."""
    sys.stdout.write(f"{lines}\n")
    sys.stdout.flush()
