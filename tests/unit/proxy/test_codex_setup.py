"""`codex-proxy setup`: what it prints, what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from proxy.codex_setup import SetupError, config, main, merged
from proxy.model_catalog import catalog

#: A configuration of somebody who has taken care with it.
OWN = """\
# mine; do not touch
model = "gpt-5.5"   # the big one
approval_policy = "on-request"

[model_providers.other]   # the other one
name = "other"
base_url = "http://example.com/v1"
experimental_bearer_token = "csk-somebodys-own"

[mcp_servers.docs]
command = "docs"
# the end
"""

URL = "http://127.0.0.1:10001/v1"

WANTED = config(
    backend="cerebras", url=URL, model="gpt-oss-120b", catalog_path=Path("/c/catalog.json")
)


def write(home: Path, *words: str, **environment: str) -> int:
    argv = ["--write", "--codex-version", "0.163.0", *words]
    return main(argv, {"CODEX_HOME": str(home), **environment})


def read(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / "config.toml").read_text())


# --- config.toml ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        OWN,
        "# only a comment",
        "model = 'x'",
        "[a]\nb = 1\n",
        "[[a]]\nb = 1\n[[a]]\nb = 2\n",
        "model_providers = {other = {name = 'other'}}\n",
        "[model_providers]\n[model_providers.cerebras]\nname = 'mine'\nenv_key = 'K'\n[z]\ny = 1\n",
        "[z]\ny = 1\n[model_providers.other]\nname = 'other'\n[y]\nz = 1\n",
        "a = 1\r\n[z]\r\ny = 1\r\n",
    ],
)
def test_what_is_wanted_gets_in_and_nothing_is_lost(text: str) -> None:
    before = tomllib.loads(text)

    after = tomllib.loads(merged(text, WANTED))

    providers = after.pop("model_providers")
    before_providers = before.pop("model_providers", {})
    for key in ("model", "model_provider", "model_catalog_json"):
        assert after.pop(key) == WANTED[key]
        before.pop(key, None)
    assert after == before
    own = before_providers.pop("cerebras", {})
    assert providers.pop("cerebras") == own | WANTED["model_providers"]["cerebras"]
    assert providers == before_providers


def test_comments_and_order_stay() -> None:
    new = merged(OWN, WANTED).splitlines()

    kept = [line for line in OWN.splitlines() if line and not line.startswith("model =")]
    assert [line for line in new if line in kept] == kept
    assert 'model = "gpt-oss-120b"   # the big one' in new


def test_twice_is_once() -> None:
    once = merged(OWN, WANTED)

    assert merged(once, WANTED) == once


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model = ", "is no TOML"),
        ("a = 1\na = 2\n", "is no TOML"),
        ("model_providers = 1", "model_providers is no table"),
        ("model_providers.other.name = 'other'\n[z]\ny = 1\n", "cannot be changed safely"),
        ("model_providers = {cerebras = 'x'}", "model_providers.cerebras is no table"),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        merged(text, WANTED)


# --- writing -------------------------------------------------------------------------------------


def test_an_empty_home_gets_both_files(tmp_path: Path) -> None:
    home = tmp_path / "codex"

    assert write(home) == 0

    path = Path(read(home)["model_catalog_json"])
    assert path == home / "codex-proxy-models.json"
    assert json.loads(path.read_text()) == catalog("gpt-oss-120b")
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()} == {0o600}
    assert len(list(home.iterdir())) == 2


def test_what_was_there_is_kept_and_the_difference_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text(OWN)

    assert write(tmp_path) == 0

    backup = tmp_path / "config.toml.1.bak"
    assert backup.read_text() == OWN
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    shown = capsys.readouterr().out
    assert str(backup) in shown
    assert '-model = "gpt-5.5"   # the big one' in shown
    assert '+model = "gpt-oss-120b"   # the big one' in shown
    assert "csk-somebodys-own" not in shown


def test_no_backup_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(OWN)
    write(tmp_path)
    write(tmp_path, "--url", "http://127.0.0.1:9999")

    assert (tmp_path / "config.toml.1.bak").read_text() == OWN
    assert URL in (tmp_path / "config.toml.2.bak").read_text()


def test_nothing_to_change_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    capsys.readouterr()

    assert write(tmp_path) == 0

    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    assert "nothing was changed" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["config.toml", "codex-proxy-models.json"])
def test_links_are_refused_and_nothing_is_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home, elsewhere = tmp_path / "codex", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.write_text("")
    (home / name).symlink_to(elsewhere)

    assert write(home) == 2

    assert f"{home / name} is a link" in capsys.readouterr().err
    assert elsewhere.read_text() == ""
    assert len(list(home.iterdir())) == 1


def test_a_broken_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")

    assert write(tmp_path) == 2

    assert "is not UTF-8" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


def test_a_home_that_cannot_be_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codex").write_text("a file")

    assert write(tmp_path / "codex") == 2

    assert str(tmp_path / "codex") in capsys.readouterr().err


# --- what is asked for ---------------------------------------------------------------------------


def test_the_port_and_the_model_are_those_of_the_proxy(tmp_path: Path) -> None:
    write(tmp_path, "--context-window", "65536", PROXY_PORT="8080", CEREBRAS_MODEL="qwen-3.8-27b")

    written = read(tmp_path)
    assert written["model"] == "qwen-3.8-27b"
    assert written["model_providers"]["cerebras"]["base_url"] == "http://127.0.0.1:8080/v1"
    (model,) = json.loads(Path(written["model_catalog_json"]).read_text())["models"]
    assert model["slug"] == "qwen-3.8-27b"
    assert (model["context_window"], model["auto_compact_token_limit"]) == (65536, 49152)


def test_a_token_is_named_and_not_written(tmp_path: Path) -> None:
    write(tmp_path, PROXY_TOKEN="a secret")  # noqa: S106

    provider = read(tmp_path)["model_providers"]["cerebras"]
    assert provider["env_http_headers"] == {"x-proxy-token": "PROXY_TOKEN"}
    assert "a secret" not in (tmp_path / "config.toml").read_text()


def test_the_pass_through_needs_no_model_and_no_catalog(tmp_path: Path) -> None:
    write(tmp_path, "--backend", "chatgpt")

    assert read(tmp_path) == {
        "model_provider": "through",
        "model_providers": {
            "through": {
                "name": "through",
                "base_url": "http://127.0.0.1:10000/v1",
                "wire_api": "responses",
                "requires_openai_auth": True,
            }
        },
    }
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("version", ["0.45.0", "0.98.1", "0.9"])
def test_an_old_codex_takes_the_environment(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"CODEX_HOME": str(tmp_path / "codex")}

    assert main(["--codex-version", version], environment) == 0

    said = capsys.readouterr().out
    shell = subprocess.run(
        ["sh", "-c", f"{said}\necho $OPENAI_BASE_URL"], capture_output=True, text=True, check=True
    )
    assert shell.stdout == f"{URL}\n"
    assert main(["--codex-version", version, "--write"], environment) == 2
    assert not (tmp_path / "codex").exists()


def test_printing_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "codex"

    assert main(["--codex-version", "0.105.0"], {"CODEX_HOME": str(home)}) == 0

    fragment, _, described = capsys.readouterr().out.partition("\n# /")
    assert tomllib.loads(fragment)["model_provider"] == "cerebras"
    assert json.loads(described.partition("\n")[2]) == catalog("gpt-oss-120b")
    assert not home.exists()


@pytest.mark.parametrize("version", ["0.99.0", "0.104.0"])
def test_a_version_that_reads_no_catalog_gets_none_and_it_is_said(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(tmp_path, "--codex-version", version) == 0

    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]
    assert "model_catalog_json" not in read(tmp_path)
    assert read(tmp_path)["model"] == "gpt-oss-120b"
    assert "0.105.0 is the first that reads one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--codex-version", "new"],
        ["--url", "127.0.0.1:10001"],
        ["--url", 'http://a"b'],
        ["--url", "http://user:password@127.0.0.1"],
        ["--context-window", "0"],
        ["--backend", "openai"],
    ],
)
def test_wrong_usage_is_refused(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        write(tmp_path, *words)

    assert caught.value.code == 2
    assert list(tmp_path.iterdir()) == []


def codex_that_says(folder: Path, script: str) -> dict[str, str]:
    """Put a program called codex on a path of its own."""
    folder.mkdir()
    codex = folder / "codex"
    codex.write_text(f"#!/bin/sh\n{script}\n")
    codex.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "CODEX_HOME": str(folder / "home")}


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("echo codex-cli 0.45.0", 0, "export OPENAI_BASE_URL="),
        ("echo codex-cli 0.163.0", 0, 'model_provider = "cerebras"'),
        ("echo hello", 2, "does not say which it is; name it: --codex-version"),
    ],
)
def test_the_installed_codex_is_asked_for_its_version(
    tmp_path: Path, script: str, status: int, said: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "proxy", "setup"],
        env=codex_that_says(tmp_path / "bin", script),
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == status, run.stderr
    assert said in run.stdout + run.stderr


# --- the catalog ---------------------------------------------------------------------------------


def test_the_longest_answer_still_fits_when_a_conversation_is_summed_up() -> None:
    (model,) = catalog("gpt-oss-120b")["models"]

    assert model["context_window"] == 131_072
    assert model["context_window"] - model["auto_compact_token_limit"] == 32_768


def test_it_has_what_every_version_that_reads_one_needs() -> None:
    (model,) = catalog("gpt-oss-120b")["models"]

    # 0.105.0 to 0.159.0 refuse a catalog without it, and do not start.
    assert model["supports_reasoning_summaries"] is True


def test_the_prompt_is_short_and_plain() -> None:
    (model,) = catalog("gpt-oss-120b")["models"]

    assert 2000 < len(model["base_instructions"]) < 6000
    assert "apply_patch" in model["base_instructions"]
