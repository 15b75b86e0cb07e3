"""Who may ask: a program on this machine, or one that knows the token; never a web page."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from proxy.asgi import Client
from proxy.settings import Settings

__all__ = ["TOKEN", "Guard", "is_loopback"]

#: The header of the token. Not `authorization`: with the pass-through that is the client's login.
TOKEN: Final = b"x-proxy-token"

#: A name or an address, and a port.
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


@functools.lru_cache(maxsize=8)
def is_loopback(host: str) -> bool:
    """Return whether this name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_any(host: str) -> bool:
    """Return whether this address stands for every one that the machine has."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


class Guard:
    """Knows what may not be asked.

    A page in a browser can make it send requests to loopback. It cannot choose their `Host`, which
    is the page's own where its name was made to point here, nor leave out their `Origin`, nor send
    JSON without asking first. Where the proxy listens on every address any name may be its own, so
    there the token alone is what a page does not have.
    """

    def __init__(self, settings: Settings) -> None:
        self._host = None if _is_any(settings.host) else settings.host.lower()
        self._token = settings.token.encode()
        #: Then the login is not the client's own: it can be spent, and has no other use here.
        self._has_key = settings.backend == "cerebras"

    def refusal(self, client: Client) -> tuple[int, str] | None:
        """Return status and message for what may not be asked."""
        headers = client.fields
        for name, value in client.headers:
            if name == b"host" and not self._is_ours(host := value.decode("latin-1")):
                return 403, f"The Host of this request is {host!r}, which is not this proxy."
        if b"origin" in headers:
            return 403, "A web page (the request has an Origin) may not use this proxy."
        if self._token and client.path != "/health" and not self._knows_token(headers):
            return 401, f"This proxy wants its PROXY_TOKEN, in the header {TOKEN.decode()}."
        if self._has_key and client.method == "POST":
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            if content_type.partition(";")[0].strip().lower() != "application/json":
                return 415, f"The content-type must be application/json, not {content_type!r}."
        return None

    def _is_ours(self, host: str) -> bool:
        if self._host is None:
            return True
        match = _HOST.fullmatch(host)
        name = match[1].lower() if match else ""
        return bool(name) and (is_loopback(name) or name.strip("[]") == self._host)

    def _knows_token(self, headers: Mapping[bytes, bytes]) -> bool:
        sent = headers.get(TOKEN)
        if sent is None and self._has_key:
            # What `env_key` of Codex' configuration makes it send.
            scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
            sent = sent if scheme.lower() == b"bearer" else None
        return hmac.compare_digest(sent or b"", self._token)
