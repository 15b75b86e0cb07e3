"""The streams that are made by hand have the form of those that others recorded.

The recordings are not part of this repository: they lie beside it, in `shared/corpus`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.client import read_events
from harness.compare import compare
from harness.scenarios import Call
from tests.unit.harness.chatgpt_streams import events
from tests.unit.harness.handmade import sse, turn

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpus"

if not CORPUS.is_dir():
    pytest.skip(f"the corpus is not here: {CORPUS}", allow_module_level=True)

RECORDED = sorted((CORPUS / "chatgpt-backend").glob("*.sse"))


def test_nothing_in_a_handmade_stream_is_not_in_the_recorded_ones() -> None:
    assert RECORDED
    recorded = [read_events(path.read_bytes()) for path in RECORDED]
    call = Call(id="1a2", name="shell", arguments={"cmd": "ls"})
    handmade = [
        read_events(sse(*events(one, newer=False)))
        for one in (turn(reasoning="Hm.", calls=[call, call]), turn("Done."))
    ]

    differences = [difference.id for difference in compare(handmade, recorded, [])]

    # They are other conversations: how many turns, and which items in them, says nothing.
    assert [id for id in differences if not id.startswith(("turn: ", "conversation: "))] == []
