"""ChatGPT's backend as Codex uses it: the Responses API behind a login, and stricter.

Each refusal says where its words are from: recorded, quoted by those who met it, or inferred.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from harness import schema
from harness.emulator.dialect import Dialect
from harness.emulator.responses import ResponseStream, blob, call_id
from harness.scenarios import Refusal, Scenario, Turn

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["MODELS", "ChatGPT"]

#: The models that it has for an account.
MODELS: Final = ("gpt-5.5", "gpt-5.4")

_RESPONSES: Final = ("POST", "/backend-api/codex/responses")
_MODELS: Final = ("GET", "/backend-api/codex/models")


class ChatGPT(Dialect):
    """Responses as ChatGPT's backend streams them.

    It is strict: no login or a wrong one, a model that the account does not have, what Codex always
    sends and others leave out, a call without its result are refused in its words.
    """

    BASE_PATH = "/backend-api/codex"

    def __init__(self, scenario: Scenario, api_key: str) -> None:
        super().__init__(scenario, api_key)
        schema.check({}, "responses/request.json")  # read now, so that the first answer is not late

    def read(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> dict[str, Any] | Refusal:
        if (method, path) not in (_RESPONSES, _MODELS):
            return _detail(404, "Not Found")  # inferred
        if (authorization := headers.get(b"authorization")) is None:
            return _detail(401, "Unauthorized")  # quoted; that it is said to this is inferred
        if authorization != f"Bearer {self._api_key}".encode():
            return _detail(  # recorded
                401, "Could not parse your authentication token. Please try signing in again."
            )
        if (method, path) == _MODELS:
            return Refusal(200, {"models": []})
        try:
            request = json.loads(_plain(body, headers.get(b"content-encoding", b"")))
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return _detail(400, "Bad Request")  # quoted
        return self._fault(request) or request

    def _fault(self, request: dict[str, Any]) -> Refusal | None:
        """Return what is wrong with a request, the first thing first."""
        if fault := _shape_fault(request):
            return _detail(400, fault)
        if faults := schema.check(request, "responses/request.json"):
            path, message = faults[0]  # in the words of the schema
            return _invalid(message, path.removeprefix("$."), "invalid_value")
        if (model := request["model"]) not in MODELS:
            return _detail(  # quoted
                400,
                f"The '{model}' model is not supported when using Codex with a ChatGPT account.",
            )
        if fault := _pairing_fault(request["input"]):
            return _invalid(fault, "input", None)
        if self.turn_number(request) >= len(self._scenario.turns):
            return _detail(400, f"scenario {self._scenario.name} is over")
        return None

    def turn_number(self, request: Any) -> int:
        """Return the first turn of which the conversation does not have all.

        Ids of items do not tell, as old versions of Codex send none, nor does a count, as they put
        the result of each parallel call behind it. A turn without text and calls leaves no trace,
        and is played again.
        """
        items: list[dict[str, Any]] = request["input"]
        called = Counter(item["call_id"] for item in items if item.get("type") in _CALLS)
        spoken = Counter(_text(item) for item in items if item.get("role") == "assistant")
        turns = self._scenario.turns
        # A conversation that was summed up begins anew, with the summary.
        summed_up = [at + 1 for at, turn in enumerate(turns) if _sums_up(turn, items)]
        start = max(summed_up, default=0)
        for number, turn in enumerate(turns[start:], start):
            known = called if turn.calls else spoken
            played = Counter([call_id(call) for call in turn.calls] or [turn.text])
            if not played <= known:
                return number
            known.subtract(played)
        return len(turns)

    def stream(self, turn: Turn, request: Any) -> ResponseStream:
        return ResponseStream(turn, request)


# --- requests ------------------------------------------------------------------------------------

_CALLS: Final = ("function_call", "custom_tool_call")
_OUTPUTS: Final = tuple(f"{kind}_output" for kind in _CALLS)


def _text(item: dict[str, Any]) -> str:
    content = item.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def _sums_up(turn: Turn, items: list[dict[str, Any]]) -> bool:
    """Whether a conversation has what this turn made of an earlier one."""
    return turn.compacts and any(
        item.get("encrypted_content") == blob(turn.text)
        or (item.get("role") == "user" and turn.text in _text(item))
        for item in items
    )


def _plain(body: bytes, encoding: bytes) -> bytes:
    """Return a body as it was before it was compressed; raises `ValueError`."""
    try:
        if encoding == b"zstd":
            return zstd.decompress(body)
        if encoding == b"gzip":
            return gzip.decompress(body)
    except (zstd.ZstdError, zlib.error, EOFError, OSError) as error:
        raise ValueError(str(error)) from None
    if encoding not in (b"", b"identity"):
        raise ValueError(f"content-encoding {encoding!r}")
    return body


# --- refusals ------------------------------------------------------------------------------------


def _shape_fault(request: dict[str, Any]) -> str | None:
    """Return what it says of a request that Codex would never send: quoted, and so is the order."""
    items = request.get("input")
    # That a developer's message may stand for them is inferred: Codex 0.163 sends nothing else.
    if not request.get("instructions") and not (
        isinstance(items, list)
        and any(isinstance(item, dict) and item.get("role") == "developer" for item in items)
    ):
        return "Instructions are required"
    if not isinstance(items, list):
        return "Input must be a list"
    if request.get("store") is not False:
        return "Store must be set to false"
    if request.get("stream") is not True:
        return "Stream must be set to true"
    if request.get("max_output_tokens") is not None:
        return "Unsupported parameter: max_output_tokens"
    return None


def _pairing_fault(items: list[dict[str, Any]]) -> str | None:
    """Return what it says where calls and results do not fit, wherever they are.

    The words are quoted; that custom tools have the same is inferred.
    """
    called = {item["call_id"] for item in items if item.get("type") in _CALLS}
    answered = {item["call_id"] for item in items if item.get("type") in _OUTPUTS}
    if missing := called - answered:
        return f"No tool output found for function call {min(missing)}."
    if orphans := answered - called:
        return f"No tool call found for function call output with call_id {min(orphans)}."
    return None


def _detail(status: int, text: str) -> Refusal:
    return Refusal(status, {"detail": text})


def _invalid(message: str, param: str, code: str | None) -> Refusal:
    """Return a refusal in the shape of the API behind the backend; quoted."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Refusal(400, {"error": error})
