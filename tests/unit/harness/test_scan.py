"""Wherever a secret is planted in a recording, it is found, and the place is named."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import compress

import pytest
from vcr.request import Request

from harness.cassette import open_cassette
from harness.data import cassettes_folder
from harness.scan import Secret, scan, scan_text
from tests.unit.harness.handmade import URL, Json, response, sse
from tests.unit.harness.made_up import CODE, JWT, MIXED

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus"
RECORDED = sorted([*CORPUS.rglob("*.sse"), *CORPUS.glob("*/*.json*")])

KEY = f"csk-{MIXED}"
COOKIE = f"__cf_bm={MIXED}"

PLANTED = pytest.mark.parametrize(
    ("kind", "secret", "shown"),
    [
        ("Cerebras key", KEY, "csk-a1..."),
        ("cookie", COOKIE, "__cf_b..."),
        ("JWT", JWT, "eyJhbG..."),
    ],
    ids=["key", "cookie", "JWT"],
)


def interaction(
    *,
    client: Json | None = None,
    asked: Json | None = None,
    headers: Json | None = None,
    answer_headers: Json | None = None,
    answer: bytes = b"data: {}\n\n",
) -> tuple[Request, Json]:
    """Return an interaction as the recorder has it, with this in it."""
    kept = {"content-type": "application/json"}
    client_request = {
        "method": "POST",
        "path": "/v1/responses",
        "headers": {**kept, **(headers or {})},
        "body": json.dumps(client or {}),
    }
    answered = response(answer, client_request=client_request)
    answered["headers"] |= answer_headers or {}
    return Request("POST", URL, json.dumps(asked or {}).encode(), kept), answered


CLEAN = interaction()


def found(*interactions: tuple[Request, Json], **more: Any) -> list[Secret]:
    return scan(interactions, environ={}, **more)


def test_where_nothing_is_nothing_is_found() -> None:
    assert found(CLEAN, CLEAN) == []


# --- planted -------------------------------------------------------------------------------------


@PLANTED
def test_planted_in_a_header_of_the_client(kind: str, secret: str, shown: str) -> None:
    dirty = interaction(headers={"User-Agent": f"codex {secret}"})

    assert found(CLEAN, dirty) == [
        Secret(kind, "interaction 2, client request, header user-agent", shown)
    ]


@PLANTED
def test_planted_in_a_header_of_the_request(kind: str, secret: str, shown: str) -> None:
    request, answer = CLEAN
    dirty = Request("POST", URL, request.body, {"accept": f"text/{secret}"})

    assert found((dirty, answer)) == [Secret(kind, "interaction 1, request, header accept", shown)]


@PLANTED
def test_planted_in_a_header_of_the_answer(kind: str, secret: str, shown: str) -> None:
    dirty = interaction(answer_headers={"x-codex-promo-message": ["a", secret]})

    assert found(dirty) == [
        Secret(kind, "interaction 1, response, header x-codex-promo-message", shown)
    ]


@PLANTED
def test_planted_in_the_body_of_the_client(kind: str, secret: str, shown: str) -> None:
    part = {"type": "input_text", "text": f"echo '{secret}'\n"}
    items = [{}, {}, {"role": "user", "content": [part]}]
    dirty = interaction(client={"input": items})

    assert found(CLEAN, CLEAN, dirty) == [
        Secret(kind, "interaction 3, client request, $.input[2].content[0].text", shown)
    ]


@PLANTED
def test_planted_in_the_body_of_the_request(kind: str, secret: str, shown: str) -> None:
    call = {"function": {"arguments": json.dumps({"cmd": f"curl -b\n{secret}"})}}
    dirty = interaction(asked={"messages": [{"tool_calls": [call]}]})
    place = "interaction 1, request, $.messages[0].tool_calls[0].function.arguments"

    assert found(dirty) == [Secret(kind, place, shown)]


@PLANTED
def test_planted_in_the_stream(kind: str, secret: str, shown: str) -> None:
    before = "data: é\n\ndata: ".encode()
    event = json.dumps({"delta": {"content": f"It is\n{secret}"}}).encode()
    dirty = interaction(answer=before + event + b"\n\n")
    at = (before + event).index(secret.encode())

    assert found(dirty) == [Secret(kind, f"interaction 1, response body, byte {at}", shown)]


def pieces(text: str) -> list[str]:
    return [text[at : at + 3] for at in range(0, len(text), 3)]


@PLANTED
@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_spelled_by_a_chat_stream(field: str, kind: str, secret: str, shown: str) -> None:
    deltas = [{"choices": [{"delta": {field: piece}}]} for piece in pieces(f"It is {secret}.")]
    dirty = interaction(answer=b"".join(b"data: %b\n\n" % json.dumps(d).encode() for d in deltas))
    name = {"content": "the text", "reasoning": "the reasoning"}[field]

    assert found(dirty) == [
        Secret(kind, f"interaction 1, response body, the deltas of {name}", shown)
    ]


@PLANTED
def test_spelled_by_the_calls_of_a_chat_stream(kind: str, secret: str, shown: str) -> None:
    arguments = json.dumps({"cmd": f"echo\n{secret}"})
    fragments = [{"index": 1, "function": {"arguments": piece}} for piece in pieces(arguments)]
    fragments[1:1] = [{"index": 0, "function": {"arguments": "{}"}}]
    stream = b"".join(
        b"data: %b\r\n\r\n" % json.dumps({"choices": [{"delta": {"tool_calls": [f]}}]}).encode()
        for f in fragments
    )

    assert found(interaction(answer=stream)) == [
        Secret(kind, "interaction 1, response body, the deltas of call 1", shown)
    ]


@PLANTED
@pytest.mark.parametrize(
    "kind_of_event",
    ["output_text", "function_call_arguments", "custom_tool_call_input", "reasoning_summary_text"],
)
def test_spelled_by_a_responses_stream(
    kind_of_event: str, kind: str, secret: str, shown: str
) -> None:
    type = f"response.{kind_of_event}.delta"
    events: list[Json] = [
        {"type": type, "item_id": "it_1", "delta": piece} for piece in pieces(f"It is {secret}")
    ]
    # Of another item, between them.
    events[2:2] = [{"type": type, "item_id": "it_2", "delta": "csk-"}]
    place = f"interaction 1, response body, the deltas of {type} of item it_1, part 0"

    assert found(interaction(answer=sse(*events))) == [Secret(kind, place, shown)]


def test_planted_in_what_no_json_is() -> None:
    request, answer = copy.deepcopy(CLEAN)
    request.body = b"key=" + KEY.encode()
    answer["client_request"]["body"] = f"[[[ {KEY}"
    answer["client_request"]["path"] = f"/v1/responses?key={KEY}"
    request.uri = f"http://{KEY}@provider/v1"

    assert [secret.place for secret in found((request, answer))] == [
        "interaction 1, client request, path",
        "interaction 1, request, URL",
    ]
    answer["client_request"]["path"] = request.uri = "/"
    assert [secret.place for secret in found((request, answer))] == [
        "interaction 1, client request, byte 4",
        "interaction 1, request, byte 4",
    ]


def test_planted_where_json_has_a_name_twice() -> None:
    request, answer = copy.deepcopy(CLEAN)
    request.body = b'{"a": {"b": "%b"}, "a": {"b": "harmless"}}' % KEY.encode()

    assert [secret.place for secret in found((request, answer))] == [
        "interaction 1, request, $.a.b"
    ]


def test_planted_over_a_name_and_what_it_holds() -> None:
    dirty = interaction(client={"a": KEY, "headers": {"cookie": f"id={MIXED}"}})
    body = json.dumps({"a": KEY, "headers": {"cookie": f"id={MIXED}"}})

    assert [secret.place for secret in found(dirty)] == [
        "interaction 1, client request, $.a",
        f"interaction 1, client request, byte {body.index('cookie')}",
    ]


def test_planted_in_the_name_of_a_field() -> None:
    dirty = interaction(client={"metadata": {KEY: {"owner": "jane@acme.com"}}})

    key, owner = found(dirty)

    assert key == Secret(
        "Cerebras key", "interaction 1, client request, a name in $.metadata", "csk-a1..."
    )
    assert owner.place == "interaction 1, client request, $.metadata.csk-a1....owner"


@pytest.mark.parametrize("name", ["authorization", "Cookie", "x-api-key", "chatgpt-account-id"])
def test_a_header_that_is_never_kept_is_one_whatever_it_says(name: str) -> None:
    dirty = interaction(headers={name: "opaque"}, answer_headers={"Set-Cookie": ["a=b"]})

    assert found(dirty) == [
        Secret(
            "header that is not to be kept",
            f"interaction 1, client request, header {name.lower()}",
            "op...",
        ),
        Secret(
            "header that is not to be kept", "interaction 1, response, header set-cookie", "a..."
        ),
    ]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", compress)])
def test_planted_in_what_is_compressed(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    data = compress(json.dumps({"a": KEY}).encode())
    _, answer = interaction(answer=data, answer_headers={"Content-Encoding": [encoding]})
    request = Request("POST", URL, data, {"content-encoding": encoding})

    places = [secret.place for secret in found((request, answer))]

    assert places == ["interaction 1, request, $.a", "interaction 1, response body, byte 7"]


@pytest.mark.parametrize("encoding", ["br", "gzip", "zstd", "x-secret"])
def test_what_cannot_be_looked_into_is_refused(encoding: str) -> None:
    dirty = interaction(answer=b"not compressed", answer_headers={"content-encoding": [encoding]})

    assert [(secret.kind, secret.place) for secret in found(dirty)] == [
        ("body in an encoding that cannot be looked into", "interaction 1, response body")
    ]


# --- told ----------------------------------------------------------------------------------------


def test_a_secret_is_told_once_for_each_body_and_header() -> None:
    dirty = interaction(
        client={"a": KEY, "b": f"{KEY} {KEY}", "c": [KEY]},
        headers={"version": KEY},
        answer=f"{KEY} {KEY}".encode(),
    )

    assert [secret.place for secret in found(dirty, dirty)] == [
        f"interaction {number}, {place}"
        for number in (1, 2)
        for place in (
            "client request, header version",
            "client request, $.a",
            "response body, byte 0",
        )
    ]


def test_a_secret_is_never_shown_whole() -> None:
    secrets = [KEY, COOKIE, JWT, "jane@acme.com", "/home/jane", "thé välue"]
    dirty = interaction(client=dict.fromkeys(secrets, secrets), answer=" ".join(secrets).encode())

    told = "\n".join(str(secret) for secret in found(dirty, extra=["thé välue"]))

    assert len(told.splitlines()) == 2 * len(secrets)
    assert not [secret for secret in secrets if secret in told]


def test_how_a_secret_is_told() -> None:
    told = str(Secret("Cerebras key", "interaction 2, response body, byte 1234", "csk-ab..."))

    assert told == "interaction 2, response body, byte 1234: Cerebras key (csk-ab...)"


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct horse")
    monkeypatch.setenv("HOME", "/srv/people/jane")
    dirty = interaction(client={"a": "correct horse", "b": "/srv/people/jane/x"})

    assert [secret.kind for secret in scan([dirty])] == ["value of SOME_API_KEY", "home directory"]
    assert [secret.kind for secret in scan_text("correct horse")] == ["value of SOME_API_KEY"]


def test_of_a_text_the_lines_are_told() -> None:
    assert scan_text(f"one\ntwo {KEY}\n# jane@acme.com", environ={}) == [
        Secret("Cerebras key", "line 2", "csk-a1..."),
        Secret("e-mail address", "line 3", "jane..."),
    ]


# --- none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(cassettes_folder().glob("*/*.yaml")), ids=lambda p: p.stem)
def test_there_is_no_secret_in_a_cassette_that_is_published(path: Path) -> None:
    with open_cassette(path) as cassette:
        assert scan(cassette.data, environ={}) == []
    assert scan_text(path.read_text(encoding="utf-8"), environ={}) == []


@pytest.mark.skipif(not RECORDED, reason=f"there are no recordings at {CORPUS}")
def test_there_is_no_secret_in_what_others_published() -> None:
    answers = [interaction(answer=file.read_bytes()) for file in RECORDED]

    assert found(*answers) == []


def test_there_is_no_secret_in_ordinary_code() -> None:
    chunk = {"choices": [{"delta": {"content": CODE}}]}
    answer = b"data: %b\n\n" % json.dumps(chunk, ensure_ascii=False).encode()

    assert found(interaction(client={"a": CODE}, asked={"a": [CODE]}, answer=answer)) == []
