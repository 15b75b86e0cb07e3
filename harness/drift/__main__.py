"""`python -m harness.drift`: what others changed. Exit status 0, 1 (errors), 2 (could not look)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cassette import backend_of, load
from harness.client import Event
from harness.compare import unmatched
from harness.data import all_cassettes, cassettes_folder
from harness.drift import Drift
from harness.drift.sdk import Sdk, accepted_drift, sdk_differences
from harness.drift.streams import stream_drift
from harness.errors import HarnessError
from harness.provider import Provider
from harness.replay import case_name, recorded_turns, replay
from harness.subject import OwnProxies

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.drift",
        description="Tell what others changed since the schemas and cassettes were made.",
        epilog="Without --against: the schemas, against the installed openai SDK.",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="newer recordings, BACKEND/SCENARIO.yaml, to hold the cassettes against",
    )
    arguments = parser.parse_args(argv)
    try:
        found = list(_of_streams(arguments.against) if arguments.against else _of_sdk())
    except HarnessError as error:
        print(f"drift: {error}", file=sys.stderr)
        return 2
    for drift in found:
        print(drift)
    errors = sum(drift.level == "error" for drift in found)
    print(f"{errors} errors, {len(found) - errors} notes")
    return 1 if errors else 0


def _of_sdk() -> Iterator[Drift]:
    sdk = Sdk()
    print(f"the schemas against openai {sdk.version}")
    differences = sdk_differences(sdk, _streams())
    for difference in differences:
        if difference.reason is None:
            yield Drift("error", difference.id, difference.where)
    for pattern in unmatched(differences, accepted_drift()):
        what = f"accepted, but no longer different: {pattern}"
        yield Drift("error", what, "harness/drift/accepted.yaml: take it out")


def _streams() -> Iterator[tuple[str, list[Event]]]:
    """Yield all streams of the ChatGPT backend, and what the proxy makes of those of Cerebras."""
    with Provider() as provider, OwnProxies(provider) as proxies:
        for path in all_cassettes():
            if backend_of(load(path)) == "chatgpt":
                turns = recorded_turns(path)
            else:
                played = replay(path, proxies["cerebras"].url, provider)
                turns = [exchange.events for exchange in played.exchanges]
            for number, events in enumerate(turns, 1):
                yield f"{case_name(path)}, turn {number}", events


def _of_streams(folder: Path) -> Iterator[Drift]:
    again = sorted(folder.glob("*/*.yaml"))
    if not again:
        raise HarnessError(f"{folder}: there are no recordings, BACKEND/SCENARIO.yaml")
    for path in again:
        recorded = cassettes_folder() / path.parent.name / path.name
        if not recorded.is_file():
            yield Drift("info", f"{case_name(path)} is recorded for the first time", str(path))
            continue
        yield from stream_drift(recorded, path)


if __name__ == "__main__":
    sys.exit(main())
