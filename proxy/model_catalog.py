"""What Codex has to know of a model to treat it as one of its own.

Without it Codex warns that it has no metadata, offers no apply_patch, does not know when a
conversation is too long, and sends a prompt for no model in particular. The shape is Codex' own
ModelInfo, with all that a version needs since 0.105.0, the first that reads a catalog.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

__all__ = ["WINDOW", "catalog"]

#: Tokens that gpt-oss-120b takes at Cerebras, with the answer.
WINDOW: Final = 131_072

#: What part of the window a conversation may fill before it is summed up: the rest is for the
#: longest answer, a quarter of the window.
_FILLED: Final = 0.75

#: Tokens of a tool's output that the model gets to see.
_OUTPUT: Final = 10_000

_INSTRUCTIONS: Final = Path(__file__).with_name("base_instructions.md")

_EFFORTS: Final = {
    "low": "Answers soonest; for small changes and questions",
    "medium": "Thinks as much as most tasks need",
    "high": "Thinks longest; for faults that hide and designs that matter",
}


def catalog(model: str, *, window: int = WINDOW) -> dict[str, Any]:
    """Return the catalog for `model_catalog_json`: `{"models": [...]}` with this one model.

    `window` is the context window in tokens.
    """
    return {
        "models": [
            {
                "slug": model,
                "display_name": f"{model} at Cerebras",
                "description": "An open model, served by Cerebras through codex-proxy.",
                "default_reasoning_level": "medium",
                "supported_reasoning_levels": [
                    {"effort": effort, "description": description}
                    for effort, description in _EFFORTS.items()
                ],
                "shell_type": "unified_exec",
                "visibility": "list",
                "supported_in_api": True,
                "priority": 1,
                "availability_nux": None,
                "upgrade": None,
                "base_instructions": _INSTRUCTIONS.read_text(encoding="utf-8"),
                # Without it versions before 0.163 read no catalog; those send no effort without it.
                "supports_reasoning_summaries": True,
                "support_verbosity": False,
                "default_verbosity": None,
                "apply_patch_tool_type": "freeform",
                "truncation_policy": {"mode": "tokens", "limit": _OUTPUT},
                "context_window": window,
                "auto_compact_token_limit": int(window * _FILLED),
                "experimental_supported_tools": [],
                "supports_parallel_tool_calls": True,
                "input_modalities": ["text"],
            }
        ]
    }
