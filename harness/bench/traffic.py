"""What flows in the bench: a request of Codex' size, and the streams that a provider answers.

The request says in its last words which stream is wanted (`Plan`), so that the provider needs no
state and every subject gets the same bytes. All of it is made up, and the same in every run.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

__all__ = [
    "BULK",
    "BURST",
    "HOLD",
    "KINDS",
    "MODEL",
    "Plan",
    "chunk",
    "closing",
    "opening",
    "pieces",
    "request",
    "stream",
]

Json = dict[str, Any]

MODEL: Final = "gpt-oss-120b"

#: What the deltas of a stream are; of each kind, the events that carry them to the client.
KINDS: Final = {
    "text": ("response.output_text.delta",),
    "reasoning": ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"),
    "function": ("response.function_call_arguments.delta",),
    "custom": ("response.custom_tool_call_input.delta",),
}

#: All at once, each event in an HTTP chunk of its own.
BURST: Final = 0
#: All but the end, which never comes: the client has to leave.
HOLD: Final = -1
#: All at once, in HTTP chunks of 64 KB.
BULK: Final = -2

_MARKER: Final = re.compile(rb"\[bench (\w+) (\d+) (-?\d+)\]")

#: About what a model's tokens are; those of a patch have JSON's escapes in them.
_PROSE: Final = (" The", " proxy", " reads", " each", " chunk", ",", " naïve", "ly", " →", ".\n")
_CODE: Final = ("+", "    ", "return", " read", "(", '"a', ".txt", '"', ")", "\n")


class Plan(NamedTuple):
    """The stream that one request asks for."""

    #: One of `KINDS`.
    kind: str
    deltas: int
    #: Deltas a second, or `BURST`, or `HOLD`.
    pace: int = BURST

    @classmethod
    def of(cls, request: bytes) -> Plan:
        """Return the plan in a request, whatever a proxy has made of it."""
        kind, deltas, pace = _MARKER.findall(request)[-1]
        return cls(kind.decode(), int(deltas), int(pace))

    def __str__(self) -> str:
        return f"[bench {self.kind} {self.deltas} {self.pace}]"


# --- the provider's stream -----------------------------------------------------------------------


def pieces(kind: str, count: int) -> Iterator[str]:
    """Yield what each of `count` deltas says: prose, the JSON of a command, or a patch."""
    words = _CODE if kind == "custom" else _PROSE
    for number in range(count):
        piece = words[number % len(words)]
        if kind == "function":
            piece = piece.replace("\n", "\\n")
            piece = '{"cmd":"' * (number == 0) + piece + '"}' * (number == count - 1)
        yield piece


def stream(plan: Plan) -> list[bytes]:
    """Return the events of a whole stream, or of one that is held: of that all but the end."""
    deltas = [chunk(plan.kind, piece) for piece in pieces(plan.kind, plan.deltas)]
    return [*opening(plan.kind), *deltas, *(() if plan.pace == HOLD else closing(plan.kind))]


def opening(kind: str) -> list[bytes]:
    """Return the events before the first delta."""
    role = _chunk({"role": "assistant"})
    if kind == "function":
        return [role, _call_opener("exec_command")]
    if kind == "custom":
        return [role, _call_opener("apply_patch"), _chunk(_arguments('{"input":"'))]
    return [role]


def chunk(kind: str, piece: str) -> bytes:
    """Return the event that carries one delta."""
    match kind:
        case "text":
            return _chunk({"content": piece})
        case "reasoning":
            return _chunk({"reasoning": piece})
        case "function":
            return _chunk(_arguments(piece))
    # A custom tool is a function with one string, so what is said stands there escaped.
    return _chunk(_arguments(json.dumps(piece, ensure_ascii=False)[1:-1]))


def closing(kind: str) -> list[bytes]:
    """Return the events behind the last delta."""
    rest = [_chunk(_arguments('"}'))] if kind == "custom" else []
    reason = "tool_calls" if kind in ("function", "custom") else "stop"
    usage = {
        "total_tokens": 10100,
        "completion_tokens": 1100,
        "completion_tokens_details": {"reasoning_tokens": 100},
        "prompt_tokens": 9000,
        "prompt_tokens_details": {"cached_tokens": 8000},
    }
    return [*rest, _chunk({}, {"finish_reason": reason}, {"usage": usage}), b"data: [DONE]\n\n"]


def _call_opener(name: str) -> bytes:
    function = {"name": name, "arguments": ""}
    call = {"function": function, "type": "function", "id": "call_5d0b4a6e9a57", "index": 0}
    return _chunk({"tool_calls": [call]})


def _arguments(piece: str) -> Json:
    return {"tool_calls": [{"function": {"arguments": piece}, "type": "function", "index": 0}]}


def _chunk(delta: Json, choice: Json | None = None, more: Json | None = None) -> bytes:
    """Return one event in the dialect of Cerebras, keys in its order."""
    whole = {
        "id": "chatcmpl-2a6f8f0e-6d0b-4a6e-9a57-0c5d1e4b7f11",
        "choices": [{"delta": delta, **(choice or {}), "index": 0}],
        "created": 1795305600,
        "model": MODEL,
        "system_fingerprint": "fp_2a6f8f0e6d0b4a6e",
        "object": "chat.completion.chunk",
        **(more or {}),
    }
    return b"data: %b\n\n" % json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


# --- the client's request ------------------------------------------------------------------------


def request(plan: Plan, *, history: int = 8000) -> bytes:
    """Return a request of Codex' that asks for `plan`, after `history` bytes of conversation.

    With the default it has 40 KB: instructions of 16, twelve tools of 15.
    """
    body = {
        "model": MODEL,
        "instructions": _prose(16000, seed=1),
        "input": [
            _message("user", "<environment_context>\n  <cwd>/tmp</cwd>\n</environment_context>"),
            *_history(history),
            _message("user", f"Go on, please. {plan}"),
        ],
        "tools": _TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "2a6f8f0e-6d0b-4a6e-9a57-0c5d1e4b7f11",
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _history(size: int) -> Iterator[Json]:
    """Yield turns of about 4,000 bytes each: the model thinks, calls, gets an output and speaks."""
    for turn in range(size // 4000):
        arguments = json.dumps({"cmd": f"sed -n 1,40p file{turn}.py"})
        call_id = f"call_{turn:08}"
        thought = [{"type": "summary_text", "text": _prose(400, seed=turn)}]
        yield {"type": "reasoning", "summary": thought, "encrypted_content": None}
        call = {"type": "function_call", "name": "exec_command", "call_id": call_id}
        yield {**call, "arguments": arguments}
        output = _prose(2400, seed=turn + 1)
        yield {"type": "function_call_output", "call_id": call_id, "output": output}
        yield _message("assistant", _prose(600, seed=turn + 2), part="output_text")


def _message(role: str, text: str, *, part: str = "input_text") -> Json:
    return {"type": "message", "role": role, "content": [{"type": part, "text": text}]}


def _prose(size: int, *, seed: int) -> str:
    """Return about `size` bytes of words and line breaks."""
    chosen = random.Random(seed)  # noqa: S311 - the same in every run, that is what is wanted
    words = ["file", "read", "write", "test", "the", "a", "line", "run", '"quoted"', "again", "\n-"]
    return " ".join(chosen.choices(words, k=size // 5))


def _function(number: int) -> Json:
    properties = {
        f"argument_{count}": {"type": "string", "description": _prose(140, seed=number + count)}
        for count in range(5)
    }
    return {
        "type": "function",
        "name": "exec_command" if number == 0 else f"tool_{number}",
        "description": _prose(300, seed=number),
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"cmd": {"type": "string"}, **properties},
            "required": ["cmd"],
            "additionalProperties": False,
        },
    }


_TOOLS: Final = [
    *map(_function, range(11)),
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Change files by a patch.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /(.|\\n)+/"},
    },
]
