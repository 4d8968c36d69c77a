"""Frames on the connection between two workers: a header of 13 bytes, a small head, and a payload.

The header: length of the head (4 bytes), length of the payload (4), kind (1), number of the request (4), big-endian.
Both ends send requests, each with numbers of its own; an answer has the number of its request.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

__all__ = ["MAX_BYTES", "Decoder", "Frame", "FrameError", "FrameKind", "encode"]

_HEADER = struct.Struct(">IIBI")
MAX_BYTES = 2**31
"""Of one frame. OTLP requests are limited to 2047 MiB by the receivers' options, and to 64 MiB by their defaults."""


class FrameKind(enum.IntEnum):
    """What a frame is."""

    REQUEST = 1
    """A part of a batch: head and payload of :mod:`.bodies`."""
    ACCEPTED = 2
    """The part was accepted by all that is behind."""
    REFUSED = 3
    """It was not; the head is an error of :mod:`.bodies`."""
    CANCEL = 4
    """Whoever sent the request does not wait for the answer any more, and counts it as refused."""
    LAST = 5
    """No further request for the pipeline in the head will come from here, or for any if it is empty. Number 0."""
    LEAVING = 6
    """This end stops: send no more requests, and say ``LAST`` when those under way are answered. Number 0."""


_KINDS = {kind.value: kind for kind in FrameKind}


class FrameError(ValueError):
    """The other end does not speak our language."""


class Frame(NamedTuple):
    """One frame."""

    kind: FrameKind
    number: int = 0
    head: bytes = b""
    payload: bytes = b""


def encode(frame: Frame) -> list[bytes]:
    """Return the pieces of a frame, to be written in that order. Raises :class:`FrameError` if it is too large."""
    if len(frame.head) + len(frame.payload) > MAX_BYTES:
        raise FrameError(f"a frame of {len(frame.head) + len(frame.payload)} bytes, more than {MAX_BYTES}")
    header = _HEADER.pack(len(frame.head), len(frame.payload), frame.kind, frame.number)
    return [header + frame.head, frame.payload] if frame.payload else [header + frame.head]


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with this data. Raises :class:`FrameError`."""
        self._buffer += data
        frames, start = [], 0
        with memoryview(self._buffer) as view:
            while len(view) - start >= _HEADER.size:
                head_length, length, kind, number = _HEADER.unpack_from(view, start)
                if head_length + length > MAX_BYTES or kind not in _KINDS:
                    raise FrameError(f"a frame of kind {kind} with {head_length} and {length} bytes")
                head = start + _HEADER.size
                payload = head + head_length
                end = payload + length
                if len(view) < end:
                    break
                frames.append(Frame(_KINDS[kind], number, bytes(view[head:payload]), bytes(view[payload:end])))
                start = end
        del self._buffer[:start]
        return frames
