"""What tells Codex about the model in the matrix: what `codex-proxy setup` writes, and images."""

from __future__ import annotations

from typing import Any, Final

from proxy.model_catalog import catalog

__all__ = ["CATALOG", "INSTRUCTIONS"]

_MODEL: Final = catalog("gpt-oss-120b")["models"][0]

#: The beginning of what the model is told, so that it is seen that Codex read the catalog.
INSTRUCTIONS: Final[str] = _MODEL["base_instructions"].partition("\n")[0]

#: The model reads text; that Codex thinks it reads images, too, lets the matrix see what becomes of
#: one that it sends all the same.
CATALOG: Final[dict[str, Any]] = {
    "models": [{**_MODEL, "input_modalities": ["text", "image"]}],
}
