"""What goes wrong upstream: said so that Codex does the right thing, and with nothing half-done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from harness.client import CREDENTIAL, Event
from harness.rules import Exchange, Violation, rule
from harness.rules.stream import CALLS, DONE

#: Statuses of a provider that mean that the request itself was at fault.
_REFUSED: Final = (400, 401, 402, 403, 404, 413, 422)

#: Seconds; a quota that is back later than this is not waited for.
_LONGEST_WAIT: Final = 300

#: What Codex reads out of a message.
_WAIT: Final = re.compile(r"try again in (\d+(?:\.\d+)?)\s*(s|ms|seconds?)\b", re.IGNORECASE)

#: Codes at which new versions of Codex stop for good.
_FATAL: Final = (
    "bio_policy",
    "context_length_exceeded",
    "cyber_policy",
    "insufficient_quota",
    "invalid_prompt",
    "misalignment_policy_violation",
    "server_is_overloaded",
    "slow_down",
    "usage_not_included",
)


@rule(
    "failures/1",
    "what fails travels in the stream; only what is wrong with the request itself is HTTP 400, "
    "and a rate limit may be HTTP 429 with Retry-After in whole seconds, not before the provider's",
    breaks="Codex, all versions: 429 is fatal or tried 30 times, 5xx tried 30 times, 401 logs out",
    source="Codex 0.45 and 0.169, how often each status was asked again; they wait for whole "
    "seconds of Retry-After, and a fraction is fatal or passed over",
    needs="provider",
)
def statuses_are_safe(exchange: Exchange) -> Iterator[Violation]:
    status = exchange.answer.status
    if status == 200 or exchange.status == 200 or _waits_by_http(exchange):
        return
    if exchange.status not in _REFUSED or status != 400:
        expected = "HTTP 400 or a stream" if exchange.status in _REFUSED else "a stream"
        yield Violation(f"{expected}, where the provider says {exchange.status}", f"HTTP {status}")


@rule(
    "failures/2",
    "what fails says why: a code, and a message for a person",
    breaks="whoever has to mend it",
    source="Codex shows error.message, and decides by error.code",
    needs="stream",
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
    source="Codex 0.169 shows the message; a flat body of Cerebras at best raw",
    needs="provider",
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
    source="Codex 0.45 and 0.169 run a call when it is done, whatever its status",
    needs="provider",
)
def nothing_is_half_done(exchange: Exchange) -> Iterator[Violation]:
    if exchange.ended and exchange.said.finish_reason in ("stop", "tool_calls"):
        return
    for event in exchange.stream.by_type[DONE]:
        if (item := event["item"])["type"] in CALLS:
            yield Violation("no call that is done", f"{item['type']} {item.get('name')}", event)


@rule(
    "failures/5",
    "the code is the one that makes Codex wait, compact or stop, as the failure asks for",
    breaks="Codex, all versions: it asks again at once, or for a day, or never",
    source="Codex 0.169: error.code decides whether it waits, compacts or stops",
    needs="provider",
)
def codes_are_codexs(exchange: Exchange) -> Iterator[Violation]:
    if (expected := _code(exchange)) is None or _waits_by_http(exchange):
        return
    for error, event in _errors(exchange):
        if error.get("code") != expected:
            yield Violation(f"code {expected}", f"code {error.get('code')}", event)


@rule(
    "failures/6",
    "no message and no reasoning that broke off is done where the response fails",
    breaks="Codex, all versions: half a text enters the history of the next try",
    source="Codex 0.45 and 0.169 record every item that is done, and ask again",
    needs="provider",
)
def nothing_is_half_said(exchange: Exchange) -> Iterator[Violation]:
    runs: list[str] = [kind for kind, _ in groupby(piece.kind for piece in exchange.said.pieces)]
    for item_type, kind in (("message", "text"), ("reasoning", "reasoning")):
        whole = runs[:-1].count(kind)  # the last one is what broke off
        done = [it for it in exchange.stream.items if it.done and it.type == item_type]
        if exchange.stream.by_type["response.failed"] and len(done) > whole:
            expected = f"{whole} of type {item_type} done"
            yield Violation(expected, f"{len(done)} of them", done[-1].done)


@rule(
    "failures/7",
    "a rate limit says when to try again, and not before the provider's own time",
    breaks="Codex, all versions: it asks again at once, and is refused again",
    source="Codex 0.45 and 0.169 read 'try again in 1.5s' out of the message",
    needs="provider",
)
def waits_are_told(exchange: Exchange) -> Iterator[Violation]:
    if _code(exchange) != "rate_limit_exceeded" or _waits_by_http(exchange):
        return
    after = _after(exchange)
    for error, event in _errors(exchange):
        found = _WAIT.search(str(error.get("message")))
        seconds = float(found[1]) / (1000 if found[2].lower() == "ms" else 1) if found else -1
        if seconds < after:
            yield Violation(
                f"try again in {after:g}s, or later", f"{error.get('message')!r}", event
            )


@rule(
    "failures/8",
    "what may pass by itself has a code at which the client tries again",
    breaks="Codex from 0.163: it gives up for good",
    source="Codex 0.169: codes that are fatal after one request",
    needs="provider",
)
def passing_faults_are_not_final(exchange: Exchange) -> Iterator[Violation]:
    broke_off = exchange.status == 200 and not exchange.ended and not _refusal(exchange)
    if exchange.status in range(1, 500) and not broke_off:
        return
    for error, event in _errors(exchange):
        if error.get("code") in _FATAL:
            yield Violation("server_error, or a code like it", f"{error.get('code')}", event)


@rule(
    "failures/9",
    "what is said of a failure does not repeat the client's credential",
    breaks="the person: messages end up in logs and in reports of bugs",
    source="a proxy gets the client's login, and quotes what it cannot send",
)
def secrets_are_kept(exchange: Exchange) -> Iterator[Violation]:
    for error, event in _errors(exchange):
        if CREDENTIAL in json.dumps(error):
            yield Violation("a message without it", f"{error.get('message')!r}", event)


def _errors(exchange: Exchange) -> Iterator[tuple[dict[str, Any], Event | None]]:
    """Yield each error that the client was told, with its event where it is one."""
    if exchange.answer.status != 200 and exchange.status != 200:
        try:
            body = json.loads(exchange.answer.body)
        except ValueError:
            body = {}
        error = body.get("error") if isinstance(body, dict) else None
        yield (error if isinstance(error, dict) else {}), None
    for event in exchange.stream.by_type["response.failed"]:
        yield event["response"].get("error") or {}, event


def _refusal(exchange: Exchange) -> dict[str, Any]:
    """Return the error that the provider told, in an answer or in the stream; empty if none."""
    body: bytes = exchange.responses[-1]["body"]["string"] if exchange.responses else b""
    if exchange.status == 200:
        lines = reversed(body.split(b"\n"))
        body = next((line[6:] for line in lines if line.startswith(b'data: {"')), b"")
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
    return "insufficient_quota" if _after(exchange) > _LONGEST_WAIT else "rate_limit_exceeded"


def _after(exchange: Exchange) -> float:
    """Return how many seconds the provider wants the client to wait."""
    (after,) = exchange.responses[-1]["headers"].get("retry-after", ["0"])
    return float(after)


def _waits_by_http(exchange: Exchange) -> bool:
    """Tell whether a rate limit is told by HTTP, so that Codex waits: it takes whole seconds."""
    after = exchange.answer.headers.get("retry-after", "")
    return (
        exchange.answer.status == 429
        and _code(exchange) == "rate_limit_exceeded"
        and after.isascii()
        and after.isdigit()
        and _after(exchange) <= int(after) <= _LONGEST_WAIT
    )
