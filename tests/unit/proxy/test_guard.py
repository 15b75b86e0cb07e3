"""Who may ask, over real HTTP: hosts, origins, content types, the token, and the key's secrecy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from proxy.guard import is_loopback
from proxy.settings import Settings
from tests.unit.proxy.backend import BASE, Backend
from tests.unit.proxy.provider import KEY, PATIENCE, Provider, hold, reply, stream
from tests.unit.proxy.serving import serving
from tests.unit.proxy.streams import Json, final, finishes, read, says

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
HELLO = stream(says("Hello.") + finishes())
TOKEN = "a-token-of-the-proxy"  # noqa: S105 - of no other


def error(response: httpx.Response) -> str:
    said: str = response.json()["error"]["message"]
    return said


@pytest.fixture(scope="module")
def guarded(listening: tuple[Provider, str]) -> Iterator[OwnProxy]:
    """A proxy that has a token."""
    with OwnProxy(listening[1], api_key=KEY, environment={"PROXY_TOKEN": TOKEN}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def passing() -> Iterator[tuple[Backend, OwnProxy]]:
    """A pass-through that has a token, and its backend."""
    backend = Backend()
    backend.answer = reply(200)
    with (
        LoopbackServer(backend) as server,
        OwnProxy(server.url + BASE, backend="chatgpt", environment={"PROXY_TOKEN": TOKEN}) as proxy,
    ):
        yield backend, proxy


def ask(proxy: OwnProxy, path: str = "/v1/responses", **options: Any) -> httpx.Response:
    options = {"json": REQUEST, **options}
    return httpx.post(proxy.url + path, timeout=PATIENCE, trust_env=False, **options)


# --- hosts and origins ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:10001", "127.0.0.1", "127.0.0.2:80", "[::1]", "[::1]:10001"],
)
def test_a_host_that_is_this_machine_is_answered(
    client: httpx.Client, upstream: Provider, host: str
) -> None:
    upstream.answer = HELLO

    assert client.post("/responses", json=REQUEST, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:10001",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:1:2",
        "localhost@evil.example",
        "192.0.2.1",
        "[::2]",
        "0.0.0.0",  # noqa: S104 - not listened on
        "",
        ":10001",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/responses"), ("GET", "/health")])
def test_a_host_that_is_another_is_refused(
    client: httpx.Client, upstream: Provider, host: str, method: str, path: str
) -> None:
    response = client.request(method, path, json=REQUEST, headers={"host": host})

    assert response.status_code == 403
    assert error(response) == f"The Host of this request is {host!r}, which is not this proxy."
    assert upstream.seen == []


def test_the_configured_host_is_answered(upstream: Provider, provider_url: str) -> None:
    upstream.answer = HELLO
    settings = Settings(base_url=provider_url, api_key=KEY, host="Build-Box.example")
    hosts = ("build-box.example", "BUILD-BOX.example:80", "x.build-box.example", "build-box")

    with serving(settings) as client:
        answers = [
            client.post("/responses", json=REQUEST, headers={"host": host}) for host in hosts
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 403, 403]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:10001", ""])
def test_a_web_page_is_refused(client: httpx.Client, upstream: Provider, origin: str) -> None:
    response = client.post("/responses", json=REQUEST, headers={"origin": origin})

    assert response.status_code == 403
    assert "web page" in error(response)
    assert upstream.seen == []


def test_a_web_page_may_not_even_ask_whether_it_may(client: httpx.Client) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}

    response = client.options("/responses", headers=headers)

    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "null"}])
def test_the_pass_through_refuses_them_too(
    passing: tuple[Backend, OwnProxy], headers: dict[str, str]
) -> None:
    backend, proxy = passing
    backend.seen.clear()

    response = ask(proxy, headers={"x-proxy-token": TOKEN, **headers})

    assert response.status_code == 403
    assert backend.seen == []


# --- content types -------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken(client: httpx.Client, upstream: Provider, type: str) -> None:
    upstream.answer = HELLO

    response = client.post("/responses", json=REQUEST, headers={"content-type": type})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
@pytest.mark.parametrize("path", ["/responses", "/responses/compact"])
def test_what_a_form_can_send_is_refused(
    client: httpx.Client, upstream: Provider, path: str, type: str
) -> None:
    response = client.post(path, json=REQUEST, headers={"content-type": type})

    assert response.status_code == 415
    assert error(response) == f"The content-type must be application/json, not {type!r}."
    assert upstream.seen == []


# --- the token -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"x-proxy-token": TOKEN}, {"authorization": f"Bearer {TOKEN}"}]
)
def test_who_knows_the_token_is_answered(
    guarded: OwnProxy, upstream: Provider, headers: dict[str, str]
) -> None:
    upstream.answer = HELLO

    assert ask(guarded, headers=headers).status_code == 200
    assert TOKEN not in str(upstream.seen)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-proxy-token": ""},
        {"x-proxy-token": TOKEN[:-1]},
        {"x-proxy-token": TOKEN + "x"},
        {"x-proxy-token": "x", "authorization": f"Bearer {TOKEN}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
    ],
    ids=str,
)
def test_who_does_not_is_refused(
    guarded: OwnProxy, upstream: Provider, headers: dict[str, str]
) -> None:
    response = ask(guarded, headers=headers)

    assert response.status_code == 401
    assert error(response) == "This proxy wants its PROXY_TOKEN, in the header x-proxy-token."
    assert upstream.seen == []


def test_health_needs_no_token(guarded: OwnProxy) -> None:
    assert httpx.get(f"{guarded.url}/health", trust_env=False).status_code == 200


def test_the_token_of_the_pass_through_is_no_login_and_does_not_go_on(
    passing: tuple[Backend, OwnProxy],
) -> None:
    backend, proxy = passing
    backend.seen.clear()
    login = {"authorization": "Bearer of-the-client"}

    assert ask(proxy, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert ask(proxy, headers={**login, "x-proxy-token": TOKEN}).status_code == 200

    (seen,) = backend.seen
    assert seen.header(b"authorization") == [b"Bearer of-the-client"]
    assert TOKEN not in str(seen.headers)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - that is what is tested
def test_with_a_token_the_proxy_listens_for_others_by_any_name(
    provider_url: str, upstream: Provider, host: str
) -> None:
    upstream.answer = HELLO
    environment = {"PROXY_TOKEN": TOKEN, "PROXY_HOST": host}
    headers = {"x-proxy-token": TOKEN, "host": "build-box.example:10001"}

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        assert ask(proxy, headers=headers).status_code == 200
        assert ask(proxy, headers={"host": "build-box.example"}).status_code == 401
        assert ask(proxy, headers={**headers, "origin": "http://x"}).status_code == 403
        assert TOKEN not in proxy.said


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("127.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, known: bool) -> None:
    assert is_loopback(host) is known


# --- the key -------------------------------------------------------------------------------------

QUOTES = b'{"message":"Incorrect API key provided: %s.","code":"wrong_api_key"}' % KEY.encode()
HIDDEN = "The provider answered: Incorrect API key provided: [the key]."


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_that_quotes_the_key_is_told_without_it(
    client: httpx.Client, upstream: Provider, status: int, streams: bool
) -> None:
    upstream.answer = reply(status, QUOTES)

    response = client.post("/responses", json={**REQUEST, "stream": streams})

    assert HIDDEN in response.text
    assert KEY not in response.text


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    "piece",
    [b"data: %s\n\n" % QUOTES, b"data: no JSON, %s\n\n" % KEY.encode()],
    ids=["error", "no chunk"],
)
@pytest.mark.parametrize("ends", [True, False])
def test_a_stream_that_quotes_the_key_fails_without_it(
    client: httpx.Client, upstream: Provider, piece: bytes, streams: bool, ends: bool
) -> None:
    pieces = (says("Hi"), piece)
    upstream.answer = stream(*pieces) if ends else hold(threading.Event(), *pieces)

    response = client.post("/responses", json={**REQUEST, "stream": streams})

    assert "[the key]" in response.text
    assert KEY not in response.text
    if streams:
        assert final(read(response.content))["status"] == "failed"


def test_what_the_provider_redirects_to_is_not_asked(
    client: httpx.Client, upstream: Provider, provider_url: str
) -> None:
    upstream.answer = reply(307, location=f"{provider_url}/chat/completions")

    client.post("/responses", json=REQUEST)

    assert len(upstream.seen) == 1
