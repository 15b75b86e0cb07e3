"""Other proxies for the same job, from PyPI: each installed by itself, and started for a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness import with_parent
from harness.errors import HarnessError

__all__ = ["PEERS", "Peer", "PeerFailed", "Place", "install", "running"]

#: Seconds: LiteLLM takes ten to be ready where there is nothing else to do.
_START: Final = 120.0
_INSTALL: Final = 900.0
_END: Final = 10.0


class PeerFailed(HarnessError):
    """A peer could not be installed or started; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer works."""

    #: Its own, for its configuration and what it writes.
    folder: Path
    port: int
    #: The base URL of its provider.
    provider: str
    #: The names of the models that it is asked for.
    models: Sequence[str]


@dataclass(frozen=True, slots=True)
class Peer:
    """One proxy, in one version."""

    name: str
    version: str
    #: What pip installs, but for the version.
    package: str
    #: Returns its arguments, the program first; writes its configuration, where it has one.
    command: Callable[[Place], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


def _codex_relay(place: Place) -> list[str]:
    where = ["--bind", "127.0.0.1", "--port", str(place.port)]
    return ["codex-relay", *where, "--upstream", place.provider, "--api-key", "k"]


def _ds4codex(place: Place) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    target = ["--target-url", f"{place.provider}/chat/completions", "--api-key", "k"]
    return ["ds4codex", "run", *where, *target, "--log-level", "ERROR"]


def _litellm(place: Place) -> list[str]:
    parameters = {"model": "cerebras/*", "api_base": place.provider, "api_key": "k"}
    configuration = {
        "model_list": [{"model_name": "*", "litellm_params": parameters}],
        "litellm_settings": {"drop_params": True, "telemetry": False, "num_retries": 0},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    file = _write(place, "litellm.yaml", configuration)
    return ["litellm", "--config", file, "--host", "127.0.0.1", "--port", str(place.port)]


def _llm_rosetta(place: Place) -> list[str]:
    provider = {
        "api_key": "k",
        "base_url": place.provider,
        "api_type": "openai_chat",
        "type": "openai_chat",
    }
    where = {"host": "127.0.0.1", "port": place.port}
    configuration = {
        "providers": {"cerebras": provider},
        "models": dict.fromkeys(place.models, "cerebras"),
        "server": {**where, "open_on_no_keys": True},
    }
    file = _write(place, "gateway.jsonc", configuration)
    data = ["--data-dir", str(place.folder / "data"), "--log-level", "error"]
    listen = ["--host", "127.0.0.1", "--port", str(place.port)]
    return ["llm-rosetta-gateway", "--config", file, "--no-banner", *listen, *data]


def _write(place: Place, name: str, configuration: object) -> str:
    """Write a configuration, as JSON (which is YAML, too), and return its path."""
    file = place.folder / name
    file.write_text(json.dumps(configuration), encoding="utf-8")
    return str(file)


PEERS: Final = (
    Peer("codex-relay", "0.5.8", "codex-relay", _codex_relay),
    Peer("llm-rosetta", "0.13.0", "llm-rosetta[gateway]", _llm_rosetta),
    Peer(
        "LiteLLM",
        "1.106.2",
        "litellm[proxy]",
        _litellm,
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},  # else it asks GitHub what models cost
    ),
    Peer("ds4codex", "0.1.6", "ds4codex", _ds4codex),
)


def install(peer: Peer, folder: Path) -> Path:
    """Install `peer` into an environment of its own in `folder`; return where its programs are.

    What is there in the right version stays. Raises `PeerFailed`.
    """
    environment = folder / peer.name
    programs = environment / "bin"
    installed = environment / "installed"
    if installed.is_file() and installed.read_text(encoding="utf-8") == peer.requirement:
        return programs
    create = [sys.executable, "-m", "venv", "--clear", str(environment)]
    pip = [str(programs / "pip"), "install", "-q", "--disable-pip-version-check", peer.requirement]
    # Its dependencies are its own affair.
    variables = {name: text for name, text in os.environ.items() if name != "PIP_CONSTRAINT"}
    for command in (create, pip):
        try:
            subprocess.run(
                command, env=variables, check=True, capture_output=True, timeout=_INSTALL, text=True
            )
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines()[-3:]
            reason = "\n".join(said)
            raise PeerFailed(f"{peer.requirement} cannot be installed: {reason}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerFailed(f"{peer.requirement} cannot be installed: {error}") from None
    installed.write_text(peer.requirement, encoding="utf-8")
    return programs


@contextmanager
def running(
    peer: Peer, programs: Path, *, folder: Path, provider: str, models: Sequence[str]
) -> Iterator[str]:
    """Run `peer` in front of `provider` (a base URL); yield its own base URL.

    What it prints is kept in `folder`. Raises `PeerFailed`.
    """
    home = folder / f"{peer.name}-home"
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    program, *arguments = peer.command(Place(home, port, provider, models))
    if not (programs / program).is_file():
        raise PeerFailed(f"{peer.name} cannot be started: {programs / program} is not there")
    log = folder / f"{peer.name}.log"
    with log.open("wb") as said:
        try:
            process = subprocess.Popen(
                [*with_parent.program(str(programs / program)), *arguments],
                cwd=home,
                # Nothing of the person who runs this: neither keys nor settings.
                env={
                    "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                    "HOME": str(home),
                    "LANG": "C.UTF-8",
                    **peer.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            raise PeerFailed(f"{peer.name} cannot be started: {error}") from None
        try:
            _wait_for(port, process, peer, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            _stop(process)


def _wait_for(port: int, process: subprocess.Popen[bytes], peer: Peer, log: Path) -> None:
    over = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < over:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-1000:]
    raise PeerFailed(f"{peer.name} did not start; {log} has what it said:\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it started; at once where that is interrupted."""
    try:
        _end(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_END)
    finally:
        _end(process, signal.SIGKILL)
        process.wait()


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
