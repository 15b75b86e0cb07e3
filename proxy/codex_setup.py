"""`codex-proxy setup`: what Codex needs to use the proxy, printed or written.

Old versions take an address from the environment. New ones need a provider in `config.toml`, and,
where they read one, for a model that is not OpenAI's a catalog that describes it.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from proxy.model_catalog import WINDOW, catalog
from proxy.settings import BACKENDS, Settings

__all__ = ["SetupError", "codex_home", "config", "installed_version", "main", "merged"]

_EPILOG: Final = """\
examples:
  codex-proxy setup                            print what the Codex that is installed here needs
  codex-proxy setup --write                    write it; what was there is kept beside it
  eval "$(codex-proxy setup --codex-version 0.45.0)"   an old one, in this shell
"""

#: The first version that does not read OPENAI_BASE_URL.
_FROM_CONFIG: Final = (0, 99)

#: The first version that reads a model catalog.
_FROM_CATALOG: Final = (0, 105)

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\.\d+)?[-.\w]*")

#: The catalog's name in Codex' home.
_CATALOG: Final = "codex-proxy-models.json"

#: Seconds that `codex --version` has.
_TIMEOUT: Final = 20


class SetupError(Exception):
    """It cannot be done; the message says why, and what mends it."""


def main(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Print or write what Codex needs; return the exit status: 0, or 2 where it cannot be done."""
    arguments = _parse(argv, environment)
    try:
        version = arguments.codex_version or installed_version()
        if version is None:
            print("# no codex is on the PATH: this is for a new one", file=sys.stderr)
        if version is not None and _numbers(version) < _FROM_CONFIG:
            _old(version, arguments)
            return 0
        arguments.catalog = arguments.backend == "cerebras"
        if arguments.catalog and version is not None and _numbers(version) < _FROM_CATALOG:
            arguments.catalog = False
            print(
                f"# Codex {version} reads no model catalog, so it warns that it has no metadata, "
                "and offers no apply_patch; 0.105.0 is the first that reads one",
                file=sys.stderr,
            )
        if arguments.write:
            _write(arguments, codex_home(environment))
        else:
            _print(arguments, codex_home(environment))
    except SetupError as error:
        print(f"codex-proxy setup: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(argv: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="codex-proxy setup",
        description="Print what Codex needs to use the proxy, or write it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--codex-version", metavar="V", help="such as 0.163.0; default: ask the codex on the PATH"
    )
    parser.add_argument(
        "--write", action="store_true", help="change config.toml in CODEX_HOME (~/.codex)"
    )
    parser.add_argument(
        "--backend",
        choices=list(BACKENDS),
        default=environment.get("PROXY_BACKEND") or Settings.backend,
        help="who answers behind the proxy (also PROXY_BACKEND; default: %(default)s)",
    )
    parser.add_argument(
        "--url", help="the proxy's root; default: http://127.0.0.1, with PROXY_PORT or its own port"
    )
    parser.add_argument(
        "--model",
        default=environment.get("CEREBRAS_MODEL") or Settings.model,
        help="Cerebras' model (also CEREBRAS_MODEL; default: %(default)s)",
    )
    parser.add_argument(
        "--context-window",
        type=int,
        default=WINDOW,
        metavar="TOKENS",
        help="what your plan at Cerebras allows; default: %(default)s",
    )
    arguments = parser.parse_args(argv)
    if arguments.codex_version is not None and not _VERSION.fullmatch(arguments.codex_version):
        parser.error(f"{arguments.codex_version!r} is no version of Codex; they look like 0.163.0")
    if not 4096 <= arguments.context_window <= 10**8:
        parser.error(f"{arguments.context_window} tokens are no context window")
    port = environment.get("PROXY_PORT") or str(BACKENDS[arguments.backend].port)
    arguments.url = (arguments.url or f"http://127.0.0.1:{port}").rstrip("/")
    if not re.fullmatch(r"https?://[^\s/?#@\"\\]+(/[^\s?#\"\\]*)?", arguments.url):
        parser.error("--url is no http(s) URL like http://127.0.0.1:10001")
    arguments.url = arguments.url.removesuffix("/v1") + "/v1"
    arguments.token = bool(environment.get("PROXY_TOKEN"))
    return arguments


