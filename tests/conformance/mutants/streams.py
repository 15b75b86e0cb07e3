"""Mutants that spoil a stream as a whole: its frame, its course, its numbers, its times."""

from __future__ import annotations

import math

from tests.conformance.mutants.judge import Broken
from tests.conformance.mutants.servers import Data, Mutation
from tests.conformance.mutants.spoiling import (
    doubled,
    with_each,
    with_last,
    with_response,
    without,
)

__all__ = ["STREAMS"]


def _end_incomplete(event: Data) -> None:
    event["type"] = "response.incomplete"
    details = {"reason": "max_output_tokens"}
    event["response"] |= {"status": "incomplete", "incomplete_details": details}


def _forget_the_arguments(event: Data) -> None:
    if event["item"]["type"] == "function_call":
        del event["item"]["arguments"]


def _comment(event: bytes) -> bytes:
    return b": ping\n\n" + event if event.startswith(b"event: response.created") else event


def _cut_the_end(event: bytes) -> bytes:
    return event.rstrip() if event.startswith(b"event: response.completed") else event


STREAMS = (
    Broken(
        "schema",
        "leaves out a field that an event must have",
        "whole-calls",
        Mutation(with_each("response.output_item.done", _forget_the_arguments)),
        {"items/5"},
    ),
    Broken(
        "framing/1",
        "calls a stream `application/json`",
        "hello",
        Mutation(content_type="application/json"),
    ),
    Broken(
        "framing/2",
        "has another name in `event:` than in `type`",
        "hello",
        Mutation(wire=lambda event: event.replace(b"event: response.c", b"event: c")),
    ),
    Broken(
        "framing/3",
        "leaves out the blank line behind the last event",
        "hello",
        Mutation(wire=_cut_the_end),
        {"lifecycle/2"},
    ),
    Broken("framing/4", "begins with a comment", "hello", Mutation(wire=_comment)),
    Broken(
        "lifecycle/1",
        "leaves out `response.created`",
        "hello",
        Mutation(without("response.created")),
    ),
    Broken(
        "lifecycle/2",
        "says `response.completed` twice",
        "hello",
        Mutation(doubled("response.completed")),
    ),
    Broken(
        "lifecycle/3",
        "ends with another id than it began with",
        "hello",
        Mutation(with_response(id="resp_other")),
    ),
    Broken(
        "lifecycle/4",
        "calls a whole answer incomplete",
        "hello",
        Mutation(with_last(_end_incomplete)),
    ),
    Broken(
        "lifecycle/5",
        "leaves out `response.in_progress`",
        "hello",
        Mutation(without("response.in_progress")),
    ),
    Broken(
        "lifecycle/6",
        "changes `created_at` at the end",
        "hello",
        Mutation(with_response(created_at=1)),
    ),
    Broken(
        "sequence/1",
        "skips a number",
        "hello",
        Mutation(number=lambda number: number + (number >= 3)),
    ),
    Broken(
        "timing/1",
        "says nothing before the provider has said all",
        "hello",
        Mutation(late=math.inf),
    ),
    Broken("timing/2", "holds back one event", "hello", Mutation(late=1)),
    Broken(
        "timing/3",
        "is silent for long before the last event",
        "hello",
        Mutation(pause=0.3),
    ),
)
