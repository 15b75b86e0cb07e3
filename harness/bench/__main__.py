"""`python -m harness.bench`: the command line of the bench."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from harness.bench import core, guard, harness, report, run
from harness.bench.traffic import KINDS

__all__ = ["main"]

_EPILOG: Final = """\
examples:
  python -m harness.bench compare                            all of it: about a quarter of an hour
  python -m harness.bench compare --only 'codex-*/load'      a row of some subjects
  python -m harness.bench compare --only '*/paced/text' --rounds 3
  python -m harness.bench core                               the core alone, in seconds
  python -m harness.bench harness                            the harness itself, in a minute

rows: burst, load, first, paced, life, core (codex-proxy), pass (pass-through)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.bench",
        description="Measure how fast the proxy is. Needs Linux: costs are read from /proc.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compare = commands.add_parser("compare", help="this proxy beside its peers, over real HTTP")
    compare.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    compare.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="SUBJECT[/ROW[/KIND]]",
        help="each may be a pattern; may be given more than once",
    )
    compare.add_argument("--out", type=Path, metavar="DIR", help="write bench.json there")
    compare.set_defaults(command=_compare)
    alone = commands.add_parser("core", help="the core alone, without any I/O")
    alone.set_defaults(command=_core)
    own = commands.add_parser("harness", help="what replaying and judging cost")
    own.set_defaults(command=_harness)
    guarded = commands.add_parser("guard", help="fail if the core has become slower")
    guarded.set_defaults(command=_guard)
    arguments = parser.parse_args(argv)
    status: int = arguments.command(arguments)
    return status


def _compare(arguments: argparse.Namespace) -> int:
    results = uvloop.run(run.run(arguments.rounds, arguments.only, _progress))
    _progress("")
    print(report.tables(results), end="")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "bench.json").write_bytes(report.as_json(results))
    return 0


def _core(arguments: argparse.Namespace) -> int:
    for kind in KINDS:
        print(f"{kind:<10}{core.rate(kind):>10,.0f} deltas/s", flush=True)
    return 0


def _harness(arguments: argparse.Namespace) -> int:
    for figure in harness.measure():
        print(figure, flush=True)
    return 0


def _guard(arguments: argparse.Namespace) -> int:
    is_too_slow = False
    for guarded in guard.guard():
        print(guarded, flush=True)
        is_too_slow |= guarded.is_too_slow
    return 1 if is_too_slow else 0


def _progress(text: str) -> None:
    """Show on a terminal what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
