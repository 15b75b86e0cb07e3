"""What is played: one YAML file a scenario, named like the cassette that is recorded of it."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Literal

import msgspec

__all__ = ["Call", "Scenario", "Timing", "Turn", "Usage", "load", "names"]


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call of the model, and what comes of it."""

    id: str
    name: str
    #: An object stands for its JSON; a string is sent as it is, JSON or not.
    arguments: dict[str, Any] | str
    #: What the tool prints.
    output: str = ""
    exit_code: int = 0

    @property
    def arguments_text(self) -> str:
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))


class Usage(msgspec.Struct, forbid_unknown_fields=True):
    """Tokens, as the provider counts them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    #: Cerebras says it since 2026.
    reasoning_tokens: int = 0


class Timing(msgspec.Struct, forbid_unknown_fields=True):
    """The provider's `time_info`, in seconds."""

    queue: float
    prompt: float
    completion: float
    total: float


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    """One answer of the model."""

    usage: Usage
    timing: Timing
    reasoning: str = ""
    #: In how many chunks the reasoning comes; by default one a word.
    reasoning_chunks: int | None = None
    text: str = ""
    calls: list[Call] = []
    #: Fragments of parallel calls take turns instead of following each other.
    interleaved: bool = False

    @property
    def finish_reason(self) -> Literal["tool_calls", "stop"]:
        return "tool_calls" if self.calls else "stop"


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation: what the client asks, what the model answers, turn by turn."""

    title: str
    #: Whose requests these are, by shape: see `harness/codex_requests.py`.
    client: Literal["codex-0.45", "codex-0.163"]
    prompt: str
    turns: list[Turn]
    #: Whose wire dialect Cerebras speaks: its own of that month. In 2025 a stream ended without
    #: `[DONE]`, and usage did not tell reasoning tokens.
    dialect: Literal["2025-11", "2026-05"] = "2026-05"
    name: str = ""


def names() -> list[str]:
    """Return the names of all scenarios, sorted."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load(name: str) -> Scenario:
    """Return the scenario called `name`; raises `KeyError` where there is none."""
    file = resources.files(__name__) / f"{name}.yaml"
    if name not in names():
        raise KeyError(f"there is no scenario {name!r}; there are: {', '.join(names())}")
    scenario = msgspec.yaml.decode(file.read_bytes(), type=Scenario)
    scenario.name = name
    return scenario
