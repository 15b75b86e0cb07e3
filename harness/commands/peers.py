"""`conformance peers`: other proxies and this one, on the same cassettes."""

from __future__ import annotations

import argparse
import datetime
import functools
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.data import all_cassettes

if TYPE_CHECKING:
    from harness.variants import Variant

__all__ = ["add"]

#: Seconds that a case may take: some peers are slow, and some wait for a silent provider.
_TIMEOUT: Final = 20.0

#: Played in every variant that takes no time; the others as they were recorded.
_VARIED: Final = ("hello", "unicode-arguments")
_SLOW: Final = ("recorded_pace", "slow_pace", "stall")

_INTRODUCTION: Final = """\
# Proxies side by side

Written by `tox -e peers` on {date}, with codex-proxy-conformance {suite}: programs that answer
Responses requests from a Chat Completions provider, each in front of the same recordings of
Cerebras' dialect, judged by the same rules. What a rule is about, and who breaks without it, stands
in `harness/rules/`.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "peers", help="install other proxies, and judge them and this one on the same cassettes"
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="where they are installed, and say what they do"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the matrix as Markdown")
    parser.add_argument("--report", type=Path, metavar="DIR", help="default: FOLDER/report")
    parser.add_argument("--only", nargs="+", default=[], metavar="PEER", help="default: all")
    parser.add_argument("--timeout", type=float, default=_TIMEOUT, metavar="SECONDS")
    parser.set_defaults(command=_peers)


def _peers(arguments: argparse.Namespace) -> int:
    from harness import __version__
    from harness.commands.run import write_report
    from harness.errors import HarnessError
    from harness.matrix import Matrix
    from harness.peers import PEERS, PeerFailed, install, running
    from harness.provider import Provider
    from harness.subject import OwnProxies
    from harness.suite import Subject, run
    from harness.verdicts import Line, Verdict

    if unknown := set(arguments.only) - {peer.name for peer in PEERS}:
        names = ", ".join(peer.name for peer in PEERS)
        raise HarnessError(f"--only {', '.join(unknown)}: is no peer; there are: {names}")
    folder: Path = arguments.folder.resolve()
    cases = list(_cases())
    models = sorted({model for path, _ in cases for model in _models(path)})
    say = functools.partial(print, flush=True)
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        provider = stack.enter_context(Provider())
        proxies = stack.enter_context(OwnProxies(provider))
        play = functools.partial(run, cases, provider=provider, timeout=arguments.timeout)
        own = Subject("codex-proxy", lambda backend: proxies[backend].url, version=__version__)
        say(f"{own.name} {own.version}: {len(cases)} cases, or fewer")
        lines: list[Line] = list(play(own))
        for peer in PEERS:
            if arguments.only and peer.name not in arguments.only:
                continue
            say(f"{peer.name} {peer.version}")
            try:
                programs = install(peer, folder)
                with running(
                    peer, programs, folder=folder, provider=provider.base_url, models=models
                ) as url:
                    subject = Subject.at(url, name=peer.name, version=peer.version)
                    lines += play(subject)
            except PeerFailed as error:
                say(f"  {error}")
                absent[f"{peer.name} {peer.version}"] = str(error).partition("\n")[0]
    matrix = Matrix(lines)
    say(f"\n{matrix.table}")
    write_report(lines, arguments.report or folder / "report")
    if arguments.page:
        date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
        introduction = _INTRODUCTION.format(date=date, suite=__version__)
        arguments.page.parent.mkdir(parents=True, exist_ok=True)
        arguments.page.write_text(matrix.page(introduction, absent), encoding="utf-8")
    faults = [one for one in lines if isinstance(one, Verdict) and one.verdict == "fault"]
    return 1 if any(one.subject == own.name for one in faults) else 0


def _cases() -> Iterable[tuple[Path, Variant]]:
    from harness.variants import AS_RECORDED, VARIANTS

    for path in all_cassettes():
        if path.parent.name == "cerebras":
            yield path, AS_RECORDED
            if path.stem in _VARIED:
                varied = [one for name, one in VARIANTS.items() if name not in _SLOW]
                yield from ((path, one) for one in varied if one is not AS_RECORDED)


def _models(path: Path) -> Iterable[str]:
    from harness.cassette import load

    for response in load(path).responses:
        if "client_request" in response:
            yield str(json.loads(response["client_request"]["body"])["model"])
