"""The answers of a connection on their way out, as far as the client's windows let them through (RFC 9113, 5.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from untrace_pipeline.net.http2_frames import (
    DEFAULT_WINDOW,
    MAX_PAYLOAD,
    MAX_WINDOW,
    ErrorCode,
    Flag,
    FrameType,
    Http2Error,
    StreamError,
    build,
)
from untrace_pipeline.net.http2_stream import Stream

__all__ = ["AnswerQueue"]

_NO_INCREMENT = "WINDOW_UPDATE of nothing"
_TOO_WIDE = "a window above 2^31-1"


class AnswerQueue:
    """Sends answers in order; what the client has no window for waits."""

    __slots__ = ("_crowd", "_end", "_send", "_stream_window", "_waiting", "_window")

    def __init__(self, send: Callable[[bytes], None], end: Callable[[Stream], None], max_streams: int) -> None:
        self._send = send
        self._end = end  # called when an answer has left
        self._crowd = 2 * max_streams
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._waiting: deque[tuple[Stream, bytes, bytes]] = deque()  # data and trailers

    def add(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """Send header block, data and trailer block; data and trailers may be empty."""
        if not data and not trailers:
            self._send(build(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, stream.id, head))
            self._end(stream)
            return
        begin = build(FrameType.HEADERS, Flag.END_HEADERS, stream.id, head)
        size = len(data)
        if not self._waiting and size <= min(MAX_PAYLOAD, self._window, self._stream_window + stream.send_window):
            self._window -= size
            self._send(begin + _ending(stream.id, data, trailers))
            self._end(stream)
            return
        self._send(begin)
        if len(self._waiting) > self._crowd:  # most of them were cancelled meanwhile
            self._waiting = deque(one for one in self._waiting if one[0].open)
        self._waiting.append((stream, data, trailers))
        self.send_waiting()

    def send_waiting(self) -> None:
        """Send as much of the answers that wait as the windows let through."""
        while self._waiting:
            stream, data, trailers = self._waiting[0]
            if stream.open:
                size = min(len(data), MAX_PAYLOAD, self._window, self._stream_window + stream.send_window)
                if data and size <= 0:
                    return
                if data:
                    self._window -= size
                    stream.send_window -= size
                if size < len(data):
                    self._send(build(FrameType.DATA, 0, stream.id, data[:size]))
                    self._waiting[0] = (stream, data[size:], trailers)
                    continue
                self._send(_ending(stream.id, data, trailers))
                self._end(stream)
            self._waiting.popleft()

    def resize(self, window: int, streams: Iterable[Stream]) -> None:
        """Take a new window of all streams from the client's settings. Raises :class:`Http2Error`."""
        if window + max((stream.send_window for stream in streams), default=0) > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, _TOO_WIDE)
        self._stream_window = window

    def widen(self, increment: int) -> None:
        """Widen the window of the connection. Raises :class:`Http2Error`."""
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, _NO_INCREMENT)
        self._window += increment
        if self._window > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, _TOO_WIDE)
        self.send_waiting()

    def widen_stream(self, stream: Stream | None, increment: int) -> None:
        """Widen the window of a stream, ``None`` for one that is closed already. Raises :class:`StreamError`."""
        if not increment:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, _NO_INCREMENT)
        if stream is not None:
            stream.send_window += increment
            if self._stream_window + stream.send_window > MAX_WINDOW:
                raise StreamError(ErrorCode.FLOW_CONTROL_ERROR, _TOO_WIDE)
            self.send_waiting()


def _ending(stream: int, data: bytes, trailers: bytes) -> bytes:
    """Return the last frames of an answer."""
    if not trailers:
        return build(FrameType.DATA, Flag.END_STREAM, stream, data)
    end = build(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, stream, trailers)
    return build(FrameType.DATA, 0, stream, data) + end
