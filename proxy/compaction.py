"""Summing up a conversation, which new versions of Codex leave to the backend.

The summary travels as the `encrypted_content` of a `compaction` item and comes back in later
requests. Nothing in it is secret from Codex, so it is only encoded; the prefix tells it from what
another backend wrote, which cannot be read here.
"""

from __future__ import annotations

import base64
from typing import Final

__all__ = ["REQUEST", "pack", "unpack"]

#: What is asked of the model.
REQUEST: Final = (
    "Sum up this conversation so that another engineer can carry on with the work from your text "
    "alone. Say what was asked for, what was decided and why, what was done (files, commands and "
    "what came of them), what is still open, and what to do next. Do not call tools."
)

_PREFIX: Final = "codex-proxy-1."
_HEADING: Final = "Summary of the conversation so far:\n"


def pack(summary: str) -> str:
    """Return the content of a `compaction` item."""
    return _PREFIX + base64.urlsafe_b64encode(summary.encode()).decode()


def unpack(content: str) -> str:
    """Return what the model is told of an earlier conversation; raises `ValueError` if foreign."""
    if not content.startswith(_PREFIX):
        raise ValueError("not packed by this proxy")
    return (
        _HEADING
        + base64.b64decode(content.removeprefix(_PREFIX), altchars=b"-_", validate=True).decode()
    )
