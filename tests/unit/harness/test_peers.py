"""A peer is installed by itself, started, and ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from harness.peers import PEERS, Peer, PeerFailed, Place, install, running

PROGRAMS = Path(sys.executable).parent
PYTHON = Path(sys.executable).name


def peer(command: Callable[[Place], list[str]]) -> Peer:
    return Peer("some", "1.0", "some", command)


def serves(place: Place) -> list[str]:
    return [PYTHON, "-m", "http.server", str(place.port), "--bind", "127.0.0.1"]


def fails(place: Place) -> list[str]:
    return [PYTHON, "-c", f"raise SystemExit('no such {place.provider}')"]


def test_a_peer_is_reached_until_it_is_ended(tmp_path: Path) -> None:
    with running(
        peer(serves), PROGRAMS, folder=tmp_path, provider="http://provider/v1", models=[]
    ) as url:
        root = url.removesuffix("/v1")
        assert httpx.get(root, trust_env=False, verify=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(root, trust_env=False, verify=False)
    assert "GET / " in (tmp_path / "some.log").read_text()


#: A peer that does not heed SIGTERM, and has started another process; it says both their numbers.
STUBBORN: Final = """\
import os, pathlib, signal, socket, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
signal.pause()
"""

#: Runs it in the folder that it is given, as `conformance` does: SIGTERM ends in order.
RUNS: Final = f"""\
import signal, sys
from pathlib import Path
from harness.peers import Peer, running
peer = Peer("some", "1.0", "some", lambda at: [{PYTHON!r}, "-c", {STUBBORN!r}, str(at.port)])
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
with running(peer, Path({str(PROGRAMS)!r}), folder=Path.cwd(), provider="", models=[]):
    print("runs", flush=True)
    signal.pause()
"""


@contextmanager
def started(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Yield a process that runs such a peer, and the numbers of the peer's processes."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", RUNS], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        pids = [int(pid) for pid in (folder / "some-home" / "pids").read_text().split()]
        try:
            yield process, pids
        finally:
            for pid in (process.pid, *pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Tell whether a process has ended within ten seconds; its parent may not have noticed."""
    over = time.monotonic() + 10
    while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < over:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}/exe").exists()


watched = pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="there is no /proc here")


@watched
def test_a_second_signal_ends_a_peer_at_once(tmp_path: Path) -> None:
    with started(tmp_path) as (process, pids):
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # the peer has ten seconds
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=5) == 128 + signal.SIGTERM
        assert all(map(gone, pids))


@watched  # which has the kernel, too, that ends a process with its parent
def test_a_peer_does_not_outlive_a_harness_that_is_killed(tmp_path: Path) -> None:
    with started(tmp_path) as (process, (peer, _)):
        process.kill()

        assert gone(peer)


@watched
def test_what_a_peer_started_is_ended_with_it(tmp_path: Path) -> None:
    # The other one, which inherits that, still does not.
    heeding = "signal.signal(signal.SIGTERM, signal.SIG_DFL)\nlistener ="
    command = [PYTHON, "-c", STUBBORN.replace("listener =", heeding)]
    with running(
        peer(lambda place: [*command, str(place.port)]),
        PROGRAMS,
        folder=tmp_path,
        provider="",
        models=[],
    ):
        _, child = (tmp_path / "some-home" / "pids").read_text().split()

    assert gone(int(child))


def test_a_peer_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(PeerFailed, match=r"some did not start; .*\n?no such http://provider/v1"),
        running(peer(fails), PROGRAMS, folder=tmp_path, provider="http://provider/v1", models=[]),
    ):
        pytest.fail("it did not start")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(PeerFailed, match="some cannot be started: "),
        running(peer(serves), tmp_path, folder=tmp_path, provider="http://p/v1", models=[]),
    ):
        pytest.fail("it did not start")


def test_what_cannot_be_installed_is_named(tmp_path: Path) -> None:
    broken = Peer("broken", "1.0", "not a package", serves)

    with pytest.raises(PeerFailed, match=r"not a package==1\.0 cannot be installed: "):
        install(broken, tmp_path)
    assert not (tmp_path / "broken" / "installed").exists()


def test_what_is_installed_stays(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "installed").write_text("some==1.0")

    assert install(peer(serves), tmp_path) == tmp_path / "some" / "bin"


@pytest.mark.parametrize("one", PEERS, ids=[one.name for one in PEERS])
def test_each_is_told_where_its_provider_is(one: Peer, tmp_path: Path) -> None:
    place = Place(tmp_path, 4000, "http://127.0.0.1:9100/v1", ["gpt-oss-120b"])

    arguments = one.command(place)

    files = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    told = json.dumps([arguments, files])
    assert "http://127.0.0.1:9100/v1" in told
    assert "4000" in arguments
