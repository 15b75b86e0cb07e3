"""`conformance list` and `conformance show`: what was recorded, for a person."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from harness import scenarios
from harness.data import all_cassettes, cassettes_folder
from harness.scenarios import BACKENDS

__all__ = ["add"]


def add(commands: Any) -> None:
    listing: argparse.ArgumentParser = commands.add_parser(
        "list", help="list the cassettes with where they are from, or the scenarios"
    )
    listing.add_argument("--scenarios", action="store_true", help="what can be recorded")
    listing.set_defaults(command=_list)

    show: argparse.ArgumentParser = commands.add_parser(
        "show", help="show what was said in a cassette, turn by turn"
    )
    show.add_argument("cassette", metavar="CASSETTE", help="a file, or BACKEND/SCENARIO")
    show.add_argument("--full", action="store_true", help="shorten nothing")
    show.set_defaults(command=_show)


def _list(arguments: argparse.Namespace) -> int:
    if arguments.scenarios:
        for name in scenarios.names():
            scenario = scenarios.load(name)
            print(f"{name:<22} {' '.join(scenario.backends):<17} {scenario.title}")
        return 0

    from harness.listing import table
    from harness.terminal import columns, wants_color

    terminal = sys.stdout.isatty()
    print(
        table(
            all_cassettes(),
            now=datetime.datetime.now(datetime.UTC),
            color=wants_color(sys.stdout),
            width=columns() if terminal else None,
        )
    )
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from harness.cassette import load
    from harness.show import show
    from harness.terminal import columns, wants_color

    cassette = load(_path(arguments.cassette))
    width = columns() if sys.stdout.isatty() else 100
    print(show(cassette, color=wants_color(sys.stdout), width=width, full=arguments.full))
    return 0


def _path(text: str) -> Path:
    """Return the cassette that `text` names: by its file, its case, or its scenario alone."""
    path = Path(text)
    if path.suffix == ".yaml" or path.exists():
        return path
    folder = cassettes_folder()
    named = [folder / f"{text}.yaml", *(folder / backend / f"{text}.yaml" for backend in BACKENDS)]
    return next((path for path in named if path.is_file()), named[0])
