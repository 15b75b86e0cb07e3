"""Requests of clients with prose in them.

All of it is made up: nothing of Codex' own is in this repository.
"""

from __future__ import annotations

from harness import scenarios
from harness.client import read_events
from harness.codex_requests import begin
from tests.unit.harness.handmade import Json, sse


def prose(name: str, length: int = 60) -> str:
    """Return prose that is no other one's, nor a part of it."""
    return (
        f"<{name}> " + 'Be brief, and say so: «naïve» "quoted"\n'.ljust(length, "·") + f" </{name}>"
    )


def message(role: str, *texts: str) -> Json:
    content = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "role": role, "content": content}


CONTEXT = "<environment_context>\n  <cwd>/somewhere/or/other</cwd>\n</environment_context>"


def codex(client: str) -> Json:
    """Return the last request of a conversation that this client has."""
    scenario = scenarios.load("create-file-exec" if client == "codex-0.163" else "create-file")
    assert scenario.client == client
    conversation = begin(scenario)
    for turn in scenario.turns[:-1]:
        items = [
            {
                "type": "function_call",
                "id": f"fc_{call.id}",
                "status": "completed",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments_text,
            }
            for call in turn.calls
        ]
        said = ({"type": "response.output_item.done", "item": item} for item in items)
        conversation.take(read_events(sse(*said)))
    return conversation.request()
