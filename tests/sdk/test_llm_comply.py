"""`llm-comply`, a public compliance suite for the Responses API, against the proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.scenarios import Call, Turn, Usage
from tests.sdk.conftest import CLIENT_KEY, Says

#: Every test of the suite.
IDS = [
    "basic-response",
    "system-prompt",
    "multi-turn",
    "tool-calling",
    "streaming-response",
    "streaming-usage",
    "image-input",
    "assistant-phase",
    "response-output-phase-schema",
    "compact-response",
    "compact-missing-model",
    "reasoning-summary",
    "error-handling",
]

USAGE = Usage(40, 12, reasoning_tokens=4)
#: It looks for these events under another name (`reasoning_summary.delta`) than the specification
#: that it brings along, and OpenAI, have for them.
IGNORED = "unknown SSE event type: response.reasoning_summary_text."

#: What it warns of. This endpoint is for Codex, which reads `output` alone, and in its oldest
#: version that has the endpoint knows the item by no other name.
WARNINGS = {
    "compact-response": [
        "expected object containing 'compact', got ''",
        "no output item with type='compaction' (found: ['compaction_summary'])",
    ]
}

ANSWER = Turn(reasoning="A short one.", text="One two three.", usage=USAGE)
CALL = Turn(calls=[Call("w1", "get_weather", {"location": "San Francisco"})], usage=USAGE)


def llm_comply(*arguments: str) -> str:
    program = Path(sys.executable).with_name("llm-comply")
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout


def test_no_test_of_the_suite_is_left_out() -> None:
    listed = llm_comply("--list", "--format", "open-responses").splitlines()

    found = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert found == IDS


@pytest.mark.parametrize("id", IDS)
def test_it_complies(base_url: str, says: Says, id: str) -> None:
    # A conversation may begin with answers that the suite made up.
    says(*[CALL if id == "tool-calling" else ANSWER] * 4)
    # It leaves the test of reasoning out for models that it does not know to reason.
    model = "gpt-5" if id == "reasoning-summary" else "gpt-oss-120b"

    said = llm_comply(
        *("--base-url", base_url, "--api-key", CLIENT_KEY, "--model", model),
        *("--filter", id, "--ignore", IGNORED, "--json"),
    )

    (result,) = json.loads(said)["results"]
    assert result["status"] == "passed", json.dumps(result)
    assert result.get("warnings", []) == WARNINGS.get(id, [])
