"""A provider for load: many streams at a steady rate, with as little work of its own as can be.

`python -m tests.soak.ticker` prints its port, and serves until its input ends. A request says in
its one message what to send: `RATE COUNT SIZE`, so many chunks a second (0: as fast as they are
taken), how many, and of how many characters. Chunk n is the text `n:` and padding, so that the
receiver can tell a lost one from a repeated one.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
from typing import Final

import uvloop

_PLAN: Final = re.compile(rb'"content":"(\d+) (\d+) (\d+)"')
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


@functools.cache
def chunk(number: int, size: int) -> bytes:
    text = f"{number}:".ljust(size, "x")
    return _framed({"choices": [{"index": 0, "delta": {"content": text}}]})


@functools.cache
def ending(count: int) -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    return _framed(last) + b"0\r\n\r\n"


def _framed(data: object) -> bytes:
    event = b"data: " + json.dumps(data).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            body = await reader.readexactly(int(length[1]) if length else 0)
            plan = _PLAN.search(body)
            assert plan is not None, body
            rate, count, size = map(int, plan.groups())
            writer.write(_HEAD)
            start = loop.time()
            for number in range(count):
                wait = start + number / rate - loop.time() if rate else 0
                if wait > 0 or number % 64 == 0:  # the others, too, are served
                    await asyncio.sleep(max(wait, 0))
                writer.write(chunk(number, size))
                await writer.drain()
            writer.write(ending(count))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the proxy has left
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
