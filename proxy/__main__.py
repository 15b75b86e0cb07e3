"""`codex-proxy`, or `python -m proxy`: the command line."""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from proxy.guard import is_loopback
from proxy.journal import JournalRefused, default_directory
from proxy.server import check_journal, serve
from proxy.settings import BACKENDS, Settings
from proxy.workers import run_workers

__all__ = ["main"]

_EPILOG = """\
backends:
  cerebras   translates: Chat Completions there, Codex' Responses API here
  chatgpt    passes through, byte for byte; the login is the client's own

environment of cerebras:
  CEREBRAS_API_KEY    the key (required); it is sent to CEREBRAS_BASE_URL and nowhere else
  CEREBRAS_BASE_URL   where Cerebras is; default https://api.cerebras.ai/v1
  CEREBRAS_MODEL      takes the place of OpenAI's own model names; default gpt-oss-120b
  CEREBRAS_TIMEOUT    seconds of its silence after which it has failed; default 240

  switches, 0 or 1, for what depends on the version of the API or on the model; default 0:
  CEREBRAS_PARALLEL_TOOL_CALLS   send parallel_tool_calls
  CEREBRAS_THINK_TAGS            take <think>...</think> at the start of content for reasoning
  PROXY_STATUS_LINE              have the model show the repository and branch that Codex is in

environment of chatgpt:
  CHATGPT_BASE_URL    where it is; default https://chatgpt.com/backend-api/codex

environment of both:
  PROXY_TOKEN         what every request must have in its header x-proxy-token; an address that
                      is not loopback needs one
  PROXY_LOG           on or off: whether anything is logged; default on
  PROXY_LOG_DIR       where; default codex-proxy in the user's state directory
  PROXY_GRACE         seconds that open streams have to finish after SIGTERM; default 10
  OTEL_EXPORTER_OTLP_ENDPOINT   where OpenTelemetry's spans of requests go, if anywhere

example:
  CEREBRAS_API_KEY=csk-... codex-proxy &
  codex-proxy --backend chatgpt &
  curl http://127.0.0.1:10001/health http://127.0.0.1:10000/health
  codex-proxy setup --help      what Codex needs to use it
"""

