"""`python -m harness.bench`: the command line of the bench."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from harness.bench import core, growth, guard, harness, report, run
from harness.bench.plot import plot
from harness.bench.traffic import KINDS
from harness.errors import HarnessError

__all__ = ["main"]

_PAGE: Final = Path("docs", "performance.md")

_EPILOG: Final = """\
examples:
  python -m harness.bench compare                            all of it: 40 minutes
  python -m harness.bench compare --only 'codex-*/load'      a row of some subjects
  python -m harness.bench compare --only '*/paced/text' --rounds 3
  python -m harness.bench core                               the core alone, in seconds
  python -m harness.bench harness                            the harness itself, in a minute
  python -m harness.bench growth                             by length, streams and history

what docs/performance.md is written with, on a machine that does nothing else:
  python -m harness.bench compare --rounds 7 --out measured
  python -m harness.bench growth --out measured
  python -m harness.bench page measured

rows: burst, load, first, paced, life, core (codex-proxy), pass (pass-through)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 (too slow, or a cost rises), 2 (it could not be done)."""
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
    grown = commands.add_parser("growth", help="whether the cost grows as it should, in a minute")
    grown.add_argument("--out", type=Path, metavar="DIR", help="write growth.json there")
    grown.set_defaults(command=_growth)
    page = commands.add_parser("page", help="enter what was measured into docs/performance.md")
    page.add_argument("directory", type=Path, metavar="DIR", help="of bench.json and growth.json")
    page.add_argument("--page", type=Path, default=_PAGE, help="default: %(default)s")
    page.set_defaults(command=_enter)
    guarded = commands.add_parser("guard", help="fail if the core has become slower")
    guarded.set_defaults(command=_guard)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing was written", file=sys.stderr)
        return 130
    except (HarnessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return status


def _compare(arguments: argparse.Namespace) -> int:
    results = uvloop.run(run.run(arguments.rounds, arguments.only, _progress))
    _progress("")
    print(report.tables(results), end="")
    if arguments.out is not None:
        _write(arguments.out, "bench.json", report.as_json(results))
    return 0


def _core(arguments: argparse.Namespace) -> int:
    for kind in KINDS:
        print(f"{kind:<10}{core.rate(kind):>10,.0f} deltas/s", flush=True)
    return 0


def _harness(arguments: argparse.Namespace) -> int:
    for figure in harness.measure():
        print(figure, flush=True)
    return 0


def _growth(arguments: argparse.Namespace) -> int:
    grown = uvloop.run(growth.measure(_progress))
    _progress("")
    for curve in grown.curves:
        print(curve, flush=True)
    if arguments.out is not None:
        _write(arguments.out, "growth.json", msgspec.json.format(msgspec.json.encode(grown)))
    return 1 if any(curve.rises for curve in grown.curves) else 0


def _enter(arguments: argparse.Namespace) -> int:
    read = {
        name: (arguments.directory / name).read_bytes() for name in ("bench.json", "growth.json")
    }
    try:
        results = msgspec.json.decode(read["bench.json"], type=run.Results)
        grown = msgspec.json.decode(read["growth.json"], type=growth.Growth)
    except msgspec.MsgspecError as error:
        raise HarnessError(f"{arguments.directory} is of another bench: {error}") from error
    picture = arguments.page.with_suffix(".svg")
    old = arguments.page.read_text(encoding="utf-8")
    new = report.page(old, results, grown, picture.name)
    arguments.page.write_text(new, encoding="utf-8")
    picture.write_text(plot(grown.curves), encoding="utf-8")
    return 0


def _guard(arguments: argparse.Namespace) -> int:
    is_too_slow = False
    for guarded in guard.guard():
        print(guarded, flush=True)
        is_too_slow |= guarded.is_too_slow
    return 1 if is_too_slow else 0


def _write(directory: Path, name: str, data: bytes) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def _progress(text: str) -> None:
    """Show on a terminal what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
