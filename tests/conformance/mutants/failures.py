"""Mutants that spoil what the client is told of a failure, or of a conversation summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.client import CREDENTIAL
from harness.rules.stream import ADDED, DONE, TERMINAL
from tests.conformance.mutants.items import done_message
from tests.conformance.mutants.judge import Broken
from tests.conformance.mutants.servers import Data, Mutation, Spoil
from tests.conformance.mutants.spoiling import error, is_about, with_each

__all__ = ["FAILURES"]

_FAILED = "response.failed"


def _code(code: str) -> Spoil:
    return with_each(_FAILED, lambda event: event["response"]["error"].update(code=code))


def _finish_the_call(event: Data, before: Sequence[Data]) -> list[Data]:
    if event["type"] != _FAILED:
        return [event]
    added = next(filter(is_about(ADDED, "function_call"), before))
    item = {**added["item"], "status": "completed", "arguments": "{}"}
    return [{**added, "type": DONE, "item": item}, event]


def _finish_the_message(event: Data, before: Sequence[Data]) -> list[Data]:
    if event["type"] != _FAILED:
        return [event]
    *_, added = filter(is_about(ADDED, "message"), before)
    text = "".join(one["delta"] for one in before if one["type"] == "response.output_text.delta")
    id, index = added["item"]["id"], added["output_index"]
    return [*done_message(event["response"], text, id, index), event]


def _wait_half_a_second(event: Data) -> None:
    told = event["response"]["error"]
    words, _, _ = told["message"].partition(" Please")
    told["message"] = f"{words} Please try again in 0.5s."


def _sum_up_twice(event: Data, before: Sequence[Data]) -> list[Data]:
    """Repeat the compaction item, in order, as another one."""
    if event["type"] not in TERMINAL:
        return [event]
    again = [
        {**one, "output_index": 1, "item": {**one["item"], "id": "cmp_again"}}
        for kind in (ADDED, DONE)
        for one in filter(is_about(kind, "compaction"), before)
    ]
    event["response"]["output"] += [one["item"] for one in again[-1:]]
    return [*again, event]


def _with_words(change: Callable[[str], str]) -> Mutation:
    return error(lambda told: told.update(message=change(told["message"])))


FAILURES = (
    Broken(
        "failures/1",
        "passes on the provider's 401",
        "wrong-key",
        error(lambda told: None, status=401),
    ),
    Broken("failures/2", "leaves out the code", "wrong-key", error(lambda told: told.pop("code"))),
    Broken(
        "failures/3",
        "hides what the provider said",
        "wrong-key",
        _with_words(lambda words: "It failed."),
    ),
    Broken(
        "failures/4",
        "finishes a call that broke off",
        "cut-after-call",
        Mutation(_finish_the_call),
        {"chains/1", "items/5"},
    ),
    Broken(
        "failures/5",
        "calls a rate limit a fault of the server",
        "rate-limit",
        Mutation(_code("server_error")),
    ),
    Broken(
        "failures/6",
        "finishes a message that broke off",
        "cut-text",
        Mutation(_finish_the_message),
    ),
    Broken(
        "failures/7",
        "says to try again before the provider's time",
        "rate-limit",
        Mutation(with_each(_FAILED, _wait_half_a_second)),
    ),
    Broken(
        "failures/8",
        "calls a broken connection a fault of the request",
        "cut-text",
        Mutation(_code("invalid_prompt")),
    ),
    Broken(
        "failures/8",
        "calls a broken connection a breach of a policy",
        "cut-text",
        Mutation(_code("cyber_policy")),
    ),
    Broken(
        "failures/9",
        "quotes the client's credential",
        "wrong-key",
        _with_words(lambda words: f"{words} ({CREDENTIAL})"),
    ),
    Broken("compaction/1", "sums up twice", "compaction", Mutation(_sum_up_twice)),
)
