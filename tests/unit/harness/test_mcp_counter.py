"""The MCP server of the matrix, over its stdin and stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_it_counts_what_it_is_called_with(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    call = {"name": "count", "arguments": {"line": "a line"}}
    asked: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {"id": 3, "method": "tools/call", "params": call},
        {"id": 4, "method": "tools/call", "params": call},
        {"id": 5, "method": "resources/list"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in asked)

    done = subprocess.run(
        [sys.executable, "-m", "harness.mcp_counter", str(file)],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4, 5]
    assert answers[0]["result"]["protocolVersion"] == "2025-06-18"
    assert [tool["name"] for tool in answers[1]["result"]["tools"]] == ["count"]
    assert answers[3]["result"]["content"] == [{"type": "text", "text": "counted 2"}]
    assert answers[4]["error"]["code"] == -32601
    assert file.read_text() == "a line\na line\n"
