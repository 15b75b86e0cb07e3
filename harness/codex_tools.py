"""Tools as Codex offers them: names, kinds and parameters are its own, the prose is not."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["TOOLS"]

Tool = dict[str, Any]


def _function(name: str, description: str, required: list[str], **properties: Tool) -> Tool:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }


_STRING: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_BOOLEAN: Final = {"type": "boolean"}

_SHELL: Final = _function(
    "shell",
    "Run a command.",
    ["command"],
    command={"type": "array", "items": _STRING},
    justification=_STRING,
    timeout_ms=_NUMBER,
    with_escalated_permissions=_BOOLEAN,
    workdir=_STRING,
)
_APPLY_PATCH: Final = _function("apply_patch", "Change files.", ["input"], input=_STRING)
_VIEW_IMAGE: Final = _function("view_image", "Look at an image.", ["path"], path=_STRING)
_EXEC_COMMAND: Final = _function(
    "exec_command",
    "Run a command in a terminal.",
    ["cmd"],
    cmd=_STRING,
    login=_BOOLEAN,
    max_output_tokens=_NUMBER,
    shell=_STRING,
    tty=_BOOLEAN,
    workdir=_STRING,
    yield_time_ms=_NUMBER,
)
_WRITE_STDIN: Final = _function(
    "write_stdin",
    "Write to a running command.",
    ["session_id"],
    chars=_STRING,
    max_output_tokens=_NUMBER,
    session_id=_NUMBER,
    yield_time_ms=_NUMBER,
)
_MULTI_AGENT: Final = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Work with other agents.",
    "tools": [
        _function("close_agent", "Close an agent.", ["target"], target=_STRING),
    ],
}
_WEB_SEARCH: Final = {"type": "web_search", "external_web_access": True}

_PLAN: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"step": _STRING, "status": _STRING},
        "required": ["step", "status"],
        "additionalProperties": False,
    },
}
_UPDATE_PLAN: Final = _function(
    "update_plan", "Say what is planned.", ["plan"], explanation=_STRING, plan=_PLAN
)
_GET_GOAL: Final = _function("get_goal", "Ask what the goal is.", [])
_APPLY_PATCH_FREEFORM: Final = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Change files.",
    "format": {
        "type": "grammar",
        "syntax": "lark",
        "definition": 'start: "*** Begin Patch" LF line+ "*** End Patch" LF?\nline: /.+/ LF\n',
    },
}

#: What a scenario can name.
TOOLS: Final[dict[str, Tool]] = {
    "shell": _SHELL,
    "apply_patch": _APPLY_PATCH,
    "apply_patch_freeform": _APPLY_PATCH_FREEFORM,
    "view_image": _VIEW_IMAGE,
    "exec_command": _EXEC_COMMAND,
    "write_stdin": _WRITE_STDIN,
    "update_plan": _UPDATE_PLAN,
    "get_goal": _GET_GOAL,
    "multi_agent_v1": _MULTI_AGENT,
    "web_search": _WEB_SEARCH,
}
