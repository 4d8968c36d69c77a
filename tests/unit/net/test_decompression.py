"""Taking compression off, with a limit."""

from __future__ import annotations

import contextlib
import gzip
import threading
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.errors import DecodeError, OversizeError
from untrace_pipeline.net import decompression
from untrace_pipeline.net.decompression import ContentCoding, decompress, decompress_off_loop

COMPRESS: dict[ContentCoding, Callable[[bytes], bytes]] = {
    ContentCoding.GZIP: gzip.compress,
    ContentCoding.ZSTD: zstandard.compress,
    ContentCoding.ZLIB: zlib.compress,
    ContentCoding.DEFLATE: lambda data: zlib.compress(data, wbits=-15),
}
LIMIT = 100_000


@given(data=st.binary(max_size=5000), coding=st.sampled_from(ContentCoding))
def test_what_was_compressed_comes_back(data: bytes, coding: ContentCoding) -> None:
    """Every coding gives the data back, at a limit of exactly its size, too."""
    assert decompress(coding, COMPRESS[coding](data), len(data)) == data


@given(data=st.binary(min_size=1, max_size=2000), coding=st.sampled_from(ContentCoding), missing=st.integers(1, 2000))
def test_cut_data_is_never_taken_for_whole(data: bytes, coding: ContentCoding, missing: int) -> None:
    """Data that ends early is an error, never a part of the body."""
    compressed = COMPRESS[coding](data)
    cut = compressed[: max(1, len(compressed) - missing)]
    with pytest.raises(DecodeError):
        decompress(coding, cut, LIMIT)


@given(data=st.binary(max_size=500), coding=st.sampled_from(ContentCoding))
def test_garbage_is_an_error_or_a_body(data: bytes, coding: ContentCoding) -> None:
    """Any input gives a body within the limit or one of two errors."""
    with contextlib.suppress(DecodeError, OversizeError):
        assert len(decompress(coding, data, LIMIT)) <= LIMIT


@pytest.mark.parametrize("coding", ContentCoding)
def test_one_byte_over_the_limit_is_refused(coding: ContentCoding) -> None:
    """The limit is exact, and the message names it."""
    with pytest.raises(OversizeError, match="limit of 999 bytes"):
        decompress(coding, COMPRESS[coding](bytes(1000)), 999)


@pytest.mark.parametrize("coding", [ContentCoding.GZIP, ContentCoding.ZSTD])
def test_members_are_joined_and_bounded(coding: ContentCoding) -> None:
    """Several members make one body; absurdly many are refused before they cost time."""
    member = COMPRESS[coding](b"part")
    assert decompress(coding, member * 3, LIMIT) == b"partpartpart"
    with pytest.raises(DecodeError, match="more than 100 members"):
        decompress(coding, member * 200_000, LIMIT)


def test_window_that_claims_memory_is_refused() -> None:
    """A zstd frame cannot make us reserve more than 8 MiB by its header."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = stream.compress(b"x" * 1000) + stream.flush()
    with pytest.raises(DecodeError, match="zstd"):
        decompress(ContentCoding.ZSTD, frame, LIMIT)


async def test_large_bodies_leave_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small bodies are inflated on the spot, large ones in a thread."""
    threads: list[int] = []
    real = decompression.decompress

    def watched(coding: ContentCoding, data: bytes, limit: int) -> bytes:
        threads.append(threading.get_ident())
        return real(coding, data, limit)

    monkeypatch.setattr(decompression, "decompress", watched)
    monkeypatch.setattr(decompression, "THREAD_BYTES", 200)
    assert await decompress_off_loop(ContentCoding.GZIP, gzip.compress(b"x"), LIMIT) == b"x"
    large = bytes(range(256)) * 3
    assert await decompress_off_loop(ContentCoding.GZIP, gzip.compress(large), LIMIT) == large
    here = threading.get_ident()
    assert threads[0] == here
    assert threads[1] != here
