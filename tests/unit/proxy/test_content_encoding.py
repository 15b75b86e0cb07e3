"""Compressed request bodies."""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Callable

import pytest

from proxy.content_encoding import (
    LONGEST,
    MOST_FRAMES,
    ContentEncodingError,
    TooLong,
    decoded,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'{"model": "gpt-oss-120b"}' * 100


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("zstd", zstd.compress(BODY)),
        ("ZSTD ", zstd.compress(BODY)),
        ("gzip", gzip.compress(BODY)),
    ],
)
def test_a_body_is_what_it_was_before_it_was_compressed(encoding: str, body: bytes) -> None:
    assert decoded(body, encoding) == BODY


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
def test_what_is_not_compressed_as_it_says_is_refused(encoding: str) -> None:
    with pytest.raises(ContentEncodingError, match=f"the body is not {encoding}"):
        decoded(BODY, encoding)


@pytest.mark.parametrize(
    ("encoding", "body"), [("zstd", zstd.compress(BODY)), ("gzip", gzip.compress(BODY))]
)
def test_a_body_that_ends_too_early_is_refused(encoding: str, body: bytes) -> None:
    with pytest.raises(ContentEncodingError):
        decoded(body[:-5], encoding)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ContentEncodingError, match="'br' is not known"):
        decoded(BODY, "br")


@pytest.mark.parametrize("compress", [zstd.compress, gzip.compress], ids=["zstd", "gzip"])
def test_a_bomb_does_not_go_off(compress: object) -> None:
    assert callable(compress)
    bomb = compress(bytes(LONGEST + 1))
    assert len(bomb) < 100_000

    with pytest.raises(TooLong):
        decoded(bomb, "zstd" if compress is zstd.compress else "gzip")


@pytest.mark.parametrize("compress", [zstd.compress, gzip.compress], ids=["zstd", "gzip"])
def test_several_frames_are_one_body(compress: Callable[[bytes], bytes]) -> None:
    encoding = "zstd" if compress is zstd.compress else "gzip"

    assert decoded(compress(b"one, ") + compress(b"two"), encoding) == b"one, two"
    with pytest.raises(ContentEncodingError):
        decoded(compress(b"one") + b"garbage", encoding)


@pytest.mark.parametrize("compress", [zstd.compress, gzip.compress], ids=["zstd", "gzip"])
def test_frames_without_number_are_refused_at_once(compress: Callable[[bytes], bytes]) -> None:
    """Each is cut off by copying all that follow it: 1.5 MB of empty ones took minutes."""
    encoding = "zstd" if compress is zstd.compress else "gzip"
    began = time.process_time()

    assert decoded(compress(b"x") * MOST_FRAMES, encoding) == b"x" * MOST_FRAMES
    with pytest.raises(ContentEncodingError, match=f"more than {MOST_FRAMES} {encoding} frames"):
        decoded(compress(b"") * 100_000, encoding)

    assert time.process_time() - began < 1
