"""`conformance doctor`: what keeps Codex from working with the proxy on this machine."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from harness.scenarios import BACKENDS

__all__ = ["add"]

_EPILOG: Final = """\
Looked at is: whether Codex is here, and which; whether its configuration names the proxy and knows
the model; the key; whether the proxy answers; whether the provider does (it is asked for its list
of models, which costs nothing); and one tool call through the proxy, from the scripted emulator.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="find what keeps Codex from working with the proxy here",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, default="cerebras", help="default: %(default)s"
    )
    parser.add_argument("--url", help="the proxy's root; default: what Codex is configured with")
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from harness.doctor import checks
    from harness.terminal import line_of, pad, painter, wants_color

    paint = painter(wants_color(sys.stdout))
    failed = 0
    for check in checks(arguments.backend, url=arguments.url):
        bad = bool(check.mend) and not check.harmless
        failed += bad
        mark = paint("FAIL", "red") if bad else paint("warn", "yellow") if check.mend else ""
        name = pad(check.name, 14)
        print(f"{mark or paint('ok  ', 'green')}  {name}{line_of(check.said)}")
        if check.mend:
            print(f"      {pad('', 14)}mend: {paint(line_of(check.mend), 'bold')}", flush=True)
    return 1 if failed else 0
