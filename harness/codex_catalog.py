"""What tells Codex about a model that it does not know: the smallest catalog that it takes."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["CATALOG", "INSTRUCTIONS"]

#: What the model is told, so that it is seen that Codex read the catalog.
INSTRUCTIONS: Final = "You work on the files of a person, with the tools that you have."

_EFFORTS: Final = [
    {"effort": effort, "description": f"Thinks with {effort} effort."}
    for effort in ("low", "medium", "high")
]

#: What tells Codex about a model; the newer versions want more of these fields.
CATALOG: Final[dict[str, Any]] = {
    "models": [
        {
            "slug": "gpt-oss-120b",
            "display_name": "gpt-oss-120b on Cerebras",
            "description": "An open model with open weights.",
            "default_reasoning_level": "medium",
            "supported_reasoning_levels": _EFFORTS,
            "shell_type": "unified_exec",
            "visibility": "list",
            "supported_in_api": True,
            "priority": 1,
            "availability_nux": None,
            "upgrade": None,
            "base_instructions": INSTRUCTIONS,
            "supports_reasoning_summaries": True,
            "support_verbosity": False,
            "default_verbosity": None,
            "apply_patch_tool_type": "freeform",
            "truncation_policy": {"mode": "tokens", "limit": 10000},
            "context_window": 131072,
            "experimental_supported_tools": [],
            "supports_parallel_tool_calls": True,
            "input_modalities": ["text", "image"],
        }
    ]
}
