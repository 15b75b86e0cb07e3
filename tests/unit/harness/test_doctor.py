"""`conformance doctor`: what it finds on a machine that is well, and on ones that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.doctor import Check, checks
from harness.scenarios import Backend
from harness.server import LoopbackServer, Receive, Scope, Send
from harness.subject import OwnProxy
from proxy.codex_setup import main as codex_setup

KEY = "csk-the-right-one"


async def models(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as Cerebras does to whoever asks for its models."""
    right = dict(scope["headers"]).get(b"authorization") == f"Bearer {KEY}".encode()
    status = 404 if scope["path"] != "/v1/models" else 200 if right else 401
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


@dataclass
class Machine:
    """A person's machine: a home, programs, and an environment."""

    home: Path
    proxy: OwnProxy
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    def install_codex(self, version: str) -> None:
        codex = self.home / "bin" / "codex"
        codex.parent.mkdir(exist_ok=True)
        codex.write_text(f"#!/bin/sh\necho codex-cli {version}\n")
        codex.chmod(0o755)

    def set_up(self, *words: str) -> None:
        argv = ["--write", "--codex-version", "0.163.0", "--url", self.proxy.url, *words]
        assert codex_setup(argv, self.environment) == 0

    def check(self, name: str, backend: Backend = "cerebras", url: str | None = None) -> Check:
        """Return one of the checks; those behind it are not made."""
        found = checks(backend, url=url, environment=self.environment)
        return next(check for check in found if check.name == name)

    def doctor(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", "doctor"],
            env={**self.environment, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[OwnProxy, str]]:
    with LoopbackServer(models) as server, OwnProxy(f"{server.url}/v1", api_key=KEY) as proxy:
        yield proxy, f"{server.url}/v1"


@pytest.fixture
def machine(
    running: tuple[OwnProxy, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """One on which all is well."""
    proxy, base_url = running
    machine = Machine(tmp_path, proxy)
    machine.environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CODEX_HOME": str(tmp_path),
        "CEREBRAS_API_KEY": KEY,
        "CEREBRAS_BASE_URL": base_url,
    }
    monkeypatch.setenv("PATH", machine.environment["PATH"])
    machine.install_codex("0.163.0")
    machine.set_up()
    return machine


# --- all of it -----------------------------------------------------------------------------------


def test_where_all_is_well_it_says_so(machine: Machine) -> None:
    run = machine.doctor()

    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "Codex"],
        ["ok", "Configuration"],
        ["ok", "Key"],
        ["ok", "Proxy"],
        ["ok", "Provider"],
        ["ok", "Tool"],
    ]
    assert "0.163.0" in lines[0]
    assert KEY not in run.stdout


def test_each_fault_has_its_mend(machine: Machine) -> None:
    machine.config.unlink()

    run = machine.doctor(
        CEREBRAS_API_KEY="", CEREBRAS_BASE_URL="http://127.0.0.1:1", PROXY_PORT="1"
    )

    assert run.returncode == 1
    lines = run.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("FAIL")] == [
        "Configuration",
        "Key",
        "Proxy",
        "Provider",
    ]
    assert sum("mend: " in line for line in lines) == 4
    assert lines[-1].startswith("ok    Tool call")


def test_colour_is_for_terminals(machine: Machine) -> None:
    assert "\x1b" not in machine.doctor().stdout
    assert "\x1b[32mok  \x1b[0m" in machine.doctor(FORCE_COLOR="1").stdout


# --- one by one ----------------------------------------------------------------------------------


def test_a_codex_that_does_not_say_its_version(machine: Machine) -> None:
    machine.install_codex("unknown")

    check = machine.check("Codex")

    assert "does not say which version" in check.said
    assert check.mend


def test_an_old_codex_takes_the_address_from_the_environment(machine: Machine) -> None:
    machine.install_codex("0.45.0")
    machine.config.unlink()
    machine.environment["OPENAI_BASE_URL"] = f"{machine.proxy.url}/v1"

    found = {check.name: check for check in checks(environment=machine.environment)}

    assert found["Configuration"].mend == ""
    assert found["Proxy"].said == f"{machine.proxy.url} is healthy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not say where the proxy is"),
        ("model_provider = 'x'", "does not say where the proxy is"),
        ("model_provider = 'x'\n[model_providers.x]\nbase_url = 1", "does not say where"),
        ("model_provider = 'x'\n[model_providers.x]\nbase_url = 'http://x'", "lacks wire_api"),
        ("model_provider = ", "is no TOML"),
    ],
)
def test_a_configuration_that_does_not_lead_to_the_proxy(
    machine: Machine, text: str, said: str
) -> None:
    machine.config.write_text(text)

    check = machine.check("Configuration")

    assert said in check.said
    assert check.mend
    assert not check.harmless


