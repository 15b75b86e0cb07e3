"""What the emulator asks of a provider's dialect, and what dialects have in common."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

from harness.scenarios import Refusal, Scenario, Turn

__all__ = ["Dialect", "Stream", "pieces"]


class Stream(Protocol):
    """One answer."""

    @property
    def headers(self) -> dict[str, str]: ...

    def events(self) -> Iterator[tuple[float, bytes]]:
        """Yield all but what ends it, each event with the seconds after which it is due."""
        ...

    def finish(self) -> tuple[float, bytes]:
        """Return what ends it, likewise."""
        ...

    def fail(self, error: dict[str, Any]) -> bytes:
        """Return what says, after any of the events, that something went wrong."""
        ...


class Dialect(ABC):
    """How one provider speaks when it plays `scenario` to whoever has `api_key`."""

    #: Of the base URL that its clients are configured with.
    BASE_PATH: ClassVar[str]

    def __init__(self, scenario: Scenario, api_key: str) -> None:
        self._scenario = scenario
        self._api_key = api_key

    @abstractmethod
    def read(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> dict[str, Any] | Refusal:
        """Return a request that is in order, or what is answered to any other."""

    @abstractmethod
    def turn_number(self, request: Any) -> int:
        """Return which turn is next in the conversation of a request that is in order."""

    @abstractmethod
    def stream(self, turn: Turn, request: Any) -> Stream:
        """Return the answer to `request` that is `turn`."""


def pieces(text: str, count: int | None = None) -> list[str]:
    """Cut `text` into about one piece a token, or into `count` pieces of like length."""
    if count is None:
        return re.findall(r"\s*\w{1,6}|\s*[^\w\s]{1,3}|\s+$", text)
    cuts = [round(number * len(text) / count) for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]
