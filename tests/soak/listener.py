"""A client for load: reads a stream as it comes, and checks that each chunk is there once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from dataclasses import dataclass, field
from typing import Final

_DELTA: Final = re.compile(rb'"type":"response\.output_text\.delta"[^\n]*?"delta":"(\d+):')
_LIMIT: Final = 2**20


def request(rate: int, count: int, size: int) -> bytes:
    """Return the HTTP request for a stream of the ticker's."""
    body = json.dumps(
        {"model": "gpt-oss-120b", "input": f"{rate} {count} {size}", "stream": True}
    ).encode()
    return (
        b"POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )


@dataclass(slots=True)
class Heard:
    """What came of one stream."""

    #: Chunks that came in their order; any other is `wrong`.
    count: int = 0
    wrong: int = 0
    completed: int = 0
    #: Seconds to the first chunk, and to the end.
    first: float = 0.0
    last: float = 0.0
    #: Seconds to each chunk that came in its order.
    times: list[float] = field(default_factory=list)

    def delays(self, rate: int) -> list[float]:
        """Return how many seconds later each chunk came than the one that was least late."""
        late = [time - number / rate for number, time in enumerate(self.times)]
        return [each - min(late) for each in late]


async def listen(port: int, rate: int, count: int, size: int = 8) -> Heard:
    """Ask for a stream and read it to its end."""
    heard = Heard()
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    start = loop.time()
    writer.write(request(rate, count, size))
    data = b""
    while not heard.completed:
        more = await reader.read(65536)
        if not more:
            break
        *events, data = (data + more).split(b"\n\n")
        for event in events:
            if (delta := _DELTA.search(event)) is not None:
                now = loop.time() - start
                heard.first = heard.first or now
                if int(delta[1]) == heard.count:
                    heard.count += 1
                    heard.times.append(now)
                else:
                    heard.wrong += 1
            heard.completed += event.count(b"event: response.completed")
    heard.last = loop.time() - start
    writer.close()
    await writer.wait_closed()
    return heard


async def read_slowly(port: int, count: int, size: int, speed: int) -> int:
    """Read so many bytes a second of a stream that is sent as fast as it is taken, until cancelled.

    Returns how many bytes there were.
    """
    connection = socket.socket()
    # The smallest that there is: else the system reads on where the reader does not.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, speed)
    connection.connect(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=speed)
    writer.write(request(0, count, size))
    total = 0
    try:
        while data := await reader.read(speed):
            total += len(data)
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        writer.transport.abort()
    return total
