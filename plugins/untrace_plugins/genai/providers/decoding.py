"""Bodies off the wire: pieces joined, ``Content-Encoding`` undone within a bound, and when which byte had come."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import zstandard

from untrace_plugins.genai.providers.exchange import Body

__all__ = ["Decoded", "decoded"]

DECODED_BYTES: Final = 64 * 1024 * 1024
"""Most of a body after decoding. What a tee kept is some megabytes; only a bomb grows beyond this."""
PIECE_BYTES: Final = 256
"""zstd may grow 32,000-fold, so its input goes in by pieces of which each stays far below the bound."""
WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Largest zstd window: what RFC 8878 asks decoders to support."""

Inflate: TypeAlias = Callable[[bytes, int], bytes]
"""Takes the next bytes, and how many may come of them at most; raises when they are damaged."""


class Decoded(NamedTuple):
    """A body as text; of a large one the beginning and the end."""

    head: bytes
    tail: bytes = b""
    ends: Sequence[int] = ()
    """Where in the head each chunk ends."""
    times: Sequence[int] = ()
    """When each came, on the monotonic clock in nanoseconds."""
    complete: bool = True
    """Whether it is all there, and was not damaged."""

    def time_at(self, offset: int) -> int | None:
        """Return when the byte before this offset of the head had come."""
        chunk = bisect_left(self.ends, offset)
        return self.times[chunk] if chunk < len(self.ends) and chunk < len(self.times) else None


def decoded(body: Body) -> Decoded | None:
    """Return the text of a body, as far as it can be read; ``None`` for an encoding that nobody here knows."""
    coding = body.encoding.strip().lower()
    complete = body.gap is None
    if complete and not coding and len(body.chunks) == 1:  # as most are
        return Decoded(body.chunks[0], b"", (len(body.chunks[0]),), body.times)
    kept, rest = (body.chunks, []) if complete else (body.chunks[: body.gap], body.chunks[body.gap :])
    if coding not in ("", "identity"):
        inflate = _inflater(coding)
        if inflate is None:
            return None
        pieces = list(_inflated(kept, inflate))
        complete, kept, rest = complete and len(pieces) == len(kept), pieces, []
    return Decoded(b"".join(kept), b"".join(rest), list(_ends(kept)), body.times, complete)


def _ends(chunks: Iterable[bytes]) -> Iterator[int]:
    end = 0
    for chunk in chunks:
        end += len(chunk)
        yield end


def _inflated(chunks: Iterable[bytes], inflate: Inflate) -> Iterator[bytes]:
    """Yield what becomes of each chunk, until one is damaged or the bound is reached."""
    room = DECODED_BYTES
    for chunk in chunks:
        try:
            piece = inflate(chunk, room)
        except (zlib.error, zstandard.ZstdError, ValueError, EOFError):
            return
        room -= len(piece)
        if room <= 0:
            return
        yield piece


def _inflater(coding: str) -> Inflate | None:
    make = _CODINGS.get(coding)
    try:
        return None if make is None else make()
    except ImportError:
        return None


def _gzip() -> Inflate:
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress


def _deflate() -> Inflate:
    """Read zlib (RFC 1950), which ``deflate`` means in HTTP, or the bare stream (RFC 1951), which some servers send."""
    stream = None

    def inflate(data: bytes, room: int) -> bytes:
        nonlocal stream
        if stream is None and data:
            wrapped = data[0] & 0x0F == zlib.DEFLATED
            stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        return b"" if stream is None else stream.decompress(data, room)

    return inflate


def _zstd() -> Inflate:
    frame = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj(read_across_frames=True)
    return _by_pieces(frame.decompress)


def _brotli() -> Inflate:
    import brotli  # noqa: PLC0415  optional: an upstream sends it only to clients that ask for it

    stream = brotli.Decompressor()

    def inflate(data: bytes, room: int) -> bytes:
        try:
            piece: bytes = stream.process(data, output_buffer_limit=room)
        except brotli.error as error:
            raise ValueError from error
        return piece

    return inflate


def _by_pieces(take: Callable[[bytes], bytes]) -> Inflate:
    def inflate(data: bytes, room: int) -> bytes:
        found: list[bytes] = []
        for begin in range(0, len(data), PIECE_BYTES):
            piece = take(data[begin : begin + PIECE_BYTES])
            found.append(piece)
            room -= len(piece)
            if room <= 0:
                break
        return b"".join(found)

    return inflate


_CODINGS: Mapping[str, Callable[[], Inflate]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
