"""OpenTelemetry: what a span tells of a request, and what it does not."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from harness.server import LoopbackServer, read_body
from harness.subject import OwnProxy
from proxy.app import create_app
from proxy.settings import Settings
from tests.unit.proxy.backend import BASE, Backend, answers
from tests.unit.proxy.provider import (
    KEY,
    PATIENCE,
    Message,
    Provider,
    Receive,
    Send,
    hold,
    in_turn,
    reply,
    stream,
)
from tests.unit.proxy.streams import Json, final, finishes, read, says, tokens

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}
HELLO = stream(says("Hello.") + finishes("stop", tokens(9, 1)))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector:
    """What spans are sent to, as OpenTelemetry's own collector takes them (OTLP over HTTP)."""

    def __init__(self, decode: Callable[[bytes], Any]) -> None:
        self._decode = decode
        self.received = b""
        self.spans: list[Any] = []
        self.services: set[str] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        assert scope["path"] == "/v1/traces"
        self.received += body
        for each in self._decode(body).resource_spans:
            self.services.add(known(each.resource.attributes)["service.name"])
            self.spans += [span for scope in each.scope_spans for span in scope.spans]
        await reply(200)(receive, send)


def known(attributes: Any) -> dict[str, Any]:
    """Return attributes by their names."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def collector() -> Iterator[tuple[Collector, dict[str, str]]]:
    """A collector, and the environment of a proxy that sends it spans."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    collector = Collector(service.ExportTraceServiceRequest.FromString)
    with LoopbackServer(collector) as server:
        yield collector, {ENDPOINT: server.url}


def ask(proxy: OwnProxy, path: str = "/v1/responses", **options: Any) -> httpx.Response:
    options = {"json": REQUEST, **options}
    return httpx.post(proxy.url + path, timeout=PATIENCE, trust_env=False, **options)


def test_a_request_is_one_span(
    collector: tuple[Collector, dict[str, str]], upstream: Provider, provider_url: str
) -> None:
    told, environment = collector
    upstream.answer = in_turn(reply(503), HELLO)

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        response = ask(proxy, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        httpx.get(f"{proxy.url}/v1/models", trust_env=False)
        httpx.get(f"{proxy.url}/health", trust_env=False)

    (span,) = told.spans
    assert (span.name, span.kind) == ("chat gpt-5-codex", span.SPAN_KIND_CLIENT)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.status.code == span.status.STATUS_CODE_UNSET
    attributes = known(span.attributes)
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    assert 0 < attributes.pop("gen_ai.response.time_to_first_chunk") <= seconds < PATIENCE
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "cerebras",
        "gen_ai.request.model": "gpt-5-codex",
        "gen_ai.response.id": final(read(response.content))["id"],
        "gen_ai.response.model": "gpt-oss-120b",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 1,
        "http.request.resend_count": 1,
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": httpx.URL(provider_url).port,
    }
    assert told.services == {"codex-proxy"}


def test_what_goes_wrong_is_an_error_of_its_kind(
    collector: tuple[Collector, dict[str, str]], upstream: Provider, provider_url: str
) -> None:
    told, environment = collector
    left = threading.Event()
    upstream.answer = in_turn(
        reply(429, b"{}"), stream(says("Hel")), hold(left, says("Hel")), hold(threading.Event())
    )
    environment["PROXY_GRACE"] = "0.1"

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        ask(proxy)
        ask(proxy)
        with httpx.stream("POST", f"{proxy.url}/responses", json=REQUEST, trust_env=False):
            pass
        assert left.wait(PATIENCE)
        ask(proxy, headers={"origin": "null"})
        ask(proxy, content=b"{", headers={"content-type": "application/json"})

    errors = [known(span.attributes)["error.type"] for span in told.spans]
    assert sorted(errors) == ["400", "403", "left", "rate_limit_exceeded", "server_error"]
    assert {span.status.code for span in told.spans} == {2}


def test_nothing_that_was_said_is_in_a_span(
    collector: tuple[Collector, dict[str, str]], upstream: Provider, provider_url: str
) -> None:
    told, environment = collector
    quotes = b'{"message":"Wrong key %s in an unspeakable error."}' % KEY.encode()
    upstream.answer = in_turn(stream(says("unspeakable") + finishes()), reply(401, quotes))
    request = {**REQUEST, "input": "unspeakable", "instructions": "unspeakable"}

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        ask(proxy, "/v1/responses?unspeakable=1", json=request, headers={"cookie": "unspeakable"})
        ask(proxy, json={**request, "model": "x" * 190 + KEY})

    assert len(told.spans) == 2
    assert b"gpt-5-codex" in told.received
    assert b"unspeakable" not in told.received
    assert KEY[:8].encode() not in told.received


def test_the_pass_through_makes_them_too(collector: tuple[Collector, dict[str, str]]) -> None:
    told, environment = collector
    backend = Backend()
    backend.answer = in_turn(answers(200, [], b"event: x\n\n"), reply(429))

    with (
        LoopbackServer(backend) as server,
        OwnProxy(server.url + BASE, backend="chatgpt", environment=environment) as proxy,
    ):
        ask(proxy)
        ask(proxy, "/responses/compact")
        ask(proxy, "/v1/images/generations")

    first, second = (known(span.attributes) for span in told.spans)
    assert (first["gen_ai.provider.name"], first["http.response.status_code"]) == ("openai", 200)
    assert second["error.type"] == "429"


def test_with_workers_each_tells_of_its_own(
    collector: tuple[Collector, dict[str, str]], upstream: Provider, provider_url: str
) -> None:
    told, environment = collector
    upstream.answer = HELLO

    with OwnProxy(
        provider_url, api_key=KEY, environment={**environment, "PROXY_WORKERS": "2"}
    ) as proxy:
        for _ in range(4):
            assert ask(proxy).status_code == 200

    assert len(told.spans) == 4


def test_a_collector_that_is_gone_costs_spans_and_no_stream(
    collector: tuple[Collector, dict[str, str]], upstream: Provider, provider_url: str
) -> None:
    environment = {**collector[1], ENDPOINT: "http://127.0.0.1:1"}
    upstream.answer = HELLO

    with OwnProxy(provider_url, api_key=KEY, environment=environment) as proxy:
        response = ask(proxy)
        time.sleep(2)  # it is tried again meanwhile

    assert final(read(response.content))["status"] == "completed"
    assert KEY not in proxy.said
    _, said = proxy.said.splitlines()
    assert "encountered while exporting" in said


def test_without_an_endpoint_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys; from proxy.app import create_app; from proxy.settings import Settings;"
        "create_app(Settings()); print([name for name in sys.modules if 'telemetry' in name])"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"


def test_where_the_package_is_missing_it_is_said_and_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "proxy.telemetry", raising=False)

    create_app(Settings())

    assert capsys.readouterr().err == (
        "codex-proxy: OTEL_EXPORTER_OTLP_ENDPOINT is set, but there is no opentelemetry, so no "
        "spans; pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http\n"
    )
