"""`conformance run`: replay cassettes through a proxy, and judge the result."""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.data import all_cassettes, cassettes_folder
from harness.errors import HarnessError, nearest
from harness.scenarios import BACKENDS, Backend

if TYPE_CHECKING:
    from harness.verdicts import Line

__all__ = ["add", "write_report"]

_EPILOG: Final = """\
Without --target, this repository's proxy is looked at. With it, any other: configure yours to use
http://127.0.0.1:PORT/v1 as its provider, with any key, start it, and say where it is:

  conformance run --target http://127.0.0.1:4000/v1 --provider-port 9100

A fault of a SHOULD is told, and fails with --strict. A file of --gaps lists what is known to be at
fault: '- {rule: items/2, cassette: cerebras/hello, variant: recorded, reason: why}', of which
cassette and variant may be left out; what no longer occurs must be taken out of it.

exit status: 0, 1 (there are faults), 2 (it could not be run)
"""

#: Seconds that another proxy has for a case.
_TIMEOUT: Final = 20.0
_LONGEST: Final = 86_400


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="replay cassettes through a proxy, and judge the result",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cassettes", nargs="*", type=Path, metavar="CASSETTE", help="default: all")
    parser.add_argument("--target", metavar="URL", help="the base URL of another proxy")
    parser.add_argument(
        "--provider-port", type=int, metavar="PORT", help="where that proxy finds its provider"
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, help="only its cassettes; with --target: cerebras"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="ID",
        help="cassettes (hello, cerebras/hello), rules (items/2) or sections (items); what is the "
        "name of both, like compaction, is the section",
    )
    parser.add_argument(
        "--variant",
        nargs="+",
        default=["recorded"],
        metavar="NAME",
        help="other ways to replay a stream, or 'all'; default: as it was recorded",
    )
    parser.add_argument("--strict", action="store_true", help="let a SHOULD fail, too")
    parser.add_argument("--gaps", type=Path, metavar="FILE", help="YAML, see below")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write verdicts.jsonl and pages")
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="SECONDS",
        help="after which a case has hung; default: %(default)g",
    )
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from harness.gaps import GAPS_RULE, read_gaps, with_gaps
    from harness.provider import Provider
    from harness.report.results import section_of
    from harness.subject import OwnProxies
    from harness.suite import Subject, run
    from harness.telling import Teller
    from harness.terminal import painter, wants_color
    from harness.variants import variants_named
    from harness.verdicts import Verdict

    target, port = arguments.target, arguments.provider_port
    if (target is None) != (port is None):
        raise HarnessError(
            "--target and --provider-port belong together: where the proxy under test is, and "
            "where it finds its provider"
        )
    base_url = "" if target is None else _base_url(target)
    if port is not None and not _is_port(port):
        raise HarnessError(f"--provider-port {port}: is no port; there are 1 to 65535")
    if not 0 < arguments.timeout <= _LONGEST:
        raise HarnessError(
            f"--timeout {arguments.timeout:g}: a case has more than 0 seconds, and at most "
            f"{_LONGEST}, a day"
        )
    variants = variants_named(arguments.variant)
    gaps = read_gaps(arguments.gaps, _known(arguments.cassettes)) if arguments.gaps else []
    paths, rules = _selected(arguments)
    if arguments.report:
        _try_to_write(arguments.report)
    told: list[Line] = []
    with ExitStack() as stack:
        provider = stack.enter_context(Provider(port=port or 0))
        if target is None:
            proxies = stack.enter_context(OwnProxies(provider))
            subject = Subject("codex-proxy", lambda backend: proxies[backend].url)
        else:
            subject = Subject.at(base_url)
        lines = run(
            [(path, variant) for path in paths for variant in variants],
            subject,
            provider,
            timeout=arguments.timeout,
            strict=arguments.strict,
            only=rules,
        )
        say = functools.partial(print, flush=True)
        teller = Teller(say, painter(wants_color(sys.stdout)), strict=arguments.strict)
        try:
            told.extend(teller.listen(with_gaps(lines, gaps, str(arguments.gaps))))
        except KeyboardInterrupt:
            what = "what was judged by then is told above"
            raise KeyboardInterrupt(
                what + (", and in the report" if arguments.report else "")
            ) from None
        finally:
            # Also what came before an error; the first line is the run itself.
            if arguments.report and told[1:]:
                write_report(told, arguments.report)
    if not teller.cases:
        raise HarnessError("none of these cassettes can be replayed in such a variant")
    verdicts = [line for line in told if isinstance(line, Verdict)]
    if unasked := rules - {name for one in verdicts for name in (one.rule, section_of(one.rule))}:
        raise HarnessError(f"--only {' '.join(sorted(unasked))}: is asked of none of these cases")
    what = "cassettes" if arguments.variant == ["recorded"] else "cases"
    end = f"{teller.cases - teller.failed} of {teller.cases} {what} conform"
    stale = [one for one in verdicts if one.rule == GAPS_RULE]
    if stale:
        # `a fault of items/2: the reason`
        gone = ", ".join(one.expected.partition(":")[0] for one in stale)
        end += f"; {arguments.gaps} has what no longer occurs: {gone}"
    print(end)
    return 1 if teller.failed or stale else 0


