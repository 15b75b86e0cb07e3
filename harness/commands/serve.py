"""`conformance serve`: the proxy on recordings, so that Codex can be used offline."""

from __future__ import annotations

import argparse
import math
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from harness.data import cassettes_folder
from harness.errors import HarnessError
from harness.scenarios import BACKENDS, Backend

__all__ = ["add"]

_EPILOG: Final = """\
A request finds its recording by what the conversation is about: not by prompts, descriptions of
tools and what tools printed, which differ with the version of Codex and the machine. With
--record-mode new_episodes, what is in no recording goes to the real backend, and is recorded; so
the same question is paid for once.

examples:
  conformance serve hello                     then: codex, with the address that is printed
  conformance serve cassettes/cerebras        everything in a folder
  CEREBRAS_API_KEY=csk-... conformance serve ./mine --record-mode new_episodes
"""

_PORTS: Final[dict[Backend, int]] = {"cerebras": 10001, "chatgpt": 10000}


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="run the proxy on recordings, so that Codex can be used offline",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recordings", metavar="SCENARIO|CASSETTE|FOLDER", help="what it answers from"
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, default="cerebras", help="default: %(default)s"
    )
    parser.add_argument(
        "--record-mode",
        choices=["none", "new_episodes"],
        default="none",
        help="what becomes of a request that is in no recording: an error, or a recording",
    )
    parser.add_argument("--port", type=int, help="default: 10001, or 10000 of the ChatGPT backend")
    parser.add_argument(
        "--speed", type=_speed, metavar="FACTOR", help="times as fast as recorded; default: at once"
    )
    parser.set_defaults(command=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from harness.replay_cache import ReplayCache

    records = arguments.record_mode == "new_episodes"
    backend: Backend = arguments.backend
    paths, target = _recordings(arguments.recordings, backend, records=records)
    port = _PORTS[backend] if arguments.port is None else arguments.port
    upstream = None
    if records:
        from harness.commands.record import live

        upstream = live(backend)
    with ExitStack() as stack:
        cache = ReplayCache(
            paths,
            backend=backend,
            live=upstream,
            target=target,
            port=port,
            speed=arguments.speed,
            on_request=_tell,
        )
        url = stack.enter_context(cache).url
        login = ",requires_openai_auth=true" if backend == "chatgpt" else ""
        print(
            f"{len(cache)} recorded answers on {url}/v1, until Ctrl-C; Codex finds it with\n"
            f"  codex -m {cache.model} -c model_provider=proxy -c 'model_providers.proxy="
            f'{{name="proxy",base_url="{url}/v1",wire_api="responses"{login}}}\'',
            flush=True,
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"\n{cache.summary}", flush=True)
    return 0


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0, not {text!r}")
    return speed


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _recordings(text: str, backend: Backend, *, records: bool) -> tuple[list[Path], Path | None]:
    """Return the cassettes that `text` names, and where new ones go."""
    path = Path(text)
    if path.is_dir() or (records and not path.suffix and "/" in text):
        return sorted(path.rglob("*.yaml")), path / "served.yaml"
    if path.suffix == ".yaml":
        if not records and not path.is_file():
            raise HarnessError(f"{path}: there is no such cassette")
        return [path] if path.is_file() else [], path
    if records:
        raise HarnessError(
            "name a folder or a .yaml file for what is new; a scenario's own recording stays as "
            "it is"
        )
    recorded = cassettes_folder() / backend / f"{text}.yaml"
    if not recorded.is_file():
        raise HarnessError(f"{recorded}: there is no such recording; 'conformance list' shows all")
    return [recorded], None
