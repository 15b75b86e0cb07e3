"""A scripted model for any version of Codex: what it calls follows from the tools it is offered.

Versions differ in the tools that they offer, so a script is a function of these. The emulator plays
it, in Cerebras' dialect, with all that Cerebras refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.emulator import Emulator
from harness.emulator.cerebras import Cerebras
from harness.scenarios import Call, Scenario, Turn
from harness.server import Receive, Scope, Send, read_body

__all__ = ["KEY", "Model", "NotOffered", "Offer", "Script"]

#: What the proxy has to show.
KEY: Final = "emulator-key"


class NotOffered(Exception):
    """This version, with this configuration, has no such tool; the message names it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of a request, by the names that the provider is told."""

    names: Sequence[str]

    def command(self, id: str, command: str) -> Call:
        """Return a call that lets a shell run `command`."""
        for name, arguments in (
            ("exec_command", {"cmd": command}),
            ("shell_command", {"command": command}),
            ("shell", {"command": ["bash", "-lc", command]}),
        ):
            if name in self.names:
                return Call(id, name, arguments)
        raise NotOffered("a shell")

    def patch(self, id: str, patch: str) -> Call:
        """Return a call of the patch tool, of either kind: the provider sees functions alone."""
        return self.tool(id, "apply_patch", {"input": patch})

    def tool(self, id: str, name: str, arguments: dict[str, Any]) -> Call:
        """Return a call of the tool whose name is, or ends with, `name`."""
        found = next((each for each in self.names if each.endswith(name)), None)
        if found is None:
            raise NotOffered(name)
        return Call(id, found, arguments)


Script = Callable[[Offer], list[Turn]]


class Model(Emulator):
    """Plays one script after the other under one address."""

    def __init__(self) -> None:
        super().__init__(_scenario(), api_key=KEY)
        self.play(lambda offer: [])

    def play(self, script: Script) -> None:
        """Play `script` from its start, whoever asks next."""
        self._script: Script | None = script
        #: What the provider was asked, in order.
        self.requests: list[dict[str, Any]] = []
        #: The tools of the first request; None before it.
        self.offer: Offer | None = None
        #: The tool that the script calls, and the version has not.
        self.missing: str | None = None
        self._scenario = _scenario()
        self._turns = self._scenario.turns
        self._dialect = _Dialect(self._scenario, KEY)
        self._refused.clear()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if scope["method"] == "POST":
            request = json.loads(body)
            self.requests.append(request)
            if self.offer is None:
                self._write(request)
        bodies = [body]

        async def again() -> Any:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(), "more_body": False}
            return await receive()

        await super()._app(scope, again, send)

    def _write(self, request: dict[str, Any]) -> None:
        """Write the script, now that the tools are known."""
        assert self._script is not None
        self.offer = Offer([tool["function"]["name"] for tool in request.get("tools", ())])
        try:
            self._turns += self._script(self.offer)
        except NotOffered as missing:
            self.missing = str(missing)
            self._turns.append(Turn(text="There is no such tool."))


class _Dialect(Cerebras):
    """Knows parallel calls also where an old Codex tells them one by one, each with its result."""

    def turn_number(self, request: Any) -> int:
        turns = {
            call.id: number
            for number, turn in enumerate(self._scenario.turns)
            for call in turn.calls
        }
        calls = [m["tool_calls"][0]["id"] for m in request["messages"] if m.get("tool_calls")]
        again = len(calls) - len({turns.get(id, id) for id in calls})
        return super().turn_number(request) - again


def _scenario() -> Scenario:
    """Return a scenario that has no turns yet."""
    return Scenario(title="", client="codex-0.163", prompt="", turns=[], name="codex-matrix")
