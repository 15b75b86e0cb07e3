"""What the harness itself costs: judging, replaying, and its commands.

Times are those of the processor, so that it matters little what else the machine does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import uvloop
from vcr.request import Request

from harness.bench import client
from harness.bench.core import new_stream, reads
from harness.bench.traffic import KINDS, Plan, request, stream
from harness.cassette import Cassette, backend_of, join, load
from harness.chat_stream import read_chat_stream
from harness.client import Answer, read_events
from harness.data import all_cassettes
from harness.errors import HarnessError
from harness.provider import Provider
from harness.replay import Replay, replay, schema_faults
from harness.rules import Exchange, check
from harness.subject import OwnProxies
from harness.transport import CassetteTransport

__all__ = ["Figure", "measure"]

_ROUNDS: Final = 3

#: Cassettes with the most events that are judged by themselves.
_LONGEST: Final = 2

#: Deltas of a stream that is made up, and how often it is replayed.
_DELTAS: Final = 10_000
_BURSTS: Final = 10

_COMMANDS: Final = (
    ("--help",),
    ("run", "--only", "cerebras/create-file"),
    ("run",),
    ("verify",),
)


class Figure(NamedTuple):
    """One thing that was measured."""

    what: str
    amount: float
    unit: str

    def __str__(self) -> str:
        digits = 2 if self.amount < 100 else 0
        return f"{self.what:<48}{self.amount:>12,.{digits}f} {self.unit}"


def measure() -> Iterator[Figure]:
    """Measure all of it: about a minute."""
    yield from _judging()
    yield from _replaying()
    for command in _COMMANDS:
        yield from _running(*command)


# --- schemas and rules ---------------------------------------------------------------------------


def _judging() -> Iterator[Figure]:
    for kind in KINDS:
        exchanges = [[_made_up(kind)] for _ in range(_ROUNDS)]
        yield _rate(f"schemas and rules, {_DELTAS:,} deltas of {kind}", exchanges)
    with Provider() as provider, OwnProxies(provider) as proxies:
        # What is replayed again has other ids, as it has with another proxy or in a variant.
        rounds = [list(_played(provider, proxies)) for _ in range(_ROUNDS)]
    by_length = sorted(range(len(rounds[0])), key=lambda at: -_events(rounds[0][at].exchanges))
    for at in by_length[:_LONGEST]:
        yield _rate(
            f"schemas and rules, {rounds[0][at].name}", [one[at].exchanges for one in rounds]
        )
    everything = [[each for played in one for each in played.exchanges] for one in rounds]
    yield _rate("schemas and rules, all cassettes", everything)


def _made_up(kind: str) -> Exchange:
    """Return a long answer of the proxy's, without its HTTP."""
    plan = Plan(kind, _DELTAS)
    answer = new_stream(plan)
    said = stream(plan)
    told = [answer.start(), *map(answer.receive_data, reads(said))]
    events = read_events(b"".join(told))
    return Exchange(Answer(200, "text/event-stream", events), read_chat_stream(b"".join(said)))


def _played(provider: Provider, proxies: OwnProxies) -> Iterator[Replay]:
    for path in all_cassettes():
        if (backend := backend_of(load(path))) == "cerebras":  # the other is compared, not judged
            yield replay(path, proxies[backend].url, provider)


def _rate(what: str, rounds: list[list[Exchange]]) -> Figure:
    best = 0.0
    for exchanges in rounds:
        fresh = [replace(exchange) for exchange in exchanges]  # nothing is sorted yet
        start = time.thread_time()
        for exchange in fresh:
            invalid = list(schema_faults(exchange))
            check(exchange, valid=not invalid)
        best = max(best, _events(exchanges) / (time.thread_time() - start))
    return Figure(what, best, "events/s")


def _events(exchanges: list[Exchange]) -> int:
    return sum(len(exchange.events) for exchange in exchanges)


# --- the provider's edge -------------------------------------------------------------------------


def _replaying() -> Iterator[Figure]:
    plan = Plan("text", _DELTAS)
    chunks = stream(plan)
    with Provider(CassetteTransport(_cassette(plan, chunks))) as provider:
        port = int(provider.url.rpartition(":")[2])
        began, before = time.perf_counter(), time.process_time() - time.thread_time()
        answers = uvloop.run(_ask(port, request(plan)))
        # Here runs the client, and in the only other thread the server.
        seconds = time.process_time() - time.thread_time() - before
        wall = time.perf_counter() - began
    for fault in filter(None, (answer.fault(plan) for answer in answers)):
        raise HarnessError(f"the replay server: {fault}")
    count = len(chunks) * _BURSTS
    yield Figure("replay server, of its processor time", count / seconds, "chunks/s")
    yield Figure("replay server, with its client in one process", count / wall, "chunks/s")


def _cassette(plan: Plan, chunks: list[bytes]) -> Cassette:
    cassette = join([], repeats=True)
    asked = Request("POST", "http://provider/v1/chat/completions", request(plan), {})
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"]},
        "body": {"string": b"".join(chunks)},
        "stream": {"chunks": [[0.0, len(chunk)] for chunk in chunks], "end": "complete"},
    }
    cassette.append(asked, answer)
    return cassette


async def _ask(port: int, body: bytes) -> list[client.Answer]:
    connection = await client.Connection.to(port)
    answers = [await connection.ask("/v1/chat/completions", body) for _ in range(_BURSTS)]
    connection.close()
    return answers


# --- commands ------------------------------------------------------------------------------------


def _running(*arguments: str) -> Iterator[Figure]:
    name = f"conformance {' '.join(arguments)}"
    command = [sys.executable, "-P", "-m", "harness", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    costs, walls = [], []
    for _ in range(_ROUNDS):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        walls.append(time.perf_counter() - began)
    yield Figure(name, min(costs), "s of processor time")
    yield Figure(name, min(walls), "s")
