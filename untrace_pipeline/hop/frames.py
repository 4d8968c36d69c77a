"""Frames on the connection between two workers: a header of nine bytes, and a body.

The header: length of the body (4 bytes), kind (1), number of the request (4), big-endian. Both ends send requests, each
with numbers of its own; an answer has the number of its request.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

__all__ = ["MAX_BODY_BYTES", "Decoder", "Frame", "FrameError", "FrameKind", "encode"]

_HEADER = struct.Struct(">IBI")
MAX_BODY_BYTES = 2**31
"""Of one frame. OTLP requests are limited to 2047 MiB by the receivers' options, and to 64 MiB by their defaults."""


class FrameKind(enum.IntEnum):
    """What a frame is."""

    REQUEST = 1
    """A part of a batch; the body is a request of :mod:`.bodies`."""
    ACCEPTED = 2
    """The part was accepted by all that is behind. No body."""
    REFUSED = 3
    """It was not; the body is an error of :mod:`.bodies`."""
    CANCEL = 4
    """Whoever sent the request does not wait for the answer any more, and counts it as refused. No body."""
    LAST = 5
    """No further request for a pipeline will come from here, or for any if the body is empty. Number 0."""
    LEAVING = 6
    """This end stops: send no more requests, and say ``LAST`` when those under way are answered. Number 0, no body."""


_KINDS = {kind.value: kind for kind in FrameKind}


class FrameError(ValueError):
    """The other end does not speak our language."""


class Frame(NamedTuple):
    """One frame."""

    kind: FrameKind
    number: int = 0
    body: bytes = b""


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame. Raises :class:`FrameError` for a body that is too large."""
    if len(frame.body) > MAX_BODY_BYTES:
        raise FrameError(f"a frame of {len(frame.body)} bytes, more than {MAX_BODY_BYTES}")
    return _HEADER.pack(len(frame.body), frame.kind, frame.number) + frame.body


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with this data. Raises :class:`FrameError`."""
        self._buffer += data
        frames, start = [], 0
        while len(self._buffer) - start >= _HEADER.size:
            length, kind, number = _HEADER.unpack_from(self._buffer, start)
            if length > MAX_BODY_BYTES or kind not in _KINDS:
                raise FrameError(f"a frame of kind {kind} with {length} bytes")
            end = start + _HEADER.size + length
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as view:
                frames.append(Frame(_KINDS[kind], number, bytes(view[start + _HEADER.size : end])))
            start = end
        del self._buffer[:start]
        return frames
