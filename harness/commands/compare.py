"""`conformance compare`: the ChatGPT backend's stream beside the one made of Cerebras' chunks."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from harness import scenarios
from harness.data import cassettes_folder
from harness.errors import HarnessError

__all__ = ["add"]

_EPILOG: Final = """\
Every difference is accepted, for a reason that stands in harness/accepted_differences.yaml, or it
is a fault, and then the exit status is 1.

example:
  conformance compare parallel-calls
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="lay the ChatGPT backend's stream and the proxy's beside each other",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="one that both backends can play")
    parser.set_defaults(command=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    scenario = scenarios.load(arguments.scenario)
    if len(scenario.backends) < 2:
        both = [name for name in scenarios.names("cerebras") if name in scenarios.names("chatgpt")]
        raise HarnessError(f"{scenario.name} is for one backend; for both are: {', '.join(both)}")

    from harness.compare import compare
    from harness.provider import Provider
    from harness.replay import recorded_turns, replay
    from harness.side_by_side import render
    from harness.subject import OwnProxy
    from harness.terminal import columns, wants_color

    folder = cassettes_folder()
    reference = recorded_turns(folder / "chatgpt" / f"{scenario.name}.yaml")
    with Provider() as provider, OwnProxy.for_replay(provider, "cerebras") as proxy:
        played = replay(folder / "cerebras" / f"{scenario.name}.yaml", proxy.url, provider)
    ours = [exchange.events for exchange in played.exchanges]
    differences = compare(ours, reference)
    width = columns() if sys.stdout.isatty() else 100
    print(render(ours, reference, differences, color=wants_color(sys.stdout), width=width))
    return 1 if any(difference.reason is None for difference in differences) else 0
