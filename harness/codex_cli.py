"""Gets the real Codex CLI, points it at a proxy, and runs it once without a person.

Flags and environment are what each version was seen to need; README.md says them for a person.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.errors import HarnessError

__all__ = ["Codex", "CodexUnavailable", "Run", "find", "from_npm", "from_pypi", "newest"]

#: Seconds for one run; a healthy one takes less than two.
_TIMEOUT: Final = 120

#: For a live model, which may want to run anything.
_CONFINED: Final = ("--sandbox", "workspace-write", "-c", 'approval_policy="never"')

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+[-.\w]*")

#: Codex 0.163 otherwise waits for hosts that have nothing to do with the model.
#: (`--disable plugins` ends the versions around 0.101, which do not know the feature.)
_QUIET: Final = ("-c", "analytics.enabled=false", "-c", "features.plugins=false")


class CodexUnavailable(HarnessError):
    """This version cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of Codex printed, with `--json`."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str

    @property
    def conversation(self) -> str | None:
        """What `resume` takes to go on with it."""
        started = [event for event in self.events if event["type"] == "thread.started"]
        return str(started[0]["thread_id"]) if started else None

    @property
    def last_message(self) -> str | None:
        """The answer that a person would read."""
        texts = [item["text"] for item in self.items("agent_message")]
        return texts[-1] if texts else None

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return the completed items of one kind."""
        completed = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in completed if item["type"] == kind]


@dataclass(frozen=True, slots=True)
class Codex:
    """One installed Codex CLI."""

    version: str
    binary: Path

    def run(
        self,
        prompt: str,
        *,
        proxy_url: str | None,
        folder: Path,
        model: str = "gpt-oss-120b",
        own_login: bool = False,
        key: str | None = None,
        login: Mapping[str, Any] | None = None,
        sandbox: bool = False,
        resume: str | None = None,
        output_schema: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        timeout: float = _TIMEOUT,
    ) -> Run:
        """Let Codex answer `prompt` through the proxy, in folders of its own in `folder`.

        They are empty, but for what is in `folder/work` already, and for what `resume`, a
        conversation of an earlier run there, needs. Without `proxy_url` its home `folder / "codex"`
        says who answers, and as what. It shows `key` to the proxy, or `login`, which is what
        `auth.json` has; with `own_login`, what the person who runs this is logged in with, whose
        Codex home it then uses. Without `sandbox` commands run unasked and unconfined: that is for
        models whose script says which. The last answer is in the form of `output_schema`. `config`
        has values of `config.toml`, `arguments` flags of `codex exec`. Raises `CodexUnavailable`
        where it hangs.
        """
        folders = {name: folder / name for name in ("home", "codex", "tmp", "work")}
        for path in folders.values():
            path.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folders["home"]),
            "CODEX_HOME": str(folders["codex"]),
            # With CODEX_HOME below it, Codex warns.
            "TMPDIR": str(folders["tmp"]),
        }
        command = ["exec", "--json", "--skip-git-repo-check"]
        command += ["-m", model] if proxy_url is not None else []
        command += _CONFINED if sandbox else ["--dangerously-bypass-approvals-and-sandbox"]
        provider: dict[str, str | bool] = {
            "name": "proxy",
            "base_url": f"{proxy_url}/v1",
            "wire_api": "responses",
        }
        if own_login:
            own = ("HOME", "CODEX_HOME")
            del environment["CODEX_HOME"]
            environment |= {name: os.environ[name] for name in own if name in os.environ}
            provider["requires_openai_auth"] = True
        if key is not None:
            environment["PROXY_KEY"] = key
            provider["env_key"] = "PROXY_KEY"
        if login is not None:
            file = folders["codex"] / "auth.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(login))
            provider["requires_openai_auth"] = True
        if proxy_url is None:
            pass  # nothing is to be said twice
        elif self._is_old and key is None and login is None and not own_login:
            environment["OPENAI_BASE_URL"] = f"{proxy_url}/v1"
        else:
            command += [
                "-c",
                "model_provider=proxy",
                "-c",
                f"model_providers.proxy={_toml(provider)}",
            ]
        if not self._is_old:
            command += _QUIET
        if output_schema is not None:
            file = folder / "output-schema.json"
            file.write_text(json.dumps(output_schema))
            command += ["--output-schema", str(file)]
        for name, value in (config or {}).items():
            command += ["-c", f"{name}={_toml(value)}"]
        command += arguments
        if resume is not None:
            command += ["resume", resume]
        try:
            finished = subprocess.run(
                [str(self.binary), *command, prompt],
                cwd=folders["work"],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CodexUnavailable(f"Codex {self.version} did not end in {timeout:.0f} s") from None
        events = [json.loads(line) for line in finished.stdout.splitlines() if line]
        return Run(finished.returncode, events, finished.stderr)

    @property
    def _is_old(self) -> bool:
        """Whether it reads its base URL from the environment."""
        return tuple(map(int, self.version.split(".")[:2])) < (0, 100)


def _toml(value: Any) -> str:
    """Return `value` as TOML on one line; its strings, numbers, booleans and lists are JSON's."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}={_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def find(version: str | None, cache: Path) -> Codex:
    """Return Codex `version` or, by default, the one that is installed here.

    Raises `CodexUnavailable`.
    """
    if version is not None:
        return from_npm(version, cache)
    if (installed := shutil.which("codex")) is not None:
        said = subprocess.run([installed, "--version"], capture_output=True, text=True, check=False)
        found = _VERSION.search(said.stdout)
        if found is None:
            raise CodexUnavailable(f"{installed} --version does not say which version it is")
        return Codex(found[0], Path(installed))
    try:
        return from_pypi()
    except CodexUnavailable:
        raise CodexUnavailable(
            "there is no codex on the PATH; install it, or name a version: --client codex@0.163.0"
        ) from None