_KNOWN = " or ".join(BACKENDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit status.

    2: something is wrong with what was asked for; 1: it could not be done.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["setup"]:
        from proxy import codex_setup  # what serving does not need

        return codex_setup.main(argv[1:])
    settings = parse(argv, os.environ)
    with prepare(settings, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        what = settings.model if settings.backend == "cerebras" else settings.base_url
        try:
            print(
                f"codex-proxy: {settings.backend} ({what}) on http://{address}",
                file=sys.stderr,
                flush=True,
            )
            _stop_without_terminal()
            if settings.workers > 1:
                return run_workers(serve, listener, settings)
            serve(listener, settings)
        except KeyboardInterrupt:
            return 130  # as a shell says of a program that Ctrl-C has ended
    return 0


def _stop_without_terminal() -> None:
    """Take SIGHUP for SIGTERM, but where it is ignored (nohup)."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hang_up)


def _hang_up(sent: int, frame: FrameType | None) -> None:
    # Both the shell and the system may tell of it, and the second SIGTERM would end all at once.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)


def prepare(settings: Settings, port: int) -> socket.socket:
    """Return a socket that listens on `port`; where that or the logs cannot be, say why and exit.

    With the port 0 it tells whether the settings would do while another proxy has theirs.
    """
    try:
        listener = _listen(settings, port)
    except _OpenToAll as error:
        print(f"codex-proxy: error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        print(f"codex-proxy: cannot listen on {where}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    try:
        check_journal(settings, settings.port or listener.getsockname()[1])
    except JournalRefused as error:
        listener.close()
        print(f"codex-proxy: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    return listener


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; where something is wrong, say what and exit with status 2."""
    parser = argparse.ArgumentParser(
        prog="codex-proxy",
        description="Stand between the Codex CLI and the backend that answers it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # A default from the environment is a string, so argparse checks it as it checks the flag.
    parser.add_argument(
        "--backend",
        type=_backend,
        default=environment.get("PROXY_BACKEND") or Settings.backend,
        help=f"who answers: {_KNOWN} (also PROXY_BACKEND; default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default=environment.get("PROXY_HOST") or Settings.host,
        help="address to listen on; others than loopback need PROXY_TOKEN "
        "(also PROXY_HOST; default: %(default)s)",
    )
    ports = ", ".join(f"{backend.port} for {name}" for name, backend in BACKENDS.items())
    parser.add_argument(
        "--port",
        type=_port,
        default=environment.get("PROXY_PORT") or Settings.port,
        help=f"port to listen on, 0 for a free one (also PROXY_PORT; default: {ports})",
    )
    parser.add_argument(
        "--workers",
        type=_workers,
        default=environment.get("PROXY_WORKERS") or Settings.workers,
        help="how many processes answer (also PROXY_WORKERS; default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    variable = BACKENDS[arguments.backend].variable
    try:
        return Settings(
            backend=arguments.backend,
            base_url=_base_url(environment, variable),
            host=arguments.host,
            port=arguments.port,
            workers=arguments.workers,
            grace=_seconds(environment, "PROXY_GRACE", Settings.grace),
            log_directory=_log_directory(environment),
            token=_secret(environment, "PROXY_TOKEN"),
            **(_cerebras(environment) if arguments.backend == "cerebras" else {}),
        )
    except ValueError as error:
        parser.error(str(error))


def _cerebras(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of Cerebras alone; raises `ValueError`, with what is wrong."""
    api_key = _secret(environment, "CEREBRAS_API_KEY")
    if not api_key:
        raise ValueError("CEREBRAS_API_KEY is not set; get a key at https://cloud.cerebras.ai")
    return {
        "api_key": api_key,
        "model": environment.get("CEREBRAS_MODEL") or Settings.model,
        "timeout": _seconds(environment, "CEREBRAS_TIMEOUT", Settings.timeout),
        "send_parallel_tool_calls": _switch(environment, "CEREBRAS_PARALLEL_TOOL_CALLS"),
        "think_tags": _switch(environment, "CEREBRAS_THINK_TAGS"),
        "status_line": _switch(environment, "PROXY_STATUS_LINE"),
    }


def _secret(environment: Mapping[str, str], name: str) -> str:
    secret = environment.get(name, "").strip()
    # Nothing that would have to be escaped anywhere: so it can be found wherever it is quoted.
    if not re.fullmatch(r"[!#-\[\]-~]*", secret):
        raise ValueError(f"{name} has characters that no key has; was it copied whole?")
    return secret


def _log_directory(environment: Mapping[str, str]) -> Path | None:
    switch = environment.get("PROXY_LOG") or "on"
    if switch not in ("on", "off"):
        raise ValueError(f"PROXY_LOG is on or off, not {switch!r}")
    if switch == "off":
        return None
    chosen = environment.get("PROXY_LOG_DIR")
    try:
        return Path(chosen).absolute() if chosen else default_directory(environment)
    except RuntimeError:
        raise ValueError("there is no home for logs; set PROXY_LOG_DIR, or PROXY_LOG=off") from None


def _base_url(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name) or ""
    if text and not _is_url(text):
        # Not quoted: there may be a login in it, or a key that was meant for another variable.
        raise ValueError(f"{name} is no http(s) URL; it looks like https://api.cerebras.ai/v1")
    if httpx.URL(text).userinfo or "?" in text or "#" in text:
        # Paths are appended to it, and a login would take the client's place.
        raise ValueError(f"{name} has a login, a query or a fragment; it takes host and path alone")
    if httpx.URL(text).scheme == "http" and not is_loopback(httpx.URL(text).host):
        raise ValueError(f"{name} must be https: the key or login would go to {text!r} in the open")
    return text.rstrip("/")


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "0"
    if value not in ("0", "1"):
        raise ValueError(f"{name} is 0 or 1, not {value!r}")
    return value == "1"


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} is a number of seconds, not {text!r}")
    return seconds


def _is_url(text: str) -> bool:
    if not re.fullmatch(r"[!-~]+", text):  # it goes out as it is
        return False
    try:
        url = httpx.URL(text)
        known = url.scheme in {"http", "https"} and bool(url.host)
        return known and (url.port is None or 0 < url.port < 65536)
    except (httpx.InvalidURL, UnicodeError):
        return False


def _backend(text: str) -> str:
    if text not in BACKENDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none; PROXY_BACKEND and --backend take {_KNOWN}"
        )
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; PROXY_PORT and --port take 0 to 65535"
        )
    return int(text)


class _OpenToAll(Exception):
    """Others could spend the key; the message has the mend."""


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1000):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of processes; PROXY_WORKERS and --workers take 1 to 999"
        )
    return int(text)


def _listen(settings: Settings, port: int) -> socket.socket:
    """Return a listening socket; raises `OSError`, so that the fault is told in one sentence."""
    try:
        found = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(0, "no such name") from None
    family, kind, protocol, _, address = found[0]
    if not (settings.token or is_loopback(str(address[0]))):
        raise _OpenToAll(
            f"{settings.host} can be reached by others: set PROXY_TOKEN, which they must know, "
            "or listen on 127.0.0.1"
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


if __name__ == "__main__":
    sys.exit(main())
