"""Bodies of requests: taking compression off without ever holding much more than the limit."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable
from enum import StrEnum

import zstandard

from untrace_pipeline.errors import DecodeError, OversizeError

__all__ = ["ContentCoding", "decompress", "decompress_off_loop"]

THREAD_BYTES = 128 * 1024
"""Compressed bodies from this size on are inflated in a thread: about a millisecond, which others need not wait for."""
MAX_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest zstd window: what RFC 8878 asks decoders to support; memory that a frame's header can claim."""
MAX_MEMBERS = 100
"""Gzip members or zstd frames of one body; senders write one, and millions of empty ones cost seconds."""
ZSTD_PIECE_BYTES = 256
"""A block of 4 bytes can stand for 128 KiB, so a piece is at most 8 MiB over the limit."""


class ContentCoding(StrEnum):
    """Values of ``Content-Encoding`` that are understood."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZLIB = "zlib"
    DEFLATE = "deflate"


async def decompress_off_loop(coding: ContentCoding, data: bytes, limit: int) -> bytes:
    """As :func:`decompress`; large bodies in a thread (both libraries let others run meanwhile)."""
    if len(data) < THREAD_BYTES:
        return decompress(coding, data, limit)
    return await asyncio.to_thread(decompress, coding, data, limit)


def decompress(coding: ContentCoding, data: bytes, limit: int) -> bytes:
    """Return the body. Stops as soon as it exceeds ``limit`` bytes, so that a bomb costs no more than that.

    Raises :class:`OversizeError`, and :class:`DecodeError` for data that is damaged or ends early.
    """
    try:
        body = _READERS[coding](data, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        msg = f"the body is not valid {coding}: {error}"
        raise DecodeError(msg) from error
    if len(body) > limit:
        msg = f"the decompressed body is larger than the limit of {limit} bytes"
        raise OversizeError(msg)
    return body


def _gunzip(data: bytes, limit: int) -> bytes:
    """Read all members of a gzip file (RFC 1952)."""
    parts: list[bytes] = []
    room = limit + 1
    while data and room > 0:
        _check_members(len(parts))
        part, data = _inflate(data, room, zlib.MAX_WBITS | 16)
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


def _deflate(data: bytes, limit: int) -> bytes:
    """Read zlib (RFC 1950), which ``deflate`` means in HTTP, or the bare stream (RFC 1951), which some clients send."""
    if not data:
        return b""
    wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    return _inflate(data, limit + 1, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)[0]


def _inflate(data: bytes, room: int, window_bits: int) -> tuple[bytes, bytes]:
    """Return at most ``room`` bytes, and what follows the end of the stream."""
    stream = zlib.decompressobj(window_bits)
    body = stream.decompress(data, room)
    if not stream.eof and len(body) < room:
        raise EOFError("it ends early")
    return body, stream.unused_data


def _unzstd(data: bytes, limit: int) -> bytes:
    """Read all frames (RFC 8878). Input goes in by small pieces, because one piece can grow 32,000-fold at once."""
    parts: list[bytes] = []
    room = limit + 1
    frame, frames = _zstd().decompressobj(), 1
    for begin in range(0, len(data), ZSTD_PIECE_BYTES):
        piece = data[begin : begin + ZSTD_PIECE_BYTES]
        while piece and room > 0:
            if frame.eof:
                _check_members(frames)
                frame, frames = _zstd().decompressobj(), frames + 1
            part = frame.decompress(piece)
            parts.append(part)
            room -= len(part)
            piece = frame.unused_data
        if room <= 0:
            break
    if room > 0 and data and not frame.eof:
        raise EOFError("it ends early")
    return b"".join(parts)


def _check_members(count: int) -> None:
    if count >= MAX_MEMBERS:
        msg = f"it has more than {MAX_MEMBERS} members"
        raise EOFError(msg)


_local = threading.local()


def _zstd() -> zstandard.ZstdDecompressor:
    """Return this thread's decompressor; making one costs ten times as much as a small body."""
    made: zstandard.ZstdDecompressor | None = getattr(_local, "zstd", None)
    if made is None:
        made = _local.zstd = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    return made


_READERS: dict[ContentCoding, Callable[[bytes, int], bytes]] = {
    ContentCoding.GZIP: _gunzip,
    ContentCoding.ZSTD: _unzstd,
    ContentCoding.ZLIB: _deflate,
    ContentCoding.DEFLATE: _deflate,
}
