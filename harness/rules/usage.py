"""The token counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.client import Event
from harness.rules import Exchange, Violation, rule


@rule(
    "usage/1",
    "`usage` has the provider's numbers: input, output and total",
    breaks="Codex, all versions: its context meter, and with it compaction",
    source="Codex adds up `usage` and compacts by it",
    needs="provider",
)
def usage_is_the_providers(exchange: Exchange) -> Iterator[Violation]:
    said = exchange.said.usage or {}
    for usage, event in _usages(exchange):
        pairs = [
            ("input_tokens", said.get("prompt_tokens")),
            ("output_tokens", said.get("completion_tokens")),
            ("total_tokens", said.get("total_tokens")),
        ]
        for name, expected in pairs:
            if expected is not None and usage.get(name) != expected:
                yield Violation(f"{name} {expected}", f"{name} {usage.get(name)}", event)


@rule(
    "usage/2",
    "`usage` has the provider's details: cached tokens and reasoning tokens",
    breaks="who pays: cached tokens are cheaper",
    source="Codex shows both; Cerebras leaves out what is 0",
    needs="provider",
    level="SHOULD",
)
def details_are_the_providers(exchange: Exchange) -> Iterator[Violation]:
    said = exchange.said.usage
    for usage, event in _usages(exchange):
        for whole, part, theirs in (
            ("input_tokens_details", "cached_tokens", "prompt_tokens_details"),
            ("output_tokens_details", "reasoning_tokens", "completion_tokens_details"),
        ):
            expected = ((said or {}).get(theirs) or {}).get(part, 0)
            actual = (usage.get(whole) or {}).get(part)
            if said is not None and actual != expected:
                yield Violation(f"{part} {expected}", f"{part} {actual}", event)


@rule(
    "usage/3",
    "`usage` is told where the provider told it",
    breaks="Codex, all versions: without it the context is empty to it, and is never compacted",
    source="Codex 0.45 and 0.169 count an absent `usage` as 0",
    needs="provider",
)
def usage_is_told(exchange: Exchange) -> Iterator[Violation]:
    if exchange.said.usage is None:
        return
    for kind in ("response.completed", "response.incomplete"):
        for event in exchange.stream.by_type[kind]:
            if event["response"].get("usage") is None:
                yield Violation("usage", "none", event)


@rule(
    "usage/4",
    "the parts of `usage` fit: the total is the sum, and no detail exceeds what it is part of",
    breaks="who adds them up",
    source="OpenAI's specification; every stream that was recorded",
)
def usage_adds_up(exchange: Exchange) -> Iterator[Violation]:
    for usage, event in _usages(exchange):
        taken, given = usage["input_tokens"], usage["output_tokens"]
        if usage["total_tokens"] != taken + given:
            yield Violation(f"total {taken + given}", f"total {usage['total_tokens']}", event)
        cached = (usage.get("input_tokens_details") or {}).get("cached_tokens", 0)
        thought = (usage.get("output_tokens_details") or {}).get("reasoning_tokens", 0)
        if cached > taken or thought > given:
            actual = f"{cached} cached, {thought} of reasoning"
            yield Violation(f"at most {taken} cached, {given} of reasoning", actual, event)


def _usages(exchange: Exchange) -> Iterator[tuple[Mapping[str, Any], Event]]:
    for event in exchange.stream.terminal:
        if isinstance(usage := event["response"].get("usage"), dict):
            yield usage, event
