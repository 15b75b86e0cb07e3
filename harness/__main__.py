"""`conformance`, or `python -m harness`: the command line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from harness import __version__
from harness.commands import codex, compare, doctor, peers, record, run, serve, verify, view
from harness.errors import HarnessError

__all__ = ["main"]

_EPILOG: Final = """\
examples:
  conformance run                                    check the proxy on every cassette
  conformance run cassettes/cerebras/hello.yaml      on one
  conformance list                                   what there is, and where it is from
  conformance show cassettes/cerebras/hello.yaml     what was said, turn by turn
  conformance record hello --upstream emulator       record against the scripted emulator
  CEREBRAS_API_KEY=csk-... conformance record hello  record Cerebras itself
  conformance serve hello                            use Codex offline, on what was recorded
  conformance doctor                                 find what keeps Codex from working here

Cassettes are those of ./cassettes, where there is one, else those that were installed with this.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 (faults were found), 2 (it could not be done)."""
    parser = argparse.ArgumentParser(
        prog="conformance",
        description="Check a proxy that answers the Codex CLI, by what was recorded.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (run, view, verify, record, compare, serve, codex, doctor, peers):
        command.add(commands)
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # whatever the terminal can show
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # in order: proxies and servers are ended
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as interrupt:
        what = str(interrupt) or "no cassette was changed halfway"
        print(f"conformance: interrupted; {what}", file=sys.stderr)
        return 130
    except HarnessError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"conformance: {place}{error.strerror or error}", file=sys.stderr)
        return 2
    return status


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