def from_pypi() -> Codex:
    """Return the Codex of the package `openai-codex-cli-bin`; raises `CodexUnavailable`."""
    try:
        from importlib.metadata import version

        from codex_cli_bin import bundled_codex_path
    except ImportError:
        raise CodexUnavailable("the package openai-codex-cli-bin is not installed") from None
    return Codex(version("openai-codex-cli-bin"), Path(bundled_codex_path()))


def from_npm(version: str, cache: Path) -> Codex:
    """Return Codex `version`, installed below `cache` if it is not yet.

    Raises `CodexUnavailable` where there is no npm, or no such version.
    """
    if not _VERSION.fullmatch(version):
        raise CodexUnavailable(f"{version!r} is no version of Codex; they look like 0.163.0")
    npm = shutil.which("npm")
    if npm is None:
        raise CodexUnavailable(f"npm is missing, and Codex {version} comes from npm alone")
    folder = cache / version
    binary = folder / "node_modules" / ".bin" / "codex"
    if not binary.exists():
        # Not with --prefix, which would also move where npm looks for its configuration.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        done = subprocess.run(
            [npm, "install", *options, f"@openai/codex@{version}"],
            cwd=folder,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode or not binary.exists():
            shutil.rmtree(folder)
            said = [line for line in done.stderr.splitlines() if line.startswith("npm error ")]
            reason = "; ".join(line.removeprefix("npm error ") for line in said[:2])
            raise CodexUnavailable(f"npm cannot install Codex {version}: {reason or done.stderr}")
    return Codex(version, binary)


def newest() -> str:
    """Return the newest version that npm has; raises `CodexUnavailable` where it does not say."""
    npm = shutil.which("npm")
    if npm is None:
        raise CodexUnavailable("npm is missing, and it alone knows which Codex is the newest")
    done = subprocess.run(
        [npm, "view", "@openai/codex", "version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = _VERSION.search(done.stdout)
    if done.returncode or found is None:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise CodexUnavailable(f"npm does not say which Codex is the newest: {said[0]}")
    return found[0]
