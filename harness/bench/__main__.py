"""`python -m harness.bench`: the command line of the bench."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness.bench.core import rate
from harness.bench.traffic import KINDS

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.bench", description="Measure how fast the proxy is."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    core = commands.add_parser("core", help="the core alone, without any I/O")
    core.set_defaults(command=_core)
    arguments = parser.parse_args(argv)
    status: int = arguments.command(arguments)
    return status


def _core(arguments: argparse.Namespace) -> int:
    for kind in KINDS:
        print(f"{kind:<10}{rate(kind):>10,.0f} deltas/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
