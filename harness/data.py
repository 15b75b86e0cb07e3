"""Where schemas and cassettes are: at the top of a checkout, beside this file once installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import HarnessError

__all__ = ["SCHEMAS", "all_cassettes", "cassettes_folder"]

_HERE: Final = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    installed = _HERE / name
    return installed if installed.is_dir() else _HERE.parent / name


SCHEMAS: Final = _folder("schemas")


def cassettes_folder() -> Path:
    """Return `./cassettes` where there is one, else the recordings that came with the harness."""
    own = Path("cassettes")
    return own if own.is_dir() else _folder("cassettes")


def all_cassettes() -> list[Path]:
    """Return the paths of all cassettes, by backend and scenario; raises where there are none."""
    folder = cassettes_folder()
    paths = sorted(folder.glob("*/*.yaml"))
    if not paths:
        raise HarnessError(f"{folder}: there are no cassettes; 'conformance record' makes one")
    return paths
