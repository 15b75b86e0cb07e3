"""A small MCP server on stdin and stdout: its one tool writes a line into a file, and counts.

`python -P -m harness.mcp_counter FILE`; Codex starts it where the matrix configures it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Answer one JSON-RPC message a line, until stdin ends."""
    file = Path(sys.argv[1])
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue  # a notification
        answer = _answer(message["method"], message.get("params") or {}, file)
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}) + "\n")
        sys.stdout.flush()


def _answer(method: str, parameters: dict[str, Any], file: Path) -> dict[str, Any]:
    match method:
        case "initialize":
            return {
                "result": {
                    "protocolVersion": parameters["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "counter", "version": "1"},
                }
            }
        case "tools/list":
            schema = {
                "type": "object",
                "properties": {"line": {"type": "string"}},
                "required": ["line"],
                "additionalProperties": False,
            }
            tool = {"name": "count", "description": "Count a line.", "inputSchema": schema}
            return {"result": {"tools": [tool]}}
        case "tools/call":
            with file.open("a") as lines:
                lines.write(parameters["arguments"]["line"] + "\n")
            count = len(file.read_text().splitlines())
            return {"result": {"content": [{"type": "text", "text": f"counted {count}"}]}}
        case "ping":
            return {"result": {}}
        case _:
            return {"error": {"code": -32601, "message": f"there is no {method} here"}}


if __name__ == "__main__":
    main()
