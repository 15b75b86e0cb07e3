"""The proxy under test: started, reached by URL alone, stopped."""

from __future__ import annotations

import httpx
import pytest

from harness.client import send
from harness.provider import Provider
from harness.subject import OwnProxy, SubjectFailed
from tests.unit.harness.upstreams import Upstream, saying

BODY = {"model": "gpt-oss-120b", "input": "hi", "stream": True}


def test_a_proxy_that_runs_is_healthy(proxy: OwnProxy) -> None:
    assert httpx.get(f"{proxy.url}/health", trust_env=False).status_code == 200


def test_what_the_proxy_said_can_be_read(proxy: OwnProxy) -> None:
    assert proxy.said.startswith(f"codex-proxy: cerebras (gpt-oss-120b) on {proxy.url}\n")


def test_a_proxy_that_cannot_start_is_told_with_what_it_said() -> None:
    with pytest.raises(SubjectFailed) as raised, OwnProxy("no URL at all"):
        pass

    assert str(raised.value).startswith("the proxy did not start: ")
    assert "codex-proxy: error: CEREBRAS_BASE_URL is no http(s) URL; " in str(raised.value)


def test_only_the_harness_key_reaches_the_provider(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CEREBRAS_API_KEY", "csk-mine")
    monkeypatch.setenv("CEREBRAS_MODEL", "a-model-of-mine")
    upstream.does(saying())

    with OwnProxy(f"{upstream.url}/v1") as proxy:
        send(proxy.url, {**BODY, "model": "gpt-5"})
        url = proxy.url

    (request,) = upstream.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer conformance"
    assert b'"model":"gpt-oss-120b"' in request.body
    # It was stopped on the way out.
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health", trust_env=False)


def test_the_provider_is_where_it_was_said_to_be(provider: Provider, proxy: OwnProxy) -> None:
    provider.play(httpx.MockTransport(lambda request: httpx.Response(404)))

    send(proxy.url, BODY)

    assert [asked["messages"] for asked in provider.requests] == [
        [{"role": "user", "content": "hi"}]
    ]
