"""The proxy's core alone, without any I/O: a provider's bytes in, the client's bytes out.

Times are those of the processor, so that it matters little what else the machine does.
"""

from __future__ import annotations

import time
from typing import Final

from harness.bench.traffic import MODEL, Plan, request, stream
from proxy.reconstruct import ResponseStream
from proxy.request import decode_request
from proxy.responses import Response
from proxy.settings import Settings
from proxy.translate import translate

__all__ = ["new_stream", "rate", "reads", "seconds"]

#: Bytes that the proxy's HTTP client hands over at once, at most.
_READ: Final = 16 * 1024

_DELTAS: Final = 10_000
_ROUNDS: Final = 10


def new_stream(plan: Plan) -> ResponseStream:
    """Return the stream that answers the bench's request."""
    client_request = decode_request(request(plan))
    translation = translate(client_request, Settings(api_key="k"))
    return ResponseStream(
        Response.to(client_request, id=f"resp_{'0' * 32}", created_at=1795305600, model=MODEL),
        toolbox=translation.toolbox,
        call_ids=translation.call_ids,
    )


def reads(events: list[bytes]) -> list[bytes]:
    """Return a provider's stream as it is read when all of it is there."""
    whole = b"".join(events)
    return [whole[at : at + _READ] for at in range(0, len(whole), _READ)]


def seconds(answer: ResponseStream, arriving: list[bytes]) -> float:
    """Return the processor time that `answer` takes for what arrives."""
    start = time.thread_time()
    for data in arriving:
        answer.receive_data(data)
    return time.thread_time() - start


def rate(kind: str) -> float:
    """Return how many deltas a second go through the core, at its best, to the end of a stream."""
    plan = Plan(kind, _DELTAS)
    arriving = reads(stream(plan))
    best = 0.0
    for _ in range(_ROUNDS):
        answer = new_stream(plan)
        answer.start()
        best = max(best, _DELTAS / seconds(answer, arriving))
        assert answer.closed, "the provider's stream has no end"
    return best
