"""Request bodies as the client compressed them: new versions of Codex send zstd."""

from __future__ import annotations

import sys
import zlib
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["LONGEST", "ContentEncodingError", "TooLong", "decoded"]

#: Bytes of a body, also once it is decompressed.
LONGEST: Final = 64 * 1024 * 1024


class ContentEncodingError(ValueError):
    """The body is not what its `content-encoding` says, or that is not known here."""


class TooLong(ValueError):
    """The body is longer than `LONGEST` bytes."""


def decoded(body: bytes, content_encoding: str) -> bytes:
    """Return `body` as it was before it was compressed."""
    encoding = content_encoding.strip().lower()
    try:
        match encoding:
            case "" | "identity":
                return body
            case "zstd":
                decompressor = zstd.ZstdDecompressor()
                plain = decompressor.decompress(body, max_length=LONGEST + 1)
                complete = decompressor.eof
            case "gzip" | "x-gzip":
                inflater = zlib.decompressobj(wbits=31)
                plain = inflater.decompress(body, LONGEST + 1)
                complete = inflater.eof
            case _:
                raise ContentEncodingError(f"content-encoding {encoding!r} is not known here")
    except (zstd.ZstdError, zlib.error) as error:
        raise ContentEncodingError(f"the body is not {encoding}: {error}") from None
    if len(plain) > LONGEST:
        raise TooLong(f"the body is longer than {LONGEST} bytes")
    if not complete:
        raise ContentEncodingError(f"the {encoding} body ends too early")
    return plain
