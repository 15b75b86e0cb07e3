"""Logs: what is in them, and who may read them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from proxy.journal import Journal, JournalRefused, Tape, default_directory
from tests.unit.proxy.backend import BASE, Backend, answers
from tests.unit.proxy.logs import PIECES, REQUEST, ask, everything, lines, logging_to
from tests.unit.proxy.provider import (
    KEY,
    PATIENCE,
    Provider,
    hold,
    in_turn,
    reply,
    stream,
    stream_and_break,
)
from tests.unit.proxy.streams import DONE, final, finishes, read, says

QUOTES = b'{"message":"Incorrect API key provided: %s."}' % KEY.encode()


# --- what is in them -----------------------------------------------------------------------------


def test_a_request_is_one_line(place: Path, upstream: Provider, provider_url: str) -> None:
    upstream.answer = stream(*PIECES)

    with logging_to(place, provider_url) as proxy:
        response = ask(proxy.url, "/v1/responses?token=of-the-client")
    port = proxy.url.rpartition(":")[2]

    assert [path.name for path in place.glob("proxy_*")] == [f"proxy_{port}.log"]
    (line,) = lines(place)
    events = read(response.content)
    assert line.pop("time").endswith("+00:00")
    assert 0 < line.pop("first") <= line.pop("total") < PATIENCE
    assert line == {
        "method": "POST",
        "path": "/v1/responses",
        "id": final(events)["id"],
        "asked": "gpt-5-codex",
        "used": "gpt-oss-120b",
        "upstream": f"{provider_url}/chat/completions",
        "status": 200,
        "outcome": "completed",
        "input_tokens": 9,
        "output_tokens": 1,
        "events": len(events),
        "retries": 0,
    }


def test_what_goes_wrong_is_told(place: Path, upstream: Provider, provider_url: str) -> None:
    upstream.answer = in_turn(
        reply(503),
        reply(401, QUOTES),
        reply(429, b"{}"),
        stream(says("Hel")),
    )

    with logging_to(place, provider_url) as proxy:
        for _ in range(3):
            ask(proxy.url)
        ask(proxy.url, headers={"origin": "http://evil.example"})
        httpx.get(f"{proxy.url}/health", trust_env=False)
        ask(proxy.url, content=b'{"model":"m\\n\\u001b[2J"}', headers={"content-type": "text/x"})

    told = [
        (line["status"], line["outcome"], line.get("code"), line.get("faults"), line["retries"])
        for line in lines(place)
    ]
    assert told == [
        (400, "failed", "invalid_prompt", ["http_503", "http_401"], 1),
        (200, "failed", "rate_limit_exceeded", ["http_429"], 0),
        (200, "failed", "server_error", ["stream"], 0),
        (403, "refused", None, None, 0),
        (415, "refused", None, None, 0),
    ]


def test_an_answer_that_is_there_whole_is_complete_whatever_comes_of_its_connection(
    place: Path, upstream: Provider, provider_url: str
) -> None:
    left = threading.Event()
    hello = says("Hello.")
    upstream.answer = in_turn(
        hold(left, *PIECES, DONE), stream_and_break(hello, finishes()), hold(left, *PIECES, DONE)
    )

    with logging_to(place, provider_url, PROXY_GRACE="0.1") as proxy:
        answers = [ask(proxy.url)]
        assert left.wait(PATIENCE)
        answers += [ask(proxy.url), ask(proxy.url)]

    assert [final(read(answer.content))["status"] for answer in answers] == ["completed"] * 3
    told = [(line["outcome"], line.get("code"), line.get("faults")) for line in lines(place)]
    assert told == [
        ("completed", None, None),
        ("completed", None, ["broken"]),
        ("completed", None, None),
    ]


def test_the_stream_is_kept_as_it_came(place: Path, upstream: Provider, provider_url: str) -> None:
    first = [says("x" * 50_000), *PIECES]
    upstream.answer = in_turn(stream(*first), stream(*PIECES))

    with logging_to(place, provider_url) as proxy:
        ask(proxy.url)
        ask(proxy.url)

    kept = place / "cerebras_responses"
    assert (kept / "response_000001.txt").read_bytes() == b"".join(first)
    assert (kept / "response_000002.txt").read_bytes() == b"".join(PIECES)
    assert (kept / "latest_response.txt").read_bytes() == b"".join(PIECES)
    assert len(list(kept.iterdir())) == 3


def test_the_translated_request_is_kept(place: Path, upstream: Provider, provider_url: str) -> None:
    upstream.answer = stream(*PIECES)

    with logging_to(place, provider_url) as proxy:
        ask(proxy.url)

    assert msgspec.json.decode((place / "request_payload.json").read_bytes()) == {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
    }


def test_the_pass_through_keeps_what_came_too(place: Path) -> None:
    backend = Backend()
    events = [b'data: {"sequence_number":%d}\n\n' % number for number in range(2)]
    backend.answer = answers(200, [(b"content-type", b"text/event-stream")], *events)

    with LoopbackServer(backend) as server:
        url = server.url + BASE
        environment = {"PROXY_BACKEND": "chatgpt", "CHATGPT_BASE_URL": url}
        with logging_to(place, url, **environment) as proxy:
            login = {"authorization": "Bearer of-the-client"}
            ask(proxy.url, "/v1/responses?secret=1", headers=login)

    (line,) = lines(place)
    assert (line["upstream"], line["outcome"]) == (f"{url}/responses", "completed")
    assert line["events"] == 2
    latest = place / "chatgpt_responses" / "latest_response.txt"
    assert latest.read_bytes() == b"".join(events)
    assert b"of-the-client" not in everything(place)
    assert b"secret" not in everything(place)


@pytest.mark.parametrize("at", [0, 65_000, 65_536 - 40, 65_536 - 60, 160_000])
def test_the_key_is_in_no_file(place: Path, upstream: Provider, provider_url: str, at: int) -> None:
    data = b"data: " + b"x" * at + KEY.encode() + b"\n\n"
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    upstream.answer = in_turn(reply(401, QUOTES), reply(401, QUOTES), stream(*pieces))

    with logging_to(place, provider_url) as proxy:
        ask(proxy.url)
        ask(proxy.url, json={**REQUEST, "model": "x" * 190 + KEY})
        ask(proxy.url, json={**REQUEST, "model": KEY, "input": f"My key is {KEY}"})

    assert KEY[:9].encode() not in everything(place)
    latest = place / "cerebras_responses" / "latest_response.txt"
    assert latest.read_bytes() == data.replace(KEY.encode(), b"[the key]")


def test_a_key_is_found_however_a_stream_is_cut(place: Path) -> None:
    key, at_once = KEY.encode(), 16 * 1024
    before = range(at_once - len(key) - 1, at_once + 2)
    journal = Journal(place, backend="cerebras", port=1, secret=KEY)

    for length in before:
        data = b"x" * length + key + b"y" * 100
        tape = Tape(journal)
        tape.receive(data[:at_once])
        tape.receive(data[at_once:])
        tape.close()
    journal.close()

    kept = sorted((place / "cerebras_responses").glob("response_*"))
    wanted = [b"x" * length + b"[the key]" + b"y" * 100 for length in before]
    assert [path.read_bytes() for path in kept] == wanted


@pytest.mark.parametrize("length", [1, 7, 8, len(KEY) - 1])
def test_what_ends_inside_of_the_key_tells_little_of_it(place: Path, length: int) -> None:
    """A stream that breaks there, and an error of which only the beginning is read."""
    journal = Journal(place, backend="cerebras", port=1, secret=KEY)
    told = KEY[:length].encode() if length < 8 else b"[the key]"

    for before in (b"x", b"x" * 64 * 1024, KEY.encode()):
        tape = Tape(journal)
        tape.receive(before)
        tape.receive(KEY[:length].encode())
        tape.close()
    journal.close()

    kept = sorted((place / "cerebras_responses").glob("response_*"))
    wanted = [b"x" + told, b"x" * 64 * 1024 + told, b"[the key]" + told]
    assert [path.read_bytes() for path in kept] == wanted


def test_nothing_is_written_where_logs_are_off(
    tmp_path: Path, upstream: Provider, provider_url: str
) -> None:
    upstream.answer = stream(*PIECES)
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "PROXY_LOG_DIR": str(tmp_path)}

    with OwnProxy(provider_url, api_key=KEY, environment={**home, "PROXY_LOG": "off"}) as proxy:
        ask(proxy.url)

    assert list(tmp_path.iterdir()) == []


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/codex-proxy"),
        ({"HOME": "/h"}, "/h/.local/state/codex-proxy"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/codex-proxy"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/codex-proxy"),
    ],
)
def test_logs_are_in_the_users_state_directory(environment: dict[str, str], place: str) -> None:
    assert default_directory(environment) == Path(place)


def test_nobody_else_can_read_them(place: Path, upstream: Provider, provider_url: str) -> None:
    upstream.answer = stream(*PIECES)

    with logging_to(place, provider_url) as proxy:
        ask(proxy.url)

    # A link has no mode; where it leads is looked at.
    paths = [place, *(path.resolve() for path in place.rglob("*"))]
    assert len(paths) == 6
    for path in paths:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o740])
def test_a_directory_that_is_open_to_others_is_refused_and_left_as_it_is(
    place: Path, mode: int
) -> None:
    """It may have been named by mistake: a home directory, the one of a web server."""
    place.mkdir(parents=True)
    place.chmod(mode)

    with pytest.raises(JournalRefused, match=rf"others; 'chmod 700 {place}' closes it; PROXY_"):
        Journal(place, backend="cerebras", port=1)

    assert stat.S_IMODE(place.stat().st_mode) == mode
    assert list(place.iterdir()) == []


def test_a_directory_is_made_private_whatever_the_mask(place: Path) -> None:
    place.parent.mkdir()
    mask = os.umask(0o277)
    try:
        Journal(place, backend="cerebras", port=1).close()
    finally:
        os.umask(mask)

    for path in (place, place / "cerebras_responses"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_log_that_others_could_read_is_closed_to_them(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True)
    (place / "proxy_1.log").touch(mode=0o644)

    Journal(place, backend="cerebras", port=1).close()

    assert stat.S_IMODE((place / "proxy_1.log").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["", "cerebras_responses", "proxy_1.log"])
def test_what_belongs_to_somebody_else_is_refused(place: Path, name: str) -> None:
    place.mkdir(mode=0o700, parents=True)
    (place / "cerebras_responses").mkdir(mode=0o700)
    (place / "proxy_1.log").touch()
    os.chown(place / name, 12345, 12345)

    with pytest.raises(JournalRefused, match=r"belongs to somebody else|of the user's own"):
        Journal(place, backend="cerebras", port=1)


def link_log(place: Path, target: Path) -> None:
    (place / "proxy_1.log").symlink_to(target)


def link_streams(place: Path, target: Path) -> None:
    (place / "cerebras_responses").symlink_to(target.parent)


def put_a_pipe(place: Path, target: Path) -> None:
    os.mkfifo(place / "proxy_1.log")


def share(place: Path, target: Path) -> None:
    place.chmod(0o1777)


@pytest.mark.parametrize("spoil", [link_log, link_streams, put_a_pipe, share])
def test_links_and_shared_places_are_refused(
    tmp_path: Path, place: Path, spoil: Callable[[Path, Path], None]
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody")
    place.mkdir(mode=0o700, parents=True)
    spoil(place, target)

    with pytest.raises(JournalRefused, match=r"there can be no logs in .*PROXY_LOG=off"):
        Journal(place, backend="cerebras", port=1)

    assert target.read_bytes() == b"of somebody"


def test_a_link_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(JournalRefused, match=r"link: it is a link; PROXY_LOG_DIR chooses"):
        Journal(tmp_path / "link", backend="cerebras", port=1)


def test_a_proxy_that_cannot_log_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    paths = os.pathsep.join(path for path in sys.path if path)

    ended = subprocess.run(
        [sys.executable, "-P", "-m", "proxy", "--port", "0"],
        env={"PYTHONPATH": paths, "CEREBRAS_API_KEY": KEY, "PROXY_LOG_DIR": f"{tmp_path}/file"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        f"codex-proxy: there can be no logs in {tmp_path}/file: Not a directory; PROXY_LOG_DIR "
        "chooses another place, PROXY_LOG=off none\n"
    )


def test_a_link_that_comes_later_is_replaced_and_not_followed(
    tmp_path: Path, place: Path, upstream: Provider, provider_url: str
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody")
    place.mkdir(mode=0o700, parents=True)
    (place / "cerebras_responses").mkdir(mode=0o700)
    for name in ("request_payload.json", "cerebras_responses/latest_response.txt"):
        (place / name).symlink_to(target)
    upstream.answer = stream(*PIECES)

    with logging_to(place, provider_url) as proxy:
        ask(proxy.url)

    assert target.read_bytes() == b"of somebody"
    assert not (place / "request_payload.json").is_symlink()


def test_of_many_requests_the_last_is_kept(place: Path) -> None:
    journal = Journal(place, backend="cerebras", port=1)

    for number in range(100):
        journal.keep_request(b"%d" % number)
    journal.close()

    assert (place / "request_payload.json").read_bytes() == b"99"
