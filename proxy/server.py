"""uvicorn, as this proxy runs it: what is open when it is told to stop comes to a proper end."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from types import FrameType
from typing import Final

import uvicorn

from proxy.app import create_app
from proxy.asgi import Application
from proxy.journal import Journal
from proxy.protocol import Protocol
from proxy.settings import Settings

__all__ = ["Server", "check_journal", "serve"]

#: Seconds that an idle connection is kept: Codex runs tools between two requests, and a connection
#: that closes just then is a request that fails.
_KEPT: Final = 120

#: Bytes of memory that stay with this process once they were free, and twice as many at the end of
#: its memory.
_FREE: Final = 4 * 1024 * 1024

#: Seconds that what is left has to say that it failed.
_LAST_WORD: Final = 2


def serve(listener: socket.socket, settings: Settings) -> None:
    """Serve one proxy on a listening socket until told to stop; a SIGTERM ends this process."""
    _keep_memory()
    journal = _open_journal(settings, listener.getsockname()[1])
    Server(create_app(settings, journal), settings).run(sockets=[listener])


def check_journal(settings: Settings, port: int) -> None:
    """Raise `JournalRefused` where there can be no logs, before anything is served."""
    journal = _open_journal(settings, port)
    if journal is not None:
        journal.close()


def _keep_memory() -> None:
    """Have memory that is free used again: what goes back to the system comes back page by page.

    The largest block that was ever freed tells glibc what is worth keeping (mallopt(3)); this one
    is never touched, and so costs nothing. Other libraries go by rules of their own.
    """
    bytes(_FREE)


def _open_journal(settings: Settings, port: int) -> Journal | None:
    if settings.log_directory is None:
        return None
    secret = settings.api_key
    return Journal(settings.log_directory, backend=settings.backend, port=port, secret=secret)


class Server(uvicorn.Server):
    """Serves one application; a signal lets what is open finish, a second one does not."""

    def __init__(self, application: Application, settings: Settings) -> None:
        config = uvicorn.Config(
            application,
            # By name, so that a missing one is an error and not a slower proxy.
            interface="asgi3",
            loop="uvloop",
            http=Protocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="error",  # a WebSocket that is refused is no warning to a person
            server_header=False,
            # An answer that is passed through has its own, or none.
            date_header=settings.backend == "cerebras",
            proxy_headers=False,
            timeout_keep_alive=_KEPT,
            # What holds on after that is a client that does not read.
            timeout_graceful_shutdown=math.ceil(settings.grace) + _LAST_WORD,
        )
        super().__init__(config)
        self._grace = settings.grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for what is open, and after the grace period tell it to end."""
        ending = asyncio.get_running_loop().call_later(self._grace, self._end_what_is_left)
        await super().shutdown(sockets)
        ending.cancel()

    def _end_what_is_left(self) -> None:
        for task in self.server_state.tasks:
            task.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; the second time at once, as if nothing had caught the signal."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            os.kill(os.getpid(), sig)
        super().handle_exit(sig, frame)
