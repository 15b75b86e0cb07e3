"""Gets the real Codex CLI, points it at a proxy, and runs it once without a person.

Flags and environment are what each version was seen to need; README.md says them for a person.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Codex", "CodexUnavailable", "Run", "from_npm", "from_pypi"]

#: Seconds for one run; a healthy one takes less than two.
_TIMEOUT: Final = 120

#: Codex 0.163 otherwise waits for hosts that have nothing to do with the model.
_QUIET: Final = ("-c", "analytics.enabled=false", "--disable", "plugins")


class CodexUnavailable(RuntimeError):
    """This version cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of Codex printed, with `--json`."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str

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

    def run(self, prompt: str, *, proxy_url: str, folder: Path) -> Run:
        """Let Codex answer `prompt` through the proxy, in empty folders of its own in `folder`.

        Commands run without a sandbox and without questions: it is the cassette that says which.
        """
        folders = {name: folder / name for name in ("home", "codex", "tmp", "work")}
        for path in folders.values():
            path.mkdir(parents=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folders["home"]),
            "CODEX_HOME": str(folders["codex"]),
            # With CODEX_HOME below it, Codex warns.
            "TMPDIR": str(folders["tmp"]),
        }
        arguments = ["exec", "--json", "--skip-git-repo-check", "-m", "gpt-oss-120b"]
        arguments += ["--dangerously-bypass-approvals-and-sandbox"]
        if self._reads_base_url_from_environment:
            environment["OPENAI_BASE_URL"] = f"{proxy_url}/v1"
        else:
            provider = f'{{name="proxy",base_url="{proxy_url}/v1",wire_api="responses"}}'
            arguments += ["-c", "model_provider=proxy", "-c", f"model_providers.proxy={provider}"]
            arguments += _QUIET
        finished = subprocess.run(
            [str(self.binary), *arguments, prompt],
            cwd=folders["work"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        events = [json.loads(line) for line in finished.stdout.splitlines() if line]
        return Run(finished.returncode, events, finished.stderr)

    @property
    def _reads_base_url_from_environment(self) -> bool:
        return tuple(map(int, self.version.split("."))) < (0, 100)


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

    Raises `CodexUnavailable` where there is no npm, `subprocess.CalledProcessError` where it fails.
    """
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
        subprocess.run(
            [npm, "install", *options, f"@openai/codex@{version}"],
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    return Codex(version, binary)
