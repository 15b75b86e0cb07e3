"""What SECURITY.md promises of the provider's side: who gets the key, what its answers can do."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from os import pathsep
from pathlib import Path

import httpx
import pytest

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from tests.unit.proxy.backend import BASE, Backend
from tests.unit.proxy.provider import KEY, PATIENCE, Provider, bare_provider, reply, stream
from tests.unit.proxy.streams import Json, calls, final, finishes, fragment, read, says

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}


def ask(proxy: OwnProxy, path: str = "/v1/responses") -> httpx.Response:
    return httpx.post(proxy.url + path, json=REQUEST, timeout=PATIENCE, trust_env=False)


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that `localhost` has issued to itself, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, which makes a certificate")
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test "
        "-addext subjectAltName=DNS:localhost "
        "-addext keyUsage=critical,keyCertSign,digitalSignature"
    )
    command = [openssl, *words.split(), "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, capture_output=True, check=True)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made


@contextmanager
def tls_provider(certificate: Path, *, ends: bool = True) -> Iterator[tuple[int, list[bytes]]]:
    """Answer over TLS, one connection after the other; yield the port, and what was asked.

    What does not end is cut off, as anybody on the way can do it.
    """
    asked: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"

    def answer() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return  # the end of the test
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as secure:
                asked.append(secure.recv(65536))
                secure.sendall(head + says("Hello.") + finishes())
                if ends:
                    secure.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("host", "trusted", "answers"),
    [("localhost", True, True), ("localhost", False, False), ("127.0.0.1", True, False)],
    ids=["known and named", "not known", "another name"],
)
def test_only_who_has_the_certificate_of_the_host_gets_the_key(
    certificate: Path, host: str, trusted: bool, answers: bool
) -> None:
    known = {"SSL_CERT_FILE": str(certificate)} if trusted else {}

    with (
        tls_provider(certificate) as (port, asked),
        OwnProxy(f"https://{host}:{port}/v1", api_key=KEY, environment=known) as proxy,
    ):
        response = final(read(ask(proxy).content))

    assert response["status"] == ("completed" if answers else "failed")
    assert [KEY.encode() in request for request in asked] == ([True] if answers else [])
    if not answers:
        assert "is not secure" in response["error"]["message"]
        assert "Nothing was sent." in response["error"]["message"]


@pytest.mark.parametrize("ends", [True, False])
def test_an_answer_that_somebody_cut_off_is_not_whole(certificate: Path, ends: bool) -> None:
    """It has neither length nor chunks: only its connection tells that this was all."""
    environment = {"SSL_CERT_FILE": str(certificate)}

    with (
        tls_provider(certificate, ends=ends) as (port, _),
        OwnProxy(f"https://localhost:{port}", backend="chatgpt", environment=environment) as proxy,
        nullcontext() if ends else pytest.raises(httpx.RemoteProtocolError),
    ):
        assert ask(proxy).content == says("Hello.") + finishes()


# --- proxies of the environment ------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[tuple[dict[str, str], list[bytes]]]:
    """An environment whose every variable names a proxy, and what that is asked."""
    with bare_provider(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (url, asked):
        proxy = url.removesuffix("/v1")
        names = ("http_proxy", "https_proxy", "all_proxy")
        yield {spelt: proxy for name in names for spelt in (name, name.upper())}, asked


def test_proxies_of_the_environment_do_not_get_the_key(
    upstream: Provider, provider_url: str, elsewhere: tuple[dict[str, str], list[bytes]]
) -> None:
    environment, asked = elsewhere
    upstream.answer = stream(says("Hello.") + finishes())

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        assert final(read(ask(proxy).content))["status"] == "completed"
    with OwnProxy("https://127.0.0.1:1", api_key=KEY, environment=environment) as proxy:
        assert "cannot be reached" in ask(proxy).text

    assert asked == []


def test_proxies_of_the_environment_do_not_get_the_login(
    elsewhere: tuple[dict[str, str], list[bytes]],
) -> None:
    environment, asked = elsewhere
    backend = Backend()
    backend.answer = reply(200)

    with (
        LoopbackServer(backend) as server,
        OwnProxy(server.url + BASE, backend="chatgpt", environment=environment) as proxy,
    ):
        assert ask(proxy).status_code == 200

    assert len(backend.seen) == 1
    assert asked == []


# --- what a model asks for -----------------------------------------------------------------------

#: Says of this process whenever it starts another program, or becomes one.
WATCH = """\
import sys
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
def watch(event, arguments):
    if event in STARTS:
        print("STARTED", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(watch)
"""


def test_what_a_model_asks_for_is_not_run(
    upstream: Provider, provider_url: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    mark = tmp_path / "mark"
    command = f'{{"cmd":"touch {mark}","command":["touch","{mark}"],"input":"$(touch {mark})"}}'
    names = ("exec_command", "shell", "local_shell", "apply_patch", "write_stdin")
    fragments = [
        fragment(number, id=f"c{number}", name=name, arguments=command)
        for number, name in enumerate(names)
    ]
    upstream.answer = stream(calls(*fragments) + finishes("tool_calls"))
    path = pathsep.join([str(tmp_path), *filter(None, sys.path)])

    with OwnProxy(provider_url, api_key=KEY, environment={"PYTHONPATH": path}) as proxy:
        events = read(ask(proxy).content)

    called = [item["name"] for item in final(events)["output"]]
    assert called == list(names)
    assert not mark.exists()
    assert "STARTED" not in proxy.said


def test_what_is_started_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)

    ended = subprocess.run(
        [sys.executable, "-P", "-c", "import subprocess; subprocess.run(['true'])"],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "STARTED subprocess.Popen" in ended.stderr