def installed_version() -> str | None:
    """Return the version of the `codex` on the PATH, None where there is none.

    Raises `SetupError` where it does not say.
    """
    codex = shutil.which("codex")
    if codex is None:
        return None
    try:
        said = subprocess.run(
            [codex, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{codex} --version fails ({error}); name it: --codex-version") from None
    found = _VERSION.search(said)
    if found is None:
        raise SetupError(f"{codex} --version does not say which it is; name it: --codex-version")
    return found[0]


def codex_home(environment: Mapping[str, str]) -> Path:
    """Return the absolute path of Codex' home."""
    home = environment.get("CODEX_HOME")
    return Path(home).absolute() if home else Path.home() / ".codex"


def _numbers(version: str) -> tuple[int, int]:
    found = _VERSION.match(version)
    assert found is not None, "checked where it came from"
    return int(found[1]), int(found[2])


# --- what it needs -------------------------------------------------------------------------------


def config(
    *, backend: str, url: str, model: str, catalog_path: Path | None = None, token: bool = False
) -> dict[str, Any]:
    """Return what `config.toml` has to say; a table of it is merged with one that is there.

    `url` ends in /v1. With `token` Codex shows the proxy what PROXY_TOKEN holds when it runs.
    """
    provider: dict[str, Any] = {"name": backend, "base_url": url, "wire_api": "responses"}
    if token:
        provider["env_http_headers"] = {"x-proxy-token": "PROXY_TOKEN"}
    if backend == "chatgpt":
        # A name of its own: what is called OpenAI is spoken to in ways that only OpenAI knows.
        provider = {**provider, "name": "through", "requires_openai_auth": True}
        return {"model_provider": "through", "model_providers": {"through": provider}}
    described = {} if catalog_path is None else {"model_catalog_json": str(catalog_path)}
    return {
        "model": model,
        "model_provider": backend,
        **described,
        "model_providers": {backend: provider},
    }


def merged(text: str, wanted: Mapping[str, Any]) -> str:
    """Return the TOML `text` with what is `wanted` in it; comments and all else stay.

    Raises `SetupError` where it is no TOML, has something else where a table must be, or is written
    in a way that would lose something.
    """
    try:
        before = tomllib.loads(text)
        document = tomlkit.parse(text)
        _merge(document, wanted, "")
        new = tomlkit.dumps(document)
        # The library loses its way in some files that are legal TOML: it is not taken at its word.
        safe = tomllib.loads(new) == _both(before, wanted)
    except (TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"config.toml is no TOML ({error}); mend it first") from None
    if not safe:
        raise SetupError(
            "config.toml has dotted keys that cannot be changed safely; put into it what 'setup' "
            "prints without --write"
        )
    return new


def _merge(table: Any, wanted: Mapping[str, Any], path: str) -> None:
    for key, value in wanted.items():
        if not isinstance(value, Mapping):
            if table.get(key) != value:
                table[key] = value
            continue
        if key not in table:
            holds_tables = all(isinstance(each, Mapping) for each in value.values())
            inline = isinstance(table, InlineTable)
            table[key] = tomlkit.inline_table() if inline else tomlkit.table(holds_tables)
        elif not isinstance(table[key], Mapping):
            raise SetupError(f"config.toml: {path}{key} is no table; mend it first")
        _merge(table[key], value, f"{path}{key}.")


def _both(old: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both say; where they differ, what is wanted."""
    nested = {
        key: _both(old.get(key, {}), value)
        for key, value in wanted.items()
        if isinstance(value, Mapping)
    }
    return {**old, **wanted, **nested}


# --- printing ------------------------------------------------------------------------------------


def _old(version: str, arguments: argparse.Namespace) -> None:
    if arguments.write:
        raise SetupError(
            f"Codex {version} takes the address from the environment, so nothing is written; put "
            "into your shell's profile what 'setup' prints without --write"
        )
    print(f"export OPENAI_BASE_URL={arguments.url}")
    print(f"# Codex {version} then asks the proxy, whoever it is logged in as. Start it with")
    model = f" -m {arguments.model}" if arguments.backend == "cerebras" else ""
    print(f"#   codex{model}")


def _wanted(arguments: argparse.Namespace, home: Path) -> dict[str, Any]:
    return config(
        backend=arguments.backend,
        url=arguments.url,
        model=arguments.model,
        catalog_path=home / _CATALOG if arguments.catalog else None,
        token=arguments.token,
    )


def _catalog_text(arguments: argparse.Namespace) -> str | None:
    if not arguments.catalog:
        return None
    described = catalog(arguments.model, window=arguments.context_window)
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _print(arguments: argparse.Namespace, home: Path) -> None:
    print(f"# {home / 'config.toml'}\n")
    print(merged("", _wanted(arguments, home)), end="")
    if (described := _catalog_text(arguments)) is not None:
        print(f"\n# {home / _CATALOG}\n")
        print(described, end="")


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    #: None where there is none yet.
    old: str | None
    new: str


def _write(arguments: argparse.Namespace, home: Path) -> None:
    """Change the files that differ, all or none of them read before the first is written."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = home / "config.toml"
        old = _read(path)
        files = [_File(path, old, merged(old or "", _wanted(arguments, home)))]
        if (described := _catalog_text(arguments)) is not None:
            # First, because the other names it.
            files.insert(0, _File(home / _CATALOG, _read(home / _CATALOG), described))
        changed = [file for file in files if file.old != file.new]
        for file in changed:
            _replace(file)
    except OSError as error:
        raise SetupError(f"{error.filename or home}: {error.strerror}") from None
    if not changed:
        print(f"{home} says so already; nothing was changed")


def _read(path: Path) -> str | None:
    """Return what is in a file, None where there is none; refuses links."""
    if path.is_symlink():
        raise SetupError(
            f"{path} is a link; put into the file that it names what 'setup' prints without --write"
        )
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8; mend it first") from None


def _replace(file: _File) -> None:
    """Put the new text in place of the old at once, keep the old one, and show the difference."""
    backup = None if file.old is None else _backup(file.path, file.old)
    handle, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")
    try:
        with os.fdopen(handle, "wb") as temporary:  # mkstemp's files are 0600
            temporary.write(file.new.encode())
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).replace(file.path)
    except BaseException:
        Path(name).unlink()
        raise
    print(f"wrote {file.path}" + (f" (before: {backup})" if backup is not None else ""))
    if file.path.suffix == ".toml":
        # Without lines around it: there may be a key in one of them.
        lines = difflib.unified_diff(
            (file.old or "").splitlines(), file.new.splitlines(), lineterm="", n=0
        )
        print("\n".join(line for line in lines if not line.startswith(("---", "+++"))))


def _backup(path: Path, text: str) -> Path:
    """Keep `text` under a new name beside `path`, and return that."""
    number = 1
    while True:
        backup = path.with_name(f"{path.name}.{number}.bak")
        try:
            # O_EXCL follows no link, and overwrites nothing.
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        return backup
