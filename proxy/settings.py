"""What one proxy is told at its start. The command line that fills it in is `__main__`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one proxy runs."""

    BACKENDS: ClassVar = ("cerebras",)

    #: Sent to `base_url` and nowhere else; not even `repr` shows it.
    api_key: str = field(repr=False)
    #: Where the provider's `/chat/completions` lives.
    base_url: str = "https://api.cerebras.ai/v1"
    #: Takes the place of OpenAI's own model names, which the provider does not serve.
    model: str = "gpt-oss-120b"
    backend: str = "cerebras"
    #: Seconds of the provider's silence after which the client hears something: Codex gives up
    #: after 300, and does not count comments.
    keep_alive: float = 15.0
    #: Seconds of the provider's silence after which it counts as failed; Codex waits for 300.
    timeout: float = 240.0
    #: Documented as accepted, and rejected by older versions of the API.
    send_parallel_tool_calls: bool = False
    #: Some models open their content with `<think>...</think>`: take that for reasoning.
    think_tags: bool = False
    host: str = "127.0.0.1"
    #: 0 lets the system choose a free one.
    port: int = 10001
