"""`conformance run`: replay cassettes through the proxy and judge the result."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.data import all_cassettes

__all__ = ["add"]


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "run", help="replay cassettes through the proxy and judge the result"
    )
    parser.add_argument("cassettes", nargs="*", type=Path, metavar="CASSETTE", help="default: all")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from harness.cassette import backend_of, load
    from harness.provider import Provider
    from harness.replay import case_name, faults, replay
    from harness.subject import OwnProxies

    paths = arguments.cassettes or all_cassettes()
    failed = 0
    with Provider() as provider, OwnProxies(provider) as proxies:
        for path in paths:
            url = proxies[backend_of(load(path))].url
            found = faults(replay(path, url, provider))
            print(f"{'FAILED' if found else 'ok':<8}{case_name(path)}", flush=True)
            for fault in found:
                print(f"\n{fault}")
            if found:
                print()
            failed += bool(found)
    print(f"{len(paths) - failed} of {len(paths)} cassettes conform")
    return 1 if failed else 0
