"""What one proxy is told at its start. The command line that fills it in is `__main__`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["BACKENDS", "Settings"]


class _Backend(NamedTuple):
    """What is true of a backend unless the settings say otherwise."""

    base_url: str
    port: int
    #: The environment variable that says where it is: error messages name it.
    variable: str


#: Who can answer.
BACKENDS: Final[Mapping[str, _Backend]] = {
    "cerebras": _Backend("https://api.cerebras.ai/v1", 10001, "CEREBRAS_BASE_URL"),
    "chatgpt": _Backend("https://chatgpt.com/backend-api/codex", 10000, "CHATGPT_BASE_URL"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one proxy runs."""

    #: A name in `BACKENDS`.
    backend: str = "cerebras"
    #: Where it is, without a slash at the end; empty becomes the backend's own.
    base_url: str = ""
    host: str = "127.0.0.1"
    #: 0 lets the system choose a free one; -1 becomes the backend's own.
    port: int = -1
    #: How many processes answer.
    workers: int = 1
    #: What every request must know, where it is set: an address that is not loopback needs one.
    token: str = field(default="", repr=False)
    #: Seconds that open streams have to finish once the proxy is told to stop.
    grace: float = 10.0
    #: Where the logs go; none: nowhere.
    log_directory: Path | None = None

    # --- cerebras alone --------------------------------------------------------------------------

    #: Sent to `base_url` and nowhere else; not even `repr` shows it.
    api_key: str = field(default="", repr=False)
    #: Takes the place of OpenAI's own model names, which the provider does not serve.
    model: str = "gpt-oss-120b"
    #: Seconds of the provider's silence after which the client hears something: Codex gives up
    #: after 300, and does not count comments.
    keep_alive: float = 15.0
    #: Seconds of the provider's silence after which it counts as failed; Codex waits for 300.
    timeout: float = 240.0
    #: Documented as accepted, and rejected by older versions of the API.
    send_parallel_tool_calls: bool = False
    #: Some models open their content with `<think>...</think>`: take that for reasoning.
    think_tags: bool = False
    #: Have the model show in which repository and branch Codex works.
    status_line: bool = False

    @property
    def chat_url(self) -> str:
        """Where Cerebras takes a conversation."""
        return f"{self.base_url}/chat/completions"

    def __post_init__(self) -> None:
        """Fill in what depends on the backend."""
        backend = BACKENDS[self.backend]
        object.__setattr__(self, "base_url", self.base_url or backend.base_url)
        object.__setattr__(self, "port", backend.port if self.port == -1 else self.port)