def write_report(lines: Iterable[Line], folder: Path) -> None:
    """Write `verdicts.jsonl` and what is made of it; raises `HarnessError`."""
    from harness.report import write
    from harness.verdicts import write_lines

    with _writing(folder):
        write_lines(lines, folder / "verdicts.jsonl")
        write(folder)


def _try_to_write(folder: Path) -> None:
    """Make the folder of a report; raises `HarnessError` now, not after all that was judged."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HarnessError(f"{folder}: the report cannot be written: {error}") from None


def _base_url(text: str) -> str:
    import httpx

    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise HarnessError(f"--target {text}: is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise HarnessError(f"--target {text}: is no URL like http://127.0.0.1:4000/v1")
    if url.port is not None and not _is_port(url.port):
        raise HarnessError(f"--target {text}: {url.port} is no port; there are 1 to 65535")
    if {"?", "#"} & {*text}:
        raise HarnessError(
            f"--target {text}: is no base URL, to which a path is added; leave out what follows "
            "'?' or '#'"
        )
    return text.rstrip("/")


def _is_port(number: int) -> bool:
    return 0 < number < 65_536


# --- what is run ---------------------------------------------------------------------------------


def _known(chosen: Iterable[Path]) -> set[str]:
    """Return the names of all cassettes, be they chosen or not: files of gaps tell of any."""
    from harness.replay import case_name

    paths = [*cassettes_folder().glob("*/*.yaml")]
    paths += [path for one in chosen for path in (one, *one.parent.glob("*.yaml"))]
    return {name for path in paths for name in (case_name(path), path.stem)}


def _selected(arguments: argparse.Namespace) -> tuple[list[Path], frozenset[str]]:
    """Return the cassettes to play, and the rules or sections to tell of (none: all of them)."""
    from harness.cassette import backend_of, load
    from harness.replay import case_name
    from harness.suite import REQUIRED

    backend: Backend | None = arguments.backend or ("cerebras" if arguments.target else None)
    judged = REQUIRED | {rule.partition("/")[0] for rule in REQUIRED}
    rules = judged & {*arguments.only}
    cassettes = {*arguments.only} - rules
    given: list[Path] = arguments.cassettes or all_cassettes()
    paths = list({path.resolve(): path for path in given}.values())
    choice = {name for path in paths for name in (case_name(path), path.stem)} | judged
    if cassettes:
        paths = [path for path in paths if {case_name(path), path.stem} & cassettes]
    if backend is not None:
        # To read all of them, for one, would take longer than to play it.
        paths = [path for path in paths if backend_of(load(path)) == backend]
    names = {name for path in paths for name in (case_name(path), path.stem)}
    if unknown := sorted(cassettes - names):
        raise HarnessError(
            f"--only {' '.join(unknown)}: is no cassette of this run, no rule and no section"
            f"{nearest(unknown[0], choice - {*unknown}) or ';'} "
            "'conformance list' shows the cassettes"
        )
    if not paths:
        raise HarnessError(f"there are no cassettes of the {backend} backend")
    return paths, rules
