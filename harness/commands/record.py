"""`conformance record`: play scenarios and write their cassettes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from harness import scenarios
from harness.errors import HarnessError
from harness.scenarios import BACKENDS, Backend, Scenario

if TYPE_CHECKING:
    from harness.client import Event
    from harness.codex_cli import Codex
    from harness.record import Live

__all__ = ["add", "live"]

_EPILOG: Final = """\
It is played through the proxy, and written to ./cassettes/BACKEND/SCENARIO.yaml when it is over:
interrupt it, and the old file is as it was.

live: CEREBRAS_API_KEY is the key (CEREBRAS_BASE_URL another address than Cerebras' own). The
ChatGPT backend takes no key: --client codex brings the login that Codex has on this machine.
emulator: a scripted model that speaks the real dialect, for who has no key.

examples:
  CEREBRAS_API_KEY=csk-... conformance record hello
  conformance record hello cut-text --upstream emulator
  conformance record hello --backend chatgpt --client codex
  conformance record create-file --client codex@0.45.0 --upstream emulator
  conformance record all --upstream emulator
"""

_BASE_URLS: Final[dict[Backend, str]] = {
    "cerebras": "https://api.cerebras.ai/v1",
    "chatgpt": "https://chatgpt.com/backend-api/codex",
}


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "record",
        help="record scenarios, each to its cassette",
        description="Record scenarios, each to its cassette.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a name, or 'all'")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="cerebras", help="default: %(default)s"
    )
    parser.add_argument(
        "--client",
        default="script",
        metavar="script|codex[@VERSION]",
        help="who asks: a script in the shape of Codex, or the real Codex CLI (default: script)",
    )
    parser.add_argument(
        "--upstream",
        choices=["live", "emulator"],
        default="live",
        help="who answers (default: %(default)s; it never falls back to the emulator)",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="default: gpt-oss-120b, or gpt-5.5 of the ChatGPT backend"
    )
    parser.set_defaults(command=_record)


def _record(arguments: argparse.Namespace) -> int:
    chosen = _chosen(arguments)
    codex = _codex(arguments.client)
    upstream = live(arguments.backend) if arguments.upstream == "live" else None

    from harness.record import RecordingFailed, record

    for scenario in chosen:
        # Never into an installation: what came with it is not anybody's to change.
        path = Path("cassettes") / arguments.backend / f"{scenario.name}.yaml"
        progress = Progress(scenario.name)
        try:
            cassette = record(
                scenario,
                path,
                backend=arguments.backend,
                model=arguments.model,
                codex=codex,
                live=upstream,
                on_event=progress,
            )
        except RecordingFailed as error:
            progress.end()
            raise HarnessError(f"{scenario.name} was not recorded: {error}") from None
        progress.end()
        print(f"recorded {path} ({len(cassette)} requests, {progress.events} events)", flush=True)
    return 0


def _chosen(arguments: argparse.Namespace) -> list[Scenario]:
    if arguments.scenarios != ["all"]:
        return [scenarios.load(name) for name in arguments.scenarios]
    everything = [scenarios.load(name) for name in scenarios.names(arguments.backend)]
    # No live provider fails at will.
    return [each for each in everything if arguments.upstream == "emulator" or not each.fails]


def live(backend: Backend) -> Live:
    """Return the real provider, as the environment names it; raises `HarnessError`."""
    from harness.record import Live

    variable = f"{backend.upper()}_BASE_URL"
    base_url = os.environ.get(variable) or _BASE_URLS[backend]
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HarnessError(f"{variable} is no http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise HarnessError(
            f"{variable} has a login, a query or a fragment, which would be in the recording; "
            "leave that out"
        )
    if backend == "chatgpt":
        return Live(base_url.rstrip("/"))
    api_key = os.environ.get("CEREBRAS_API_KEY", "").strip()
    if not api_key:
        raise HarnessError(
            "CEREBRAS_API_KEY is not set; set it, or record the scripted emulator with "
            "--upstream emulator"
        )
    return Live(base_url.rstrip("/"), api_key)


def _codex(client: str) -> Codex | None:
    """Return the Codex that `--client` names, None for the script; raises `HarnessError`."""
    if client == "script":
        return None
    name, at, version = client.partition("@")
    if name != "codex" or (at and not version):
        raise HarnessError(f"--client is script, codex or codex@VERSION, not {client!r}")

    from harness.codex_cli import find

    cache = os.environ.get("CODEX_CACHE") or Path.home() / ".cache" / "codex-cli"
    return find(version or None, Path(cache))


class Progress:
    """A line that tells what passes by; on a terminal only, and ten times a second at most."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = time.monotonic()
        self._shown = 0.0
        self._deltas = 0
        self._first: float | None = None
        self.events = 0

    def __call__(self, turn: int, event: Event) -> None:
        self.events += 1
        now = time.monotonic()
        if event.type.endswith(".delta"):
            self._deltas += 1
            self._first = self._first or now
        if sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown = now
            # A delta is about a token; how many there were exactly, the provider tells at the end.
            speed = self._deltas / max(now - (self._first or now), 0.001)
            text = (
                f"{self._name}: turn {turn}, {self.events} events, "
                f"{speed:,.0f} tokens/s, {now - self._start:.1f} s"
            )
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
