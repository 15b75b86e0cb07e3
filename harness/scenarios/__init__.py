"""What is played: one YAML file a scenario, named like the cassette that is recorded of it."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final, Literal

import msgspec

from harness.errors import HarnessError

__all__ = [
    "BACKENDS",
    "Backend",
    "Call",
    "Refusal",
    "Scenario",
    "Timing",
    "Turn",
    "UnknownScenario",
    "Usage",
    "load",
    "names",
]

#: Who answers: by name, as `--backend` takes it.
Backend = Literal["cerebras", "chatgpt"]
BACKENDS: Final[tuple[Backend, ...]] = ("cerebras", "chatgpt")


class UnknownScenario(HarnessError, KeyError):
    """There is none of that name; the message has those that there are."""


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call of the model, and what comes of it."""

    id: str
    name: str
    #: An object stands for its JSON; a string is sent as it is, JSON or not.
    arguments: dict[str, Any] | str
    kind: Literal["function", "custom"] = "function"
    #: Where the tool is, for a client that has several of its name.
    namespace: str | None = None
    #: What the tool prints; a list of content parts where it is more than text.
    output: str | list[dict[str, Any]] = ""
    exit_code: int = 0
    #: In how many chunks the arguments come; by default one a token.
    chunks: int | None = None
    #: Bytes of numbered lines that `{filler}` stands for in the arguments.
    filler: int = 0

    @property
    def arguments_text(self) -> str:
        text = self.arguments
        if not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
        if self.filler:
            text = text.replace("{filler}", json.dumps(_lines(self.filler))[1:-1])
        return text


class Usage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Tokens, as the provider counts them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    #: Cerebras says it since 2026.
    reasoning_tokens: int = 0


class Timing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The provider's `time_info`, in seconds."""

    queue: float
    prompt: float
    completion: float
    total: float


class Refusal(msgspec.Struct, forbid_unknown_fields=True):
    """An error in place of an answer."""

    status: int
    #: An object is sent as JSON, text as it is.
    body: dict[str, Any] | str = ""
    headers: dict[str, str] = {}
    #: How often, before the turn is played; None: it never is.
    times: int | None = None


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    """One answer of the model, and what goes wrong with it."""

    #: None: the provider does not tell it. Cerebras always does; others do where they are asked to.
    usage: Usage | None = Usage(0, 0)
    timing: Timing = Timing(0, 0, 0, 0)
    reasoning: str = ""
    #: In how many chunks the reasoning comes; by default one a word.
    reasoning_chunks: int | None = None
    text: str = ""
    calls: list[Call] = []
    #: Fragments of parallel calls take turns instead of following each other.
    interleaved: bool = False
    #: The calls come whole, together in one chunk, as all models but gpt-oss send them.
    whole_calls: bool = False
    #: Why the model stopped, where it was not that it had said all, or called.
    stopped_by: Literal["length", "content_filter"] | None = None

    refusal: Refusal | None = None
    #: A stream that begins and then fails: an event that says so, and nothing after it.
    error: dict[str, Any] | None = None
    #: How the stream ends: as it should; in the middle, by a connection that is closed or reset, or
    #: by silence; without a finish_reason; or by a connection that is closed before any answer.
    end: Literal["complete", "cut", "reset", "stall", "unfinished", "unanswered"] = "complete"
    #: How many chunks come before that error or end; by default all but the one that ends it.
    after: int | None = None

    #: What the person says when the turn is over.
    then: str | None = None
    #: The answer to a request to sum up the conversation, which goes on with the summary alone.
    compacts: bool = False

    @property
    def finish_reason(self) -> Literal["tool_calls", "stop", "length", "content_filter"]:
        return self.stopped_by or ("tool_calls" if self.calls else "stop")

    @property
    def fails(self) -> bool:
        """Whether no answer of the model's comes of it, however often it is asked."""
        refused = self.refusal is not None and self.refusal.times is None
        return refused or self.error is not None or self.end != "complete"


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation: what the client asks, what the model answers, turn by turn."""

    title: str
    #: Whose requests these are, by shape: see `harness/codex_requests.py`.
    client: Literal["codex-0.45", "codex-0.121", "codex-0.163"]
    prompt: str
    turns: list[Turn]
    #: The paths of a proxy that it exercises, for who looks for one.
    exercises: list[str] = []
    #: Who can play it.
    backends: tuple[Backend, ...] = ("cerebras",)
    #: Names of the tools that the client offers, where they are not those of its version.
    tools: list[str] = []
    #: What the client wants the answer to be, as a JSON Schema.
    output_schema: dict[str, Any] | None = None
    #: Whose wire dialect Cerebras speaks: its own of that month. In 2025 a stream ended without
    #: `[DONE]`, usage did not tell reasoning tokens, and some models said nothing before they
    #: stopped (`"delta":{}`) or gave their time in whole seconds.
    dialect: Literal["2025-11", "2025-11-glm", "2025-11-qwen", "2026-05"] = "2026-05"
    name: str = ""

    @property
    def fails(self) -> bool:
        """Whether something goes wrong that no live provider does when asked to."""
        return any(turn.fails or turn.refusal or turn.usage is None for turn in self.turns)


def _lines(size: int) -> str:
    """Return about `size` bytes of numbered lines."""
    return "".join(f"line {number:6}\n" for number in range(size // 12))


def names(backend: Backend | None = None) -> list[str]:
    """Return the names of all scenarios, sorted, or of those that `backend` can play."""
    files = resources.files(__name__).iterdir()
    found = sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return [name for name in found if backend is None or backend in load(name).backends]


def load(name: str) -> Scenario:
    """Return the scenario called `name`; raises `UnknownScenario` where there is none."""
    file = resources.files(__name__) / f"{name}.yaml"
    if "/" in name or not file.is_file():
        raise UnknownScenario(f"there is no scenario {name!r}; there are: {', '.join(names())}")
    scenario = msgspec.yaml.decode(file.read_bytes(), type=Scenario)
    scenario.name = name
    return scenario
