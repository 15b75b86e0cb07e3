"""What is measured: this proxy, its peers and the upstream alone, each a process of its own.

A peer comes from PyPI, into a virtual environment of its own, once.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from typing import IO, Any, Final, NamedTuple
from urllib.parse import urlsplit

from harness.bench.traffic import MODEL

__all__ = [
    "OWN",
    "PASS_THROUGH",
    "RELAY",
    "SUBJECTS",
    "UPSTREAM",
    "Running",
    "Subject",
    "Unavailable",
    "install",
    "running",
    "running_upstream",
]

#: Seconds that a subject has from its start to its first healthy answer; LiteLLM takes 12.
_START: Final = 90.0

#: Seconds that it has from being told to end to its end.
_STOP: Final = 15.0

#: Where the peers are kept.
_PEERS: Final = Path(os.environ.get("BENCH_PEERS") or Path.home() / ".cache" / "bench-peers")

#: For a process of this package, wherever it is started.
_OWN_PATH: Final = os.pathsep.join(path for path in sys.path if path)


class Unavailable(RuntimeError):
    """This subject cannot be had here; the message says why."""


class _Place(NamedTuple):
    """Where one process of a subject lives."""

    #: Of its virtual environment.
    bin: Path
    #: Empty, its own.
    folder: Path
    port: int
    upstream: str


class Subject(NamedTuple):
    """A program to be measured."""

    name: str
    #: What pip installs; empty for what is here anyway.
    package: str
    #: What answers 200 once it is up.
    health: str
    #: Returns the command, and what it needs in its environment.
    command: Callable[[_Place], tuple[list[str], Mapping[str, str]]]


def _own_proxy(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    return [sys.executable, "-P", "-m", "proxy"], {
        "PYTHONPATH": _OWN_PATH,
        "PROXY_PORT": str(place.port),
        "CEREBRAS_API_KEY": "k",
        "CEREBRAS_BASE_URL": place.upstream,
    }


def _pass_through(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    command, environment = _own_proxy(place)
    return command, {**environment, "PROXY_BACKEND": "chatgpt", "CHATGPT_BASE_URL": place.upstream}


def _bare_relay(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    upstream = str(urlsplit(place.upstream).port)
    command = [sys.executable, "-P", "-m", "harness.bench.relay", str(place.port), upstream]
    return command, {"PYTHONPATH": _OWN_PATH}


def _codex_relay(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    program = str(place.bin / "codex-relay")
    arguments = ["--bind", "127.0.0.1", "--port", str(place.port), "--api-key", "k"]
    return [program, *arguments, "--upstream", place.upstream], {}


def _llm_rosetta(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    kind = "openai_chat"
    provider = {"api_key": "k", "base_url": place.upstream, "api_type": kind, "type": kind}
    configuration = {
        "providers": {"cerebras": provider},
        "models": {MODEL: "cerebras"},
        "server": {"host": "127.0.0.1", "port": place.port, "open_on_no_keys": True},
    }
    file = place.folder / "gateway.jsonc"
    file.write_text(json.dumps(configuration))
    program = str(place.bin / "llm-rosetta-gateway")
    where = ["--host", "127.0.0.1", "--port", str(place.port), "--data-dir", str(place.folder)]
    return [program, "--config", str(file), "--no-banner", "--log-level", "error", *where], {}


def _litellm(place: _Place) -> tuple[list[str], Mapping[str, str]]:
    parameters = {"model": "cerebras/*", "api_base": place.upstream, "api_key": "k"}
    configuration = {
        "model_list": [{"model_name": "*", "litellm_params": parameters}],
        "litellm_settings": {"drop_params": True, "telemetry": False, "num_retries": 0},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    file = place.folder / "config.yaml"
    file.write_text(json.dumps(configuration))  # which is YAML
    program = str(place.bin / "litellm")
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [program, "--config", str(file), *where], {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


UPSTREAM: Final = "upstream alone"
OWN: Final = Subject("codex-proxy", "", "/health", _own_proxy)
PASS_THROUGH: Final = Subject("pass-through", "", "/health", _pass_through)
#: What the machine can do at all, where three processes share it.
RELAY: Final = Subject("bare relay", "", "/health", _bare_relay)

#: In the order of the table.
SUBJECTS: Final = (
    OWN,
    Subject("codex-relay", "codex-relay==0.5.8", "/v1/models", _codex_relay),
    Subject("llm-rosetta", "llm-rosetta[gateway]==0.13.0", "/health", _llm_rosetta),
    Subject("litellm", "litellm[proxy]==1.106.2", "/health/liveliness", _litellm),
)


def install(subject: Subject) -> None:
    """Install a peer where it is not yet; raises `Unavailable`."""
    folder = _PEERS / subject.name
    if not subject.package or (folder / "installed").exists():
        return
    venv.create(folder, with_pip=True, clear=True)
    # It has its own dependencies: what constrains ours does not concern it.
    environment = {name: text for name, text in os.environ.items() if name != "PIP_CONSTRAINT"}
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", subject.package]
    finished = subprocess.run(pip, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        last = finished.stderr.strip().rpartition("\n")[2]
        raise Unavailable(f"pip cannot install {subject.package}: {last}")
    (folder / "installed").touch()


class Running(NamedTuple):
    """A process that serves. What it costs is read from the kernel, which is Linux here."""

    name: str
    pid: int
    port: int
    #: Where it is asked.
    path: str
    #: From its start to its first healthy answer.
    start_seconds: float

    def cpu_seconds(self) -> float:
        """Return the processor time of all its threads so far."""
        # clock_getcpuclockid(3), which Python does not have; /proc counts in hundredths.
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory_mb(self) -> float:
        """Return its resident memory, in MB of 1024 * 1024 bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@contextmanager
def running(subject: Subject, upstream: Running) -> Iterator[Running]:
    """Run one process of `subject` in front of `upstream`; raises `Unavailable` with its words."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _log(folder) as log:
        port = _free_port()
        url = f"http://127.0.0.1:{upstream.port}/v1"
        place = _Place(_PEERS / subject.name / "bin", Path(folder), port, url)
        command, more = subject.command(place)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment = {**kept, "HOME": folder, **more}
        start = time.perf_counter()
        with _process(command, log, cwd=folder, env=environment) as process:
            while not _is_healthy(port, subject.health):
                if process.poll() is not None or time.perf_counter() - start > _START:
                    log.seek(0)
                    raise Unavailable(f"{subject.name} did not start: {log.read()[-500:]}")
                time.sleep(0.002)
            seconds = time.perf_counter() - start
            yield Running(subject.name, process.pid, port, "/v1/responses", seconds)


@contextmanager
def running_upstream() -> Iterator[Running]:
    """Run the bench's own provider."""
    command = [sys.executable, "-P", "-m", "harness.bench.upstream"]
    environment = {**os.environ, "PYTHONPATH": _OWN_PATH}
    with _process(command, PIPE, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Running(UPSTREAM, process.pid, port, "/v1/chat/completions", 0.0)


@contextmanager
def _process(command: list[str], output: int | IO[str], **more: Any) -> Iterator[Popen[str]]:
    """Run a process, and end it."""
    with Popen(command, stdin=DEVNULL, stdout=output, stderr=STDOUT, text=True, **more) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP)
            except TimeoutExpired:
                process.kill()


def _log(folder: str) -> IO[str]:
    return Path(folder, "log").open("w+", encoding="utf-8", errors="replace")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _is_healthy(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
