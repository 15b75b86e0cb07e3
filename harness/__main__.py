"""`conformance`, or `python -m harness`: the command line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness import __version__, scenarios
from harness.cassette import InvalidCassette, open_cassette, provenance
from harness.client import Event
from harness.data import cassettes_folder
from harness.subject import SubjectFailed

__all__ = ["main"]

_EPILOG: Final = """\
examples:
  conformance run                                    check the proxy on every cassette
  conformance run cassettes/cerebras/hello.yaml      on one
  conformance list                                   what there is, and where it is from
  conformance record hello --upstream emulator       record against the scripted emulator
  CEREBRAS_API_KEY=csk-... conformance record hello  record Cerebras itself
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

    run = commands.add_parser("run", help="replay cassettes through the proxy and judge the result")
    run.add_argument("cassettes", nargs="*", type=Path, metavar="CASSETTE", help="default: all")
    run.set_defaults(command=_run)

    listing = commands.add_parser("list", help="list the cassettes with where they are from")
    listing.set_defaults(command=_list)

    record = commands.add_parser("record", help="record scenarios, each to its cassette")
    record.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a name, or 'all'")
    record.add_argument("--upstream", choices=["live", "emulator"], default="live")
    record.add_argument("--model", default="gpt-oss-120b", help="default: %(default)s")
    record.set_defaults(command=_record)

    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except (InvalidCassette, SubjectFailed, LookupError) as error:
        print(f"conformance: {error.args[0]}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read it has seen enough (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("conformance: interrupted; no cassette was changed halfway", file=sys.stderr)
        return 130
    return status


def _run(arguments: argparse.Namespace) -> int:
    from harness.provider import Provider
    from harness.replay import case_name, faults, replay
    from harness.subject import OwnProxy

    paths = arguments.cassettes or _cassettes()
    failed = 0
    with Provider() as provider, OwnProxy(provider.base_url) as proxy:
        for path in paths:
            found = faults(replay(path, proxy.url, provider))
            print(f"{'FAILED' if found else 'ok':<8}{case_name(path)}")
            for fault in found:
                print(f"\n{fault}")
            if found:
                print()
            failed += bool(found)
    print(f"{len(paths) - failed} of {len(paths)} cassettes conform")
    return 1 if failed else 0


def _list(arguments: argparse.Namespace) -> int:
    for path in _cassettes():
        with open_cassette(path) as cassette:
            origin = provenance(cassette)
            size = sum(len(response["body"]["string"]) for response in cassette.responses)
            print(
                f"{origin['backend']}/{origin['scenario']:<20} {origin['model']:<14} "
                f"{origin['upstream']:<9} {origin['recorded_at'][:10]}  "
                f"turns {len(cassette):>2}  {size:>7} bytes  {origin['client']}"
            )
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from harness.record import Live, RecordingFailed, record

    names = scenarios.names() if arguments.scenarios == ["all"] else arguments.scenarios
    chosen = [scenarios.load(name) for name in names]
    live = None
    if arguments.upstream == "live":
        api_key = os.environ.get("CEREBRAS_API_KEY", "").strip()
        if not api_key:
            print(
                "conformance: CEREBRAS_API_KEY is not set; set it, or record the scripted emulator "
                "with --upstream emulator",
                file=sys.stderr,
            )
            return 2
        base_url = os.environ.get("CEREBRAS_BASE_URL") or "https://api.cerebras.ai/v1"
        live = Live(base_url.rstrip("/"), api_key)
    for scenario in chosen:
        # Never into an installation: what came with it is not anybody's to change.
        path = Path("cassettes") / "cerebras" / f"{scenario.name}.yaml"
        progress = _Progress(scenario.name)
        try:
            record(scenario, path, model=arguments.model, live=live, on_event=progress)
        except RecordingFailed as error:
            progress.end()
            print(f"conformance: {scenario.name} was not recorded: {error}", file=sys.stderr)
            return 2
        progress.end()
        print(f"recorded {path}")
    return 0


class _Progress:
    """A line that tells what passes by; on a terminal only, and ten times a second at most."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = time.monotonic()
        self._shown = 0.0
        self._events = 0

    def __call__(self, turn: int, event: Event) -> None:
        self._events += 1
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown = now
            elapsed = now - self._start
            text = f"{self._name}: turn {turn}, {self._events} events, {elapsed:.1f} s"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _cassettes() -> list[Path]:
    folder = cassettes_folder()
    paths = sorted(folder.glob("*/*.yaml"))
    if not paths:
        raise InvalidCassette(f"{folder}: there are no cassettes; 'conformance record' makes one")
    return paths


if __name__ == "__main__":
    sys.exit(main())
