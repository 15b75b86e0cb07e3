"""Where schemas and cassettes are: at the top of a checkout, beside this file once installed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.scenarios import BACKENDS

__all__ = ["SCHEMAS", "all_cassettes", "cassettes_folder"]

_HERE: Final = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    installed = _HERE / name
    return installed if installed.is_dir() else _HERE.parent / name


SCHEMAS: Final = _folder("schemas")


def cassettes_folder() -> Path:
    """Return `./cassettes` if it is of this kind, else the recordings that came with the harness.

    vcrpy's are kept in a folder of that name, too; of this kind is one with a folder of a backend.
    """
    own = Path("cassettes")
    is_ours = any((own / backend).is_dir() for backend in BACKENDS)
    return own if is_ours else _folder("cassettes")


def all_cassettes() -> list[Path]:
    """Return the paths of all cassettes, by backend and scenario; raises where there are none."""
    folder = cassettes_folder()
    paths = sorted(folder.glob("*/*.yaml"))
    if not paths:
        raise HarnessError(f"{folder}: there are no cassettes; 'conformance record' makes one")
    return paths