def test_the_pass_through_is_set_up_as_such(machine: Machine) -> None:
    machine.config.unlink()

    check = machine.check("Configuration", "chatgpt")

    assert check.mend == "codex-proxy setup --write --backend chatgpt"


def test_another_proxy_than_the_one_in_question(machine: Machine) -> None:
    check = machine.check("Configuration", url="http://127.0.0.1:9")

    assert check.said == f"Codex asks {machine.proxy.url}, not http://127.0.0.1:9"
    assert check.mend == "codex-proxy setup --write --url http://127.0.0.1:9"


def test_a_model_without_a_catalog_works_all_the_same(machine: Machine) -> None:
    machine.config.write_text(machine.config.read_text().replace("gpt-oss-120b", "other"))

    check = machine.check("Configuration")

    assert check.said.startswith("no catalog describes other")
    assert check.harmless
    assert machine.doctor().returncode == 0


def test_a_version_that_reads_no_catalog_needs_none(machine: Machine) -> None:
    machine.install_codex("0.104.0")
    (machine.home / "codex-proxy-models.json").unlink()

    found = {check.name: check for check in checks(environment=machine.environment)}

    assert found["Configuration"].mend == ""


@pytest.mark.parametrize("text", [None, "x", "{}", '{"models": 1}', '{"models": [1]}'])
def test_a_catalog_that_cannot_be_read(machine: Machine, text: str | None) -> None:
    catalog = machine.home / "codex-proxy-models.json"
    catalog.unlink() if text is None else catalog.write_text(text)

    assert "cannot be read" in machine.check("Configuration").said


def test_a_key_that_the_provider_refuses(machine: Machine) -> None:
    machine.environment["CEREBRAS_API_KEY"] = "csk-wrong"

    check = machine.check("Provider")

    assert "refuses the key with HTTP 401" in check.said
    assert "csk-wrong" not in check.said
    assert "a new key" in check.mend


def test_a_key_is_not_sent_in_the_open(machine: Machine) -> None:
    machine.environment["CEREBRAS_BASE_URL"] = "http://cerebras.example/v1"

    assert "would get the key unencrypted" in machine.check("Provider").said


@pytest.mark.parametrize(
    "url", ["csk-the-key", "https://me:csk-the-key@127.0.0.1", "https://127.0.0.1?a=csk-the-key"]
)
def test_an_address_with_a_secret_is_not_quoted(machine: Machine, url: str) -> None:
    machine.environment["CEREBRAS_BASE_URL"] = url

    check = machine.check("Provider")

    assert check.said == "CEREBRAS_BASE_URL is no http(s) URL of host and path alone"
    assert "csk-the-key" not in check.mend


@pytest.mark.parametrize("key", ["", "ключ", "a\nb", "csk-a b", 'csk-"'])
def test_a_key_that_is_none(machine: Machine, key: str) -> None:
    machine.environment["CEREBRAS_API_KEY"] = key

    assert machine.check("Key").mend
    assert "answers (no key was shown)" in machine.check("Provider").said


def test_a_program_that_is_no_proxy(machine: Machine) -> None:
    with LoopbackServer(models) as server:
        machine.config.write_text(machine.config.read_text().replace(machine.proxy.url, server.url))

        check = machine.check("Proxy")

    assert "another program is there" in check.said


def test_the_pass_through_needs_a_login(machine: Machine) -> None:
    assert machine.check("Login", "chatgpt").mend == "codex login"

    (machine.home / "auth.json").write_text(json.dumps({}))

    assert machine.check("Login", "chatgpt").mend == ""


def test_a_tool_call_passes_through(machine: Machine) -> None:
    machine.environment["CHATGPT_BASE_URL"] = machine.environment["CEREBRAS_BASE_URL"]

    assert machine.check("Tool call", "chatgpt").mend == ""
