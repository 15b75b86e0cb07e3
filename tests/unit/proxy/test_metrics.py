"""Figures: what is counted, in whose format, and who may see them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.server import LoopbackServer
from harness.subject import OwnProxy
from proxy.metrics import Metrics
from proxy.record import Record
from tests.unit.proxy.backend import BASE, Backend, answers
from tests.unit.proxy.provider import (
    KEY,
    PATIENCE,
    Provider,
    in_turn,
    reply,
    stream,
    stream_until,
)
from tests.unit.proxy.serving import wait_for
from tests.unit.proxy.streams import Json, finishes, read, says, tokens

REQUEST: Json = {"model": "gpt-5-codex", "input": "Say hello.", "stream": True}


@pytest.fixture
def client(provider_url: str) -> Iterator[httpx.Client]:
    """A client of a proxy that has counted nothing yet."""
    with (
        OwnProxy(provider_url, api_key=KEY) as proxy,
        httpx.Client(base_url=proxy.url, timeout=PATIENCE, trust_env=False) as client,
    ):
        yield client


def figures(client: httpx.Client) -> dict[str, float]:
    """Return each figure by its name and labels, but for buckets and times of creation."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert KEY not in response.text
    return {
        "/".join([sample.name.removeprefix("codex_proxy_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_nothing_is_counted_before_there_is_a_request(client: httpx.Client) -> None:
    client.get("/health")

    assert {name: value for name, value in figures(client).items() if value} == {}


def test_requests_are_counted_by_how_they_ended(client: httpx.Client, upstream: Provider) -> None:
    upstream.answer = in_turn(
        stream(says("Hello."), finishes("stop", tokens(9, 1))),
        reply(503),
        stream(says("Hel")),
        reply(401),
    )

    events = [read(client.post("/responses", json=REQUEST).content) for _ in range(2)]
    client.post("/responses", json=REQUEST)
    client.post("/responses", json=REQUEST, headers={"origin": "null"})

    told = figures(client)
    assert told.pop("first_event_seconds_sum") <= told.pop("request_seconds_sum") < PATIENCE
    assert told == {
        "requests_total/completed/200": 1,
        "requests_total/failed/200": 1,
        "requests_total/failed/400": 1,
        "requests_total/refused/403": 1,
        "streams_open": 0,
        "events_total": sum(map(len, events)),
        "tokens_total/input": 9,
        "tokens_total/output": 1,
        "first_event_seconds_count": 4,
        "request_seconds_count": 4,
        "upstream_failures_total/http_503": 1,
        "upstream_failures_total/http_401": 1,
        "upstream_failures_total/stream": 1,
        "retries_total": 1,
    }


def test_a_stream_is_open_until_it_ends(client: httpx.Client, upstream: Provider) -> None:
    going_on = threading.Event()
    upstream.answer = stream_until(going_on, says("Hel"), says("lo") + finishes())

    with client.stream("POST", "/responses", json=REQUEST) as response:
        data = response.iter_raw()
        next(data)
        assert figures(client)["streams_open"] == 1
        going_on.set()
        list(data)

    # It is closed once the client has its answer, which is not made to wait for that.
    wait_for(lambda: figures(client)["streams_open"] == 0)


def test_the_pass_through_counts_too() -> None:
    backend = Backend()
    events = [b'data: {"sequence_number":%d}\n\n' % number for number in range(2)]
    backend.answer = in_turn(
        answers(200, [(b"content-type", b"text/event-stream")], *events), reply(429)
    )

    with (
        LoopbackServer(backend) as server,
        OwnProxy(server.url + BASE, backend="chatgpt") as proxy,
        httpx.Client(base_url=proxy.url, timeout=PATIENCE, trust_env=False) as client,
    ):
        client.post("/responses", json=REQUEST)
        client.post("/responses", json=REQUEST)
        # A request is counted once the client has its answer: it is not made to wait for that.
        wait_for(lambda: figures(client).get("upstream_failures_total/http_429") == 1)
        told = figures(client)

    assert told["events_total"] == 2
    assert told["requests_total/completed/200"] == 1
    assert told["upstream_failures_total/http_429"] == 1
    assert len(backend.seen) == 2


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("POST", {"content-type": "application/json"}, 405), ("GET", {"origin": "null"}, 403)],
)
def test_figures_are_not_for_everybody(
    client: httpx.Client, method: str, headers: dict[str, str], status: int
) -> None:
    assert client.request(method, "/metrics", headers=headers).status_code == status


def test_figures_need_the_token(provider_url: str) -> None:
    with OwnProxy(provider_url, environment={"PROXY_TOKEN": "the-token"}) as proxy:
        url = f"{proxy.url}/metrics"
        assert httpx.get(url, trust_env=False).status_code == 401
        knowing = httpx.get(url, trust_env=False, headers={"x-proxy-token": "the-token"})

    assert knowing.status_code == 200


def test_what_a_client_chooses_is_no_label() -> None:
    metrics = Metrics()
    metrics.begin()
    metrics.end(Record(method="POST", path="/its-own", asked="its-own", outcome="failed"))

    assert b"its-own" not in metrics.told()
