"""Request bodies as the client compressed them: new versions of Codex send zstd."""

from __future__ import annotations

import sys
import zlib
from typing import Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["LONGEST", "MOST_FRAMES", "ContentEncodingError", "TooLong", "beginning", "decoded"]

#: Bytes of a body, also once it is decompressed.
LONGEST: Final = 64 * 1024 * 1024

#: Frames in a row, each of which costs a copy of those behind it; clients send one.
MOST_FRAMES: Final = 16


class ContentEncodingError(ValueError):
    """The body is not what its `content-encoding` says, or that is not known here."""


class TooLong(ValueError):
    """The body is longer than `LONGEST` bytes."""


def decoded(body: bytes, content_encoding: str) -> bytes:
    """Return `body` as it was before it was compressed."""
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    plain = bytearray()
    try:
        for _ in range(MOST_FRAMES):  # several in a row are one body
            decompressor = _decompressor(encoding)
            plain += decompressor.decompress(body, LONGEST + 1 - len(plain))
            if len(plain) > LONGEST:
                raise TooLong(f"the body is longer than {LONGEST} bytes")
            if not decompressor.eof:
                raise ContentEncodingError(f"the {encoding} body ends too early")
            body = decompressor.unused_data
            if not body:
                return bytes(plain)
    except (zstd.ZstdError, zlib.error) as error:
        raise ContentEncodingError(f"the body is not {encoding}: {error}") from None
    raise ContentEncodingError(f"the body has more than {MOST_FRAMES} {encoding} frames")


def beginning(body: bytes, content_encoding: str, length: int) -> bytes:
    """Return the first `length` bytes that `body` had before it was compressed, or fewer."""
    encoding = content_encoding.strip().lower()
    if encoding in ("", "identity"):
        return body[:length]
    try:
        return _decompressor(encoding).decompress(body[:length], length)
    except (zstd.ZstdError, zlib.error) as error:
        raise ContentEncodingError(f"the body is not {encoding}: {error}") from None


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _decompressor(encoding: str) -> _Decompressor:
    if encoding == "zstd":
        return zstd.ZstdDecompressor()
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=31)
    raise ContentEncodingError(f"content-encoding {encoding!r} is not known here")
