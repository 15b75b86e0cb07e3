"""`conformance codex`: published Codex CLIs through the proxy, version by version."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import Any, Final

from harness.errors import HarnessError

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
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.set_defaults(command=_codex)


def _codex(arguments: argparse.Namespace) -> int:
    from harness.codex_cases import CASES
    from harness.codex_cli import Codex, CodexUnavailable, from_npm
    from harness.codex_matrix import Cell, Matrix
    from harness.codex_report import markdown

    names = [case.name for case in CASES]
    for name in arguments.scenario or ():
        if name not in names:
            raise HarnessError(f"there is no scenario {name!r}; there are: {', '.join(names)}")
    cases = [case for case in CASES if case.name in (arguments.scenario or names)]
    cache = arguments.cache or os.environ.get("CODEX_CACHE") or Path.home() / ".cache/codex-cli"
    unavailable: dict[str, str] = {}
    cells: list[Cell] = []
    with Matrix() as matrix:
        for version in _versions(arguments.versions, unavailable):
            _tell(f"Codex {version} ...")
            try:
                codex: Codex = from_npm(version, Path(cache))
            except CodexUnavailable as error:
                unavailable[version] = str(error)
                print(f"{version:<9} cannot be had: {error}", flush=True)
                continue
            for number, case in enumerate(cases, 1):
                _tell(f"Codex {version}: {case.name} ({number} of {len(cases)}) ...")
                cell = matrix.run(codex, case)
                cells.append(cell)
                _tell("")
                lacks = f"it has not {cell.lacks}" if cell.lacks is not None else ""
                print(
                    f"{version:<9} {cell.mark:<7} {case.name:<20} {cell.seconds:5.1f} s  {lacks}",
                    flush=True,
                )
                for fault in cell.faults:
                    print(f"          {fault}", flush=True)
    if arguments.report is not None:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        page = markdown(cells, unavailable, now=datetime.datetime.now(datetime.UTC))
        arguments.report.write_text(page)
        print(f"wrote {arguments.report}")
    failed = sum(bool(cell.faults) for cell in cells)
    passed = sum(cell.mark == "ok" for cell in cells)
    rest = len(cells) - failed - passed
    print(f"{passed} ok, {failed} failed, {rest} that a version does not have", end="")
    print(f"; could not be had: {', '.join(unavailable)}" if unavailable else "")
    return 1 if failed or unavailable else 0


def _versions(asked: list[str] | None, unavailable: dict[str, str]) -> list[str]:
    """Return which versions are run, each once, oldest first where that is not said."""
    from harness.codex_cli import CodexUnavailable, newest
    from harness.codex_matrix import VERSIONS

    found: list[str] = []
    for version in asked or [*VERSIONS, "newest"]:
        if version != "newest":
            found.append(version)
            continue
        try:
            found.append(newest())
        except CodexUnavailable as error:
            unavailable["newest"] = str(error)
            print(f"{'newest':<9} cannot be had: {error}", flush=True)
    return list(dict.fromkeys(found))


def _tell(line: str) -> None:
    """Show on a terminal what is being done; an empty line takes it away."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
