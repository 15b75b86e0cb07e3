"""What the system is told of a connection to the provider, and tells of it: paths, silence, TLS."""

from __future__ import annotations

import asyncio
import math
import os
import select
import socket
import ssl
import sys
from typing import Final

import certifi
from aiohappyeyeballs import start_connection

__all__ = ["connected_to", "is_silent", "quiet_for", "verifying"]

#: Seconds after which the next of a host's addresses is tried as well (RFC 8305).
_NEXT_ADDRESS: Final = 0.25

#: When a path counts as dead: after 20 s in which nothing at its other end acknowledges. Options of
#: a socket, where the system has them.
_DEAD: Final = (
    ("TCP_KEEPIDLE", 10),  # seconds of quiet, after which it is probed
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 2),
    ("TCP_USER_TIMEOUT", 20_000),  # milliseconds, where something was sent: then nothing is probed
)

#: Where `struct tcp_info` of Linux has the milliseconds since data was sent last.
_LAST_DATA_SENT: Final = slice(44, 48)


async def connected_to(host: str, port: int) -> socket.socket:
    """Return a connection to the first of a host's addresses that accepts one."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
    try:
        _notice_a_dead_path(connected)
    except OSError:  # the other end has left already
        connected.close()
        raise
    return connected


def is_silent(transport: asyncio.Transport) -> bool:
    """Tell whether all is sent, and the other end has said nothing since, nor that it ends.

    What is left would be in the way of what is sent now. All this is asked of the system, as what
    it has may not have come here yet, and as under TLS a transport does not tell what it still has
    to send.
    """
    if transport.get_write_buffer_size():
        return False
    poll = select.poll()
    descriptor = transport.get_extra_info("socket").fileno()
    poll.register(descriptor, select.POLLIN | select.POLLOUT)
    return poll.poll(0) == [(descriptor, select.POLLOUT)]


def _notice_a_dead_path(connected: socket.socket) -> None:
    """Let the system end a connection that leads nowhere, which else is but a silent provider."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _DEAD:
        if (option := getattr(socket, name, None)) is not None:  # not every system has each
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def quiet_for(transport: asyncio.Transport | None) -> float:
    """Return for how many seconds nothing was sent, if the system can tell; else infinity.

    Of a long request over a slow network it has most for a while, and a transport may not know.
    """
    if sys.platform != "linux" or transport is None:
        return math.inf
    sock = transport.get_extra_info("socket")
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.stop)
    return int.from_bytes(info[_LAST_DATA_SENT], sys.byteorder) / 1000


def verifying() -> ssl.SSLContext:
    """Return what verifies a provider: by certifi's authorities, or by the environment's."""
    is_told = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=None if is_told else certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
