"""A recording that holds a secret is refused, with the place; what is nobody's business is not
kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest

from harness.cassette import load
from harness.codex_cli import Codex
from harness.record import Live, RecordingFailed, record
from harness.scenarios import Scenario
from tests.unit.harness.handmade import scenario, turn
from tests.unit.harness.upstreams import Upstream, saying

KEY = "csk-0f9e8d7c6b5a49382716059483726150"

#: Made up, in the shape of the real ones.
PLANTED = {
    "key": "csk-ab12cd34ef56ab12cd34ef56ab12cd34ef56ab12cd34ef56",
    "cookie": "__cf_bm=3q2Kx9.ZtYb1nA7mP5rWc8dLf0hJgV6e-1763836800-1.0.1.1-AbCdEf",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "own": KEY,
}

Where = Literal["request body", "stream", "response header"]
PLACES: dict[Where, str] = {
    "request body": "interaction 1, client request, $.input[1].content[0].text",
    "stream": "interaction 1, response body",
    "response header": "interaction 1, response, header x-ratelimit-limit-requests-day",
}


def stream(text: str) -> bytes:
    chunks = [{"delta": {"content": text}, "index": 0}]
    chunks.append({"delta": {}, "finish_reason": "stop", "index": 0})
    return b"".join(b"data: %b\n\n" % json.dumps({"choices": [one]}).encode() for one in chunks)


def attempt(secret: str, where: Where, path: Path) -> str:
    """Return what the recorder says of a live recording in which a secret is planted."""
    prompt = f"use {secret}" if where == "request body" else "say hello"
    text = f"it is {secret}" if where == "stream" else "hello"
    headers = {"content-type": "text/event-stream"}
    if where == "response header":
        headers["x-ratelimit-limit-requests-day"] = secret
    played = scenario(turn("hello"), prompt=prompt)
    with Upstream() as provider:
        provider.does(saying(stream(text)), headers=headers)
        with pytest.raises(RecordingFailed) as raised:
            record(played, path, live=Live(f"{provider.url}/v1", KEY))
    return str(raised.value)


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Where], str]:
    folder = tmp_path_factory.mktemp("cassettes")
    cases = [(kind, where) for kind in PLANTED for where in PLACES]
    with ThreadPoolExecutor(4) as pool:
        said = pool.map(lambda case: attempt(PLANTED[case[0]], case[1], folder / "c.yaml"), cases)
        found = dict(zip(cases, said, strict=True))
    assert list(folder.iterdir()) == []
    return found


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_refused(
    kind: str, where: Where, attempts: dict[tuple[str, Where], str]
) -> None:
    said = attempts[kind, where]

    assert said.startswith("it holds what must not be in a file:\n  interaction 1, ")
    assert PLACES[where] in said
    assert PLANTED[kind] not in said


def test_what_the_client_shows_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with Upstream() as provider:
        secret = {"set-cookie": "session=abc123", "x-organization": "org-AbCdEf0123456789"}
        headers = {"content-type": "text/event-stream", "retry-after": "1", **secret}
        provider.does(saying(stream("of org-AbCdEf0123456789AbCd")), headers=headers)
        record(scenario(turn("hello")), path, live=Live(f"{provider.url}/v1", KEY))

    (answer,) = load(path).responses
    assert set(answer["headers"]) == {"content-type", "retry-after"}
    assert b"of org-xxxxxxxxxxxxxxxxxxxx" in answer["body"]["string"]
    text = path.read_text()
    assert "authorization" not in text.lower()
    assert KEY not in text


@pytest.mark.parametrize("backend", ["cerebras", "chatgpt"])
def test_codexs_own_words_are_not_kept(backend: str, tmp_path: Path) -> None:
    """The real CLI is no need here: whatever runs in its place asks in long words."""
    prose = "You are an agent. " * 400
    script = tmp_path / "codex"
    script.write_text(f"""#!/usr/bin/env python3
import json, os, re, sys, urllib.request
url = re.search(r'base_url="([^"]+)"', " ".join(sys.argv))[1]
body = {{"model": "gpt-oss-120b" if {backend == "cerebras"} else "gpt-5.5", "stream": True,
        "store": False, "instructions": {prose!r}, "client_metadata": {{"id": "mine"}},
        "input": [{{"type": "message", "role": "user",
                   "content": [{{"type": "input_text", "text": "say hello"}}]}}]}}
headers = {{"content-type": "application/json",
           "authorization": "Bearer " + os.environ.get("PROXY_KEY", "none")}}
request = urllib.request.Request(url + "/responses", json.dumps(body).encode(), headers)
urllib.request.urlopen(request).read()
""")
    script.chmod(0o755)
    played: Scenario = scenario(turn("hello"), backends=(backend,))
    path = tmp_path / "c.yaml"

    record(played, path, backend=backend, codex=Codex("0.163.0", script))  # type: ignore[arg-type]

    (answer,) = load(path).responses
    text = path.read_text()
    assert "You are an agent." not in text
    assert "mine" not in answer["client_request"]["body"]
    assert f", {len(prose)} characters]" in answer["client_request"]["body"]
    if backend == "chatgpt":  # it echoes them: there stands as much as there stood
        body: bytes = answer["body"]["string"]
        assert sum(size for _, size in answer["stream"]["chunks"]) == len(body)
        assert len(body) > 3 * len(prose)
