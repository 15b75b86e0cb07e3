"""One case: which cassettes can be one, and what is told of it.

What a gate must catch is in `tests/conformance/test_gate.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cassette import InvalidCassette
from harness.provider import Provider
from harness.replay import case_name, faults, replay
from tests.unit.harness.handmade import ASKED, Json, request, response, sse, write
from tests.unit.harness.upstreams import Upstream, saying


def client_request(body: object) -> Json:
    headers = {"content-type": "application/json"}
    path = "/v1/responses"
    return {"method": "POST", "path": path, "headers": headers, "body": json.dumps(body)}


def test_a_case_is_called_by_folder_and_stem() -> None:
    assert case_name(Path("/somewhere/cassettes/cerebras/hello.yaml")) == "cerebras/hello"


def test_a_cassette_without_a_client_request_is_no_case(tmp_path: Path, provider: Provider) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    with pytest.raises(InvalidCassette, match=r"c\.yaml: has no client_request to send"):
        replay(path, "http://127.0.0.1:1", provider)


def test_a_client_request_that_is_no_json_is_no_case(tmp_path: Path, provider: Provider) -> None:
    broken = {**client_request({}), "body": "{"}
    path = write(tmp_path / "c.yaml", (request(), response(b"x", client_request=broken)))

    with pytest.raises(InvalidCassette, match=r"c\.yaml: a client_request is no JSON"):
        replay(path, "http://127.0.0.1:1", provider)


def test_the_recorded_requests_are_sent_in_order_where_they_were_sent(
    tmp_path: Path, provider: Provider, upstream: Upstream
) -> None:
    upstream.does(saying(sse({"type": "response.created"})))
    first = response(b"x", client_request=client_request({"input": "one"}))
    second = response(b"x", client_request=client_request({"input": "two"}))
    path = write(tmp_path / "c.yaml", (request(), first), (request(), second))

    played = replay(path, upstream.url, provider)

    assert [json.loads(sent.body) for sent in upstream.requests] == [
        {"input": "one"},
        {"input": "two"},
    ]
    assert {sent.path for sent in upstream.requests} == {"/v1/responses"}
    name = str(path)
    assert [one.where for one in played.exchanges] == [f"{name}, turn 1", f"{name}, turn 2"]


def test_what_the_provider_had_said_stands_beside_what_the_client_got(
    tmp_path: Path, provider: Provider, upstream: Upstream
) -> None:
    upstream.does(saying(sse({"type": "response.created"})))
    stream = b'data: {"choices":[{"delta":{"content":"Hi"},"index":0}]}\n\n'
    answer = response(stream, client_request=client_request({}))
    path = write(tmp_path / "c.yaml", (request(), answer))

    (exchange,) = replay(path, upstream.url, provider).exchanges

    assert exchange.said.text == "Hi"
    assert [event.type for event in exchange.events] == ["response.created"]


def test_where_a_schema_was_broken_a_rule_is_asked_unless_it_stumbles(
    tmp_path: Path, provider: Provider, upstream: Upstream
) -> None:
    # Nothing can be said of the identity of an item that has none.
    item = {"type": "response.output_item.added", "output_index": 1, "item": {}}
    upstream.does(saying(sse(item, {**item, "type": "response.output_item.done"})))
    answer = response(b"x", client_request=client_request({}))
    path = write(tmp_path / "c.yaml", (request(ASKED), answer))

    found = {fault.rule for fault in faults(replay(path, upstream.url, provider))}

    assert {"edge/3", "schema", "lifecycle/1", "lifecycle/2", "items/4"} <= found
    assert "items/3" not in found
