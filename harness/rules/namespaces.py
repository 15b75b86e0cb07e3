"""Tools in a namespace, whose names a provider knows only as one."""

from __future__ import annotations

from collections.abc import Iterator

from harness.rules import Exchange, Violation, rule
from harness.rules.calls import pairs_of


@rule(
    "namespaces/1",
    "a call of a tool in a namespace has its `namespace`, apart from its name",
    breaks="Codex from 0.139: 'unsupported call'",
    source="Codex 0.163 and 0.169: a flat name is no tool of theirs",
    needs="provider",
)
def are_told_apart(exchange: Exchange) -> Iterator[Violation]:
    for _, item, event, tool in pairs_of(exchange):
        if tool is not None and tool.namespace and item.get("namespace") != tool.namespace:
            actual = f"namespace {item.get('namespace')!r}"
            yield Violation(f"namespace {tool.namespace!r}", actual, event)


@rule(
    "namespaces/2",
    "a call of any other tool has none",
    breaks="Codex from 0.139: 'unsupported call'",
    source="Codex 0.163 and 0.169 look up both together",
    needs="provider",
)
def are_not_invented(exchange: Exchange) -> Iterator[Violation]:
    for _, item, event, tool in pairs_of(exchange):
        if (tool is None or tool.namespace is None) and item.get("namespace"):
            yield Violation("no namespace", f"namespace {item['namespace']!r}", event)
