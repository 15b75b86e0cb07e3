"""Looks for what keeps Codex, the proxy and the provider from working together on this machine."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from harness import scenarios
from harness.client import send
from harness.codex_cli import Codex, CodexUnavailable, find
from harness.codex_requests import begin
from harness.emulator import Emulator
from harness.errors import HarnessError
from harness.record import MODELS
from harness.scenarios import Backend
from harness.subject import OwnProxy

__all__ = ["Check", "checks"]

#: Seconds that the proxy, and the provider, have to answer.
_NEAR: Final = 5.0
_FAR: Final = 15.0

_PORTS: Final[Mapping[Backend, int]] = {"cerebras": 10001, "chatgpt": 10000}
_BASE_URLS: Final[Mapping[Backend, str]] = {
    "cerebras": "https://api.cerebras.ai/v1",
    "chatgpt": "https://chatgpt.com/backend-api/codex",
}

#: Where a key may go without encryption.
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

#: Played by a script: nothing of it is executed here.
_SCENARIO: Final = "create-file-exec"
_KEY: Final = "csk-emulator"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    #: What was found.
    said: str
    #: What to do about it; empty where all is well.
    mend: str = ""
    #: Whether it works all the same.
    harmless: bool = False


class _Wrong(HarnessError):
    """What was found, and its mend."""

    def __init__(self, said: str, mend: str, *, harmless: bool = False) -> None:
        super().__init__(said)
        self.mend = mend
        self.harmless = harmless


def checks(
    backend: Backend = "cerebras",
    *,
    url: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Check]:
    """Yield what was looked at, each as soon as it is known.

    `url` is the proxy's root; by default what Codex is configured with, or the backend's own port.
    """
    patient = _Patient(backend, url, environment)
    looks: list[tuple[str, Callable[[], str]]] = [
        ("Codex", patient.codex),
        ("Configuration", patient.configuration),
        ("Key" if backend == "cerebras" else "Login", patient.credential),
        ("Proxy", patient.proxy),
        ("Provider", patient.provider),
        ("Tool call", patient.tool_call),
    ]
    for name, look in looks:
        try:
            yield Check(name, look())
        except _Wrong as wrong:
            yield Check(name, str(wrong), wrong.mend, wrong.harmless)


class _Patient:
    """This machine, as one person's environment shows it."""

    def __init__(self, backend: Backend, url: str | None, environment: Mapping[str, str]) -> None:
        self._backend = backend
        self._environment = environment
        self._setup = "codex-proxy setup --write"
        if backend == "chatgpt":
            self._setup += " --backend chatgpt"
        self._codex: Codex | None = None
        home = environment.get("CODEX_HOME")
        self._home = Path(home) if home else Path.home() / ".codex"
        self._asked_url = url.rstrip("/").removesuffix("/v1") if url else None
        port = environment.get("PROXY_PORT") or str(_PORTS[backend])
        self._url = self._asked_url or f"http://127.0.0.1:{port}"

    def codex(self) -> str:
        try:
            self._codex = find(None, self._home)
        except CodexUnavailable as error:
            raise _Wrong(str(error), "npm install -g @openai/codex") from None
        return f"{self._codex.version}, {self._codex.binary}"

    # --- configuration ---------------------------------------------------------------------------

    def configuration(self) -> str:
        address = self._environment.get("OPENAI_BASE_URL")
        if address and _is_older(self._codex, 99):  # reads its base URL from the environment
            self._found(address)
            return f"OPENAI_BASE_URL is {address}"
        path = self._home / "config.toml"
        settings = _read_toml(path, self._setup)
        name = settings.get("model_provider")
        provider = _table(settings.get("model_providers")).get(name) if name else None
        if not isinstance(provider, dict) or not isinstance(provider.get("base_url"), str):
            raise _Wrong(f"{path} does not say where the proxy is", self._setup)
        if provider.get("wire_api") != "responses":
            raise _Wrong(f'{path}: {name} lacks wire_api = "responses"', self._setup)
        self._found(provider["base_url"])
        if self._backend == "cerebras" and not _is_older(self._codex, 105):  # reads no catalog
            self._check_catalog(settings)
        return f"{name} at {provider['base_url']} ({path})"

    def _found(self, address: str) -> None:
        url = address.rstrip("/").removesuffix("/v1")
        if self._asked_url not in (None, url):
            raise _Wrong(
                f"Codex asks {url}, not {self._asked_url}", f"{self._setup} --url {self._asked_url}"
            )
        self._url = url

    def _check_catalog(self, settings: Mapping[str, Any]) -> None:
        model, path = settings.get("model"), settings.get("model_catalog_json")
        if not model:
            raise _Wrong("config.toml names no model", self._setup)
        try:
            models = json.loads(Path(path).read_text(encoding="utf-8"))["models"] if path else []
            known = {each["slug"] for each in models}
        except (OSError, ValueError, KeyError, TypeError):
            raise _Wrong(f"the model catalog {path} cannot be read", self._setup) from None
        if model not in known:
            raise _Wrong(
                f"no catalog describes {model}: Codex warns, and offers no apply_patch",
                self._setup,
                harmless=True,
            )

    # --- credentials -----------------------------------------------------------------------------

    def credential(self) -> str:
        if self._backend == "chatgpt":
            if not (self._home / "auth.json").is_file():
                raise _Wrong("Codex is not logged in", "codex login")
            return f"{self._home / 'auth.json'}"
        if not (key := self._key):
            raise _Wrong(
                "CEREBRAS_API_KEY is not set here; the proxy needs it where it is started",
                "export CEREBRAS_API_KEY=csk-..., from https://cloud.cerebras.ai",
            )
        if not self._sends_key:
            raise _Wrong("CEREBRAS_API_KEY has characters that no key has", "copy it whole")
        return f"CEREBRAS_API_KEY is set ({len(key)} characters)"

    @property
    def _key(self) -> str:
        return self._environment.get("CEREBRAS_API_KEY", "").strip()

    @property
    def _sends_key(self) -> bool:
        """Whether there is a key that can stand in a header."""
        key = self._key if self._backend == "cerebras" else ""
        # As the proxy takes it.
        return bool(key) and key.isascii() and key.isprintable() and not set(key) & set(' "\\')

    # --- what must answer ------------------------------------------------------------------------

    def proxy(self) -> str:
        mend = f"./proxy.sh enable --backend {self._backend}, or 'codex-proxy' in a terminal"
        try:
            health = httpx.get(f"{self._url}/health", timeout=_NEAR, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Wrong(f"{self._url} does not answer: {error}", mend) from None
        if health.status_code != 200 or b"healthy" not in health.content:
            raise _Wrong(
                f"{self._url}/health answers HTTP {health.status_code}: another program is there",
                f"another port, such as PROXY_PORT=10002; then {self._setup}",
            )
        return f"{self._url} is healthy"

    def provider(self) -> str:
        variable = f"{self._backend.upper()}_BASE_URL"
        base_url = (self._environment.get(variable) or _BASE_URLS[self._backend]).rstrip("/")
        network = f"look at the network, and at {variable}"
        # What is wrong with it is not quoted: there may be a login or a key in it.
        if not base_url.startswith(("http://", "https://")) or set(base_url) & set("@?# "):
            raise _Wrong(
                f"{variable} is no http(s) URL of host and path alone",
                f"unset {variable}, or put {_BASE_URLS[self._backend]} into it",
            )
        headers = {"authorization": f"Bearer {self._key}"} if self._sends_key else {}
        try:
            host = httpx.URL(base_url).host
            if headers and not base_url.startswith("https://") and host not in _LOOPBACK:
                raise _Wrong(f"{base_url} would get the key unencrypted", f"https in {variable}")
            answer = httpx.get(f"{base_url}/models", headers=headers, timeout=_FAR, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Wrong(f"{base_url} cannot be reached: {error}", network) from None
        if self._backend == "chatgpt":
            return f"{base_url} answers (with HTTP {answer.status_code}: no login was shown)"
        if answer.status_code in (401, 403):
            if not headers:
                return f"{base_url} answers (no key was shown)"
            raise _Wrong(
                f"{base_url} refuses the key with HTTP {answer.status_code}",
                "a new key from https://cloud.cerebras.ai in CEREBRAS_API_KEY",
            )
        if answer.status_code != 200:
            raise _Wrong(f"{base_url}/models answers HTTP {answer.status_code}", network)
        return f"{base_url} answers, and takes the key"

    def tool_call(self) -> str:
        """Let the proxy of this installation carry a tool call that a scripted model makes."""
        scenario = scenarios.load(_SCENARIO)
        expected = scenario.turns[0].calls[0]
        with (
            Emulator(scenario, backend=self._backend, api_key=_KEY) as emulator,
            OwnProxy(emulator.base_url, backend=self._backend, api_key=_KEY) as proxy,
        ):
            answer = send(
                proxy.url,
                begin(scenario, model=MODELS[self._backend]).request(),
                headers={"authorization": f"Bearer {_KEY}"} if self._backend == "chatgpt" else {},
            )
        called = [
            event["item"]["name"]
            for event in answer.events
            if event.type == "response.output_item.done"
            and event["item"]["type"] == "function_call"
            and json.loads(event["item"]["arguments"]) == expected.arguments
        ]
        if called != [expected.name] or answer.events[-1].type != "response.completed":
            raise _Wrong(
                f"the call of {expected.name} did not come through: {answer.text[-300:]}",
                "'conformance run' says more; installing again may help",
            )
        return f"{expected.name} came through this installation's proxy, from the emulator"


def _is_older(codex: Codex | None, minor: int) -> bool:
    """Tell whether Codex is there, and of a version before 0.`minor`."""
    if codex is None:
        return False
    return tuple(map(int, codex.version.split(".")[:2])) < (0, minor)


def _read_toml(path: Path, mend: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _Wrong(f"{path} is not there", mend) from None
    except OSError as error:
        raise _Wrong(f"{path} cannot be read: {error.strerror}", "let it be read") from None
    except ValueError as error:
        raise _Wrong(f"{path} is no TOML: {error}", "mend it, or move it away") from None


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
