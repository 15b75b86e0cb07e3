"""Where the cassettes of this repository are."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "cassettes"


def cerebras(name: str) -> Path:
    """Return the path of a cassette recorded of Cerebras' dialect."""
    return FOLDER / "cerebras" / f"{name}.yaml"
