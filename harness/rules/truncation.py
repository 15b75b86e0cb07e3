"""Answers that the provider itself cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.rules import Exchange, Violation, rule

#: By finish reason.
_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@rule(
    "truncation/1",
    "an incomplete response says why: its limit (`max_output_tokens`), or a filter",
    breaks="Codex from 0.163: it shows the reason, and asks again after a filter",
    source="Codex 0.169: 'Incomplete response returned, reason: ...'",
    needs="provider",
)
def says_why(exchange: Exchange) -> Iterator[Violation]:
    expected = _REASONS.get(exchange.said.finish_reason or "")
    for event in exchange.stream.by_type["response.incomplete"]:
        actual = event["response"]["incomplete_details"]["reason"]
        if expected is not None and actual != expected:
            yield Violation(f"reason {expected}", f"reason {actual}", event)
