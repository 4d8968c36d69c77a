"""Which streams of a connection are closed, and how (RFC 9113, 5.1): what may still come on them."""

from __future__ import annotations

from collections import deque

from untrace_pipeline.net.http2_frames import ErrorCode, Http2Error

__all__ = ["StreamHistory"]

MAX_CUT = 1024
"""Streams cut short that are remembered; what comes on older ones is ignored."""
MAX_GAPS = 16
"""Gaps between stream numbers that are remembered; clients have no reason to leave any."""


class StreamHistory:
    """Remembers of closed streams only what is not plain: those that we ended before the client did."""

    __slots__ = ("_cut", "_forgotten", "_gaps", "last")

    def __init__(self) -> None:
        self.last = 0
        """The highest stream that the client opened."""
        self._cut: dict[int, None] = {}  # in order of closing
        self._forgotten = 0
        self._gaps: deque[tuple[int, int]] = deque(maxlen=MAX_GAPS)

    def open(self, id: int) -> bool:
        """Note a new stream; false if it is none. Raises :class:`Http2Error`."""
        if id <= self.last:
            return False
        if not id & 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "streams of clients have odd numbers")
        if id > self.last + 2:
            self._gaps.append((self.last + 1, id - 1))
        self.last = id
        return True

    def cut(self, id: int) -> None:
        """Note that we closed a stream on which the client may still be sending."""
        self._cut[id] = None
        if len(self._cut) > MAX_CUT:
            oldest = next(iter(self._cut))
            del self._cut[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def end(self, id: int) -> None:
        """Note that the client will send nothing more on a stream."""
        self._cut.pop(id, None)

    def check_opened(self, id: int) -> None:
        """Refuse frames on a stream that the client never opened. Raises :class:`Http2Error`."""
        if id > self.last or not id & 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a frame on a stream that was never opened")

    def check_late(self, id: int, ended: bool) -> None:
        """Take data or headers on a closed stream only if they may have crossed our end of it; ``ended``: the last.

        Raises :class:`Http2Error`: for the client that ended the stream itself, this is no race.
        """
        self.check_opened(id)
        if id in self._cut:
            if ended:
                self.end(id)
        elif any(begin <= id <= end for begin, end in self._gaps):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a stream with a lower number than the last")
        elif id > self._forgotten:
            raise Http2Error(ErrorCode.STREAM_CLOSED, "a frame on a closed stream")
