"""Codex with a ChatGPT login: the pass-through hands it on, the Cerebras backend lets none out."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import scenarios
from harness.codex_cli import Codex, Run
from harness.edge import Asked, ClientEdge
from harness.emulator import Emulator
from harness.scenarios import Backend
from harness.subject import OwnProxy

ACCOUNT = "00000000-aaaa-4bbb-8ccc-00000000acc0"
KEY = "csk-the-configured-key"

#: What must reach the ChatGPT backend, and nobody else.
REFRESH = "rt-made-up-for-this-test"


def _token(**claims: Any) -> str:
    """Return a JWT that nobody signed, of an account that nobody has."""
    account = {"chatgpt_plan_type": "plus", "chatgpt_account_id": ACCOUNT}
    now = int(time.time())
    payload = {"iat": now, "exp": now + 864_000, "https://api.openai.com/auth": account, **claims}
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, payload))
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "bm90LXNpZ25lZA"])


ID_TOKEN = _token(email="nobody@invalid")
ACCESS_TOKEN = _token()


def _login() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": ID_TOKEN,
            "access_token": ACCESS_TOKEN,
            "refresh_token": REFRESH,
            "account_id": ACCOUNT,
        },
        "last_refresh": now.isoformat().replace("+00:00", "Z"),
    }


Play = Callable[[Backend, str], tuple[Run, list[Asked]]]


@pytest.fixture
def play(codex: Codex, tmp_path: Path) -> Play:
    """Let Codex, logged in, say hello; return what became of it, and what the backend was asked."""

    def play(backend: Backend, model: str) -> tuple[Run, list[Asked]]:
        scenario, seen = scenarios.load("hello"), list[Asked]()
        key = KEY if backend == "cerebras" else ACCESS_TOKEN
        with (
            Emulator(scenario, backend=backend, api_key=key) as emulator,
            ClientEdge(emulator.url, on_request=seen.append) as edge,
            OwnProxy(
                emulator.base_url.replace(emulator.url, edge.url), backend=backend, api_key=KEY
            ) as proxy,
        ):
            run = codex.run(
                scenario.prompt,
                proxy_url=proxy.url,
                folder=tmp_path,
                model=model,
                login=_login(),
                # It would wait for chatgpt.com itself.
                config={"features.apps": False} if codex.version != "0.45.0" else {},
            )
            assert ACCESS_TOKEN not in proxy.said
        return run, [asked for asked in seen if asked.method == "POST"]

    return play


def test_the_pass_through_hands_the_login_on(play: Play) -> None:
    run, (asked,) = play("chatgpt", "gpt-5.5")

    assert run.last_message == "Hello, world!", run.stderr
    assert asked.headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert asked.headers["chatgpt-account-id"] == ACCOUNT


def test_cerebras_gets_nothing_of_the_login(play: Play) -> None:
    run, (asked,) = play("cerebras", "gpt-oss-120b")

    assert run.last_message == "Hello, world!", run.stderr
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    sent = f"{asked.path}\n{asked.headers.raw!r}\n{asked.body!r}"
    for secret in (ACCESS_TOKEN, ID_TOKEN, REFRESH, ACCOUNT):
        assert secret not in sent
        assert secret.split(".")[-2 if "." in secret else 0] not in sent
