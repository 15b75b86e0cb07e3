"""What goes wrong upstream: said so that Codex does the right thing, and with nothing half-done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from harness.rules import Exchange, Violation, rule

#: Statuses of a provider that mean that the request itself was at fault.
_REFUSED: Final = (400, 401, 402, 403, 404, 413, 422)

#: Seconds; a quota that is back later than this is not waited for.
_LONGEST_WAIT: Final = 300


@rule(
    "failures/1",
    "what fails travels in the stream; only what is wrong with the request itself is HTTP 400",
    breaks="Codex, all versions: 429 is fatal or tried 30 times, 5xx tried 30 times, 401 logs out",
)
def statuses_are_safe(exchange: Exchange) -> Iterator[Violation]:
    status = exchange.answer.status
    if status == 200 or exchange.status == 200:
        return
    if exchange.status not in _REFUSED or status != 400:
        expected = "HTTP 400 or a stream" if exchange.status in _REFUSED else "a stream"
        yield Violation(f"{expected}, where the provider says {exchange.status}", f"HTTP {status}")


@rule(
    "failures/2",
    "what fails says why: a code, and a message for a person",
    breaks="whoever has to mend it",
)
def failures_say_why(exchange: Exchange) -> Iterator[Violation]:
    for error, event in _errors(exchange):
        if not (error.get("code") and error.get("message")):
            yield Violation("error.code and error.message", f"{error}", event)


@rule(
    "failures/3",
    "the provider's own words reach the person",
    breaks="whoever has to mend it",
    level="SHOULD",
)
def words_are_the_providers(exchange: Exchange) -> Iterator[Violation]:
    if (words := _words(exchange)) is None:
        return
    for error, event in _errors(exchange):
        if words not in str(error.get("message")):
            yield Violation(f"a message with {words!r}", f"{error.get('message')!r}", event)


@rule(
    "failures/4",
    "no call is done where the provider did not finish: the limit cut it, or the stream broke",
    breaks="Codex, all versions: it executes half a command, or the same command twice",
)
def nothing_is_half_done(exchange: Exchange) -> Iterator[Violation]:
    if exchange.ended and exchange.said.finish_reason in ("stop", "tool_calls"):
        return
    for event in exchange.events:
        if event.type == "response.output_item.done" and event["item"]["type"].endswith("_call"):
            item = event["item"]
            yield Violation("no call that is done", f"{item['type']} {item.get('name')}", event)


@rule(
    "failures/5",
    "the code is the one that makes Codex wait, compact or stop, as the failure asks for",
    breaks="Codex, all versions: it asks again at once, or for a day, or never",
)
def codes_are_codexs(exchange: Exchange) -> Iterator[Violation]:
    if (expected := _code(exchange)) is None:
        return
    for error, event in _errors(exchange):
        if error.get("code") != expected:
            yield Violation(f"code {expected}", f"code {error.get('code')}", event)
        elif expected == "rate_limit_exceeded" and "try again in" not in error["message"].lower():
            yield Violation("a time: try again in ...s", f"{error['message']!r}", event)


def _errors(exchange: Exchange) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each error that the client was told, with its event where it is one."""
    if exchange.answer.status != 200 and exchange.status != 200:
        try:
            body = json.loads(exchange.answer.body)
        except ValueError:
            body = {}
        error = body.get("error") if isinstance(body, dict) else None
        yield (error if isinstance(error, dict) else {}), None
    for event in exchange.events:
        if event.type == "response.failed":
            yield event["response"].get("error") or {}, event


def _refusal(exchange: Exchange) -> dict[str, Any]:
    """Return the error that the provider told, in an answer or in the stream; empty if none."""
    body: bytes = exchange.responses[-1]["body"]["string"] if exchange.responses else b""
    if exchange.status == 200:
        datas = [line[6:] for line in body.split(b"\n") if line.startswith(b'data: {"')]
        body = datas[-1] if datas else b""
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(parsed, dict) or not {"error", "message"} & parsed.keys():
        return {}
    error = parsed.get("error")
    return {**parsed, **(error if isinstance(error, dict) else {})}


def _words(exchange: Exchange) -> str | None:
    message = _refusal(exchange).get("message")
    return message if isinstance(message, str) and message else None


def _code(exchange: Exchange) -> str | None:
    """Return the code that is due, where there is one that Codex acts upon."""
    refusal = _refusal(exchange)
    if "reduce the length of the messages" in str(refusal.get("message")):
        return "context_length_exceeded"
    if 429 not in (exchange.status, refusal.get("status_code")):
        return None
    (after,) = exchange.responses[-1]["headers"].get("retry-after", ["0"])
    return "insufficient_quota" if float(after) > _LONGEST_WAIT else "rate_limit_exceeded"
