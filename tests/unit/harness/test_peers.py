"""A peer is installed by itself, started, and ended with all that it started."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

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
