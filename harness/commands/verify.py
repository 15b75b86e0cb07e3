"""`conformance verify`: whether cassettes are whole, as they were recorded, and hold no secret."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Final

from harness.data import all_cassettes
from harness.scenarios import BACKENDS, Backend

__all__ = ["add"]

_EPILOG: Final = """\
Looked at is of each: its schema; its digest; where it says it is from; the times of its chunks;
what looks like a secret; and, by replaying it through the proxy, whether each recorded answer is
asked for. A recording that is old is a warning: the provider may have changed.
"""

#: Seconds of a silent provider: what the proxy answers then is not looked at here.
_TIMEOUT: Final = 0.5


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="check that cassettes are whole, and hold no secret",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cassettes", nargs="*", type=Path, metavar="CASSETTE", help="default: all")
    parser.add_argument(
        "--oldest", type=int, default=90, metavar="DAYS", help="default: %(default)s"
    )
    parser.set_defaults(command=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from harness.terminal import painter, wants_color
    from harness.verify import Finding, verify

    paint = painter(wants_color(sys.stdout))
    paths = arguments.cassettes or all_cassettes()
    now = datetime.datetime.now(datetime.UTC)
    oldest = datetime.timedelta(days=arguments.oldest)
    found = {path: verify(path, now=now, oldest=oldest) for path in paths}
    whole = [path for path in paths if not any(one.level == "error" for one in found[path])]
    for path, what in _never_asked(whole):
        mend = f"conformance run {path} says why"
        found[path].append(Finding("error", f"the proxy never asks for {what}", mend))
    for path, findings in found.items():
        for one in findings:
            line = paint(str(one), "red" if one.level == "error" else "yellow")
            print(f"{path}: {line}")
    errors = sum(one.level == "error" for findings in found.values() for one in findings)
    warnings = sum(map(len, found.values())) - errors
    print(f"{len(paths)} cassettes: {errors} errors, {warnings} warnings")
    return 1 if errors else 0


def _never_asked(paths: list[Path]) -> list[tuple[Path, str]]:
    """Return each path with what is recorded there, and the proxy does not ask for.

    The backends are played side by side: much of the time is waiting, for what a provider does not
    say, and until the proxy tries again.
    """
    from harness.cassette import backend_of, load

    by_backend: defaultdict[Backend, list[Path]] = defaultdict(list)
    for path in paths:
        by_backend[backend_of(load(path))].append(path)
    with ThreadPoolExecutor(len(BACKENDS)) as pool:
        found = list(pool.map(_never_asked_of, by_backend.keys(), by_backend.values()))
    return list(chain.from_iterable(found))


def _never_asked_of(backend: Backend, paths: list[Path]) -> list[tuple[Path, str]]:
    from harness.provider import Provider
    from harness.replay import replay
    from harness.subject import OwnProxy

    with (
        Provider() as provider,
        OwnProxy.for_replay(provider, backend, timeout=_TIMEOUT) as proxy,
    ):
        return [
            (path, what) for path in paths for what in replay(path, proxy.url, provider).unplayed
        ]
