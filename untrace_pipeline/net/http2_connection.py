"""One HTTP/2 connection of a server (RFC 9113): frames, header blocks, flow control, and defence against their abuse.

It knows nothing of gRPC: ``application`` is told when the headers of a stream are there, when data came, and answers
with :meth:`Http2Connection.respond`. Answers of one turn of the event loop leave in one write.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import cast

from untrace_pipeline.net.hpack import HeaderList, HpackDecoder, HpackError
from untrace_pipeline.net.http2_answers import AnswerQueue
from untrace_pipeline.net.http2_frames import (
    DEFAULT_WINDOW,
    HEAD_BYTES,
    MAX_PAYLOAD,
    MAX_WINDOW,
    PREFACE,
    SETTING_BYTES,
    ErrorCode,
    Flag,
    FrameType,
    Http2Error,
    Setting,
    StreamError,
    build,
    build_goaway,
    build_reset,
    build_settings,
    build_window_update,
    check_goaway,
    check_priority,
    read_settings,
    read_word,
    unpad,
    without_priority,
)
from untrace_pipeline.net.http2_headers import check_characters, check_request, check_trailers
from untrace_pipeline.net.http2_history import StreamHistory
from untrace_pipeline.net.http2_stream import Application, Http2Limits, Stream

__all__ = ["Http2Connection"]

CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes that a client may send ahead over all streams."""
MAX_HEADER_BYTES = 64 * 1024
"""Headers of one request, decoded; far more than SDKs send."""
MAX_CONTINUATIONS = 32
"""CONTINUATION frames of one header block (CVE-2024-27983 and its kin send them for ever)."""
FREE_RESETS = 200
"""Streams that a client may cancel beyond those that were answered (CVE-2023-44487, rapid reset), or make us cancel by
breaking a rule (CVE-2025-8671)."""
IDLE_FRAMES = 1000
"""Frames that bring nothing (settings, empty data and the like) between two answers (CVE-2019-9515, CVE-2019-9518)."""
FRAMES_PER_TURN = 1000
"""More frames than that in one read, and other connections get their turn first."""
PING_STRIKES = 2
"""Pings in too quick succession that are forgiven, as in gRPC."""
LINGER_SECONDS = 1.0
"""Time for GOAWAY to arrive before the connection is closed."""


class Http2Connection(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self, application: Application, limits: Http2Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._application = application
        self._loop = loop
        self._transport: asyncio.Transport
        self.limits = limits
        self.peer = ""
        """``host:port`` of the client, or ``unix``."""
        self.streams: dict[int, Stream] = {}
        """Streams that are not answered yet."""
        self.handlers = 0
        """Handlers at work, also those whose stream is gone; counted by the application."""
        self.now = loop.time()
        """The loop's time when something came last."""
        self._opened = self.now
        self._rest = b""
        self._prefaced = False
        self._greeted = False  # the client's first SETTINGS are there
        self._hpack = HpackDecoder()
        self._block: tuple[int, int, list[bytes]] | None = None  # stream, flags, fragments of an unfinished block
        self._history = StreamHistory()
        self._window = CONNECTION_WINDOW
        self._answers = AnswerQueue(self._send, self._end, limits.max_streams)
        self._out: list[bytes] = []
        self._resets = FREE_RESETS
        self._idle_frames = 0  # since the last answer
        self._last_ping = -math.inf
        self._strikes = 0
        self._pinged = math.inf  # when our own ping left
        self._blocked_since = math.inf
        self._leaving = False  # GOAWAY was sent
        self._cut_at = math.inf  # when the connection is cut off
        self._dead = False  # an error ended it; input is thrown away

    # -------------------------------------------------------------- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        settings = {Setting.MAX_CONCURRENT_STREAMS: self.limits.max_streams}
        settings |= {Setting.INITIAL_WINDOW_SIZE: self.limits.stream_window}
        settings |= {Setting.MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES}
        greeting = build_settings(settings) + build_window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW)
        self._transport.write(greeting)
        if not self._application.register(self):
            self._die(Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._dead = True
        for stream in list(self.streams.values()):
            self._drop(stream)
        self._application.unregister(self)

    def pause_writing(self) -> None:
        """The client does not take its answers: read no more from it."""
        self._blocked_since = self._loop.time()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It took them."""
        self._blocked_since = math.inf
        self._resume_reading()

    def _resume_reading(self) -> None:
        if self._blocked_since == math.inf and not self._transport.is_closing():
            self._transport.resume_reading()

    def _yield(self) -> None:
        """Let other connections have their turn: the loop would read on here as long as there is more."""
        self._transport.pause_reading()
        self._loop.call_soon(self._resume_reading)

    def data_received(self, data: bytes) -> None:
        """Read frames; the application is told from here."""
        if self._dead:
            return
        self.now = self._loop.time()
        self._pinged = math.inf
        if self._rest:
            data = self._rest + data
        try:
            position = 0 if self._prefaced else self._read_preface(data)
            if self._prefaced:
                position = self._read(data, position)
            self._rest = data[position:]
        except Http2Error as error:
            self._die(error)
        except HpackError as error:
            self._die(Http2Error(ErrorCode.COMPRESSION_ERROR, str(error)))

    # ---------------------------------------------------------------- reading

    def _read_preface(self, data: bytes) -> int:
        """Return where the first frame begins, 0 if the preface is not complete yet."""
        if not data.startswith(PREFACE[: len(data)]):
            if _HTTP_1.match(data):
                self._transport.write(_NOT_HTTP_2)
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "no HTTP/2")
        self._prefaced = len(data) >= len(PREFACE)
        return len(PREFACE) if self._prefaced else 0

    def _read(self, data: bytes, position: int) -> int:
        """Read the complete frames from a position on; return where the rest begins."""
        size = len(data)
        frames = 0
        while size - position >= HEAD_BYTES:
            length = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
            if length > MAX_PAYLOAD:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "frame too large")
            begin = position + HEAD_BYTES
            end = begin + length
            if end > size:
                break
            stream = int.from_bytes(data[position + 5 : begin], "big") & MAX_WINDOW
            try:
                self._frame(data[position + 3], data[position + 4], stream, data[begin:end])
            except StreamError as error:
                self._fail(stream, error)
            if self._dead:
                break
            position = end
            frames += 1
        if frames > FRAMES_PER_TURN and not self._transport.is_closing():
            self._yield()
        return position

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != FrameType.CONTINUATION:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._greeted:
            if kind != FrameType.SETTINGS:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._greeted = True
        if kind == FrameType.DATA:
            self._on_data(flags, stream, payload)
        elif kind == FrameType.HEADERS:
            self._on_headers(flags, stream, payload)
        elif kind in _CONTROL:
            _CONTROL[kind](self, flags, stream, payload)
        else:
            self._count_idle(1)

    def _count_idle(self, frames: int) -> None:
        self._idle_frames += frames
        if self._idle_frames > IDLE_FRAMES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    def _on_data(self, flags: int, id: int, payload: bytes) -> None:
        length = len(payload)
        self._window -= length
        if self._window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        if self._window < CONNECTION_WINDOW // 2:
            self._send(build_window_update(0, CONNECTION_WINDOW - self._window))
            self._window = CONNECTION_WINDOW
        if flags & Flag.PADDED:
            payload = unpad(payload)
        stream = self.streams.get(id)
        if stream is None:
            self._history.check_late(id, bool(flags & Flag.END_STREAM))
            self._count_idle(not length)
            return
        if stream.ended:
            raise StreamError(ErrorCode.STREAM_CLOSED, "DATA behind the end of a stream")
        stream.receive_window -= length
        if stream.receive_window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window")
        if flags & Flag.END_STREAM:
            stream.ended = True
        elif not payload:
            self._count_idle(1)
            return
        stream.touched = self.now
        if not stream.answered:
            stream.take(payload)
            self._receive(stream)

    def _receive(self, stream: Stream) -> None:
        """Tell the application of data, or of the end of the stream."""
        announced = stream.content_length
        if announced >= 0 and (stream.size > announced or (stream.ended and stream.size < announced)):
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "more or less data than content-length says")
        if not stream.answered:
            self._application.receive(stream)

    def _on_headers(self, flags: int, id: int, payload: bytes) -> None:
        if flags & Flag.PADDED:
            payload = unpad(payload)
        if flags & Flag.PRIORITY:
            payload = without_priority(id, payload)
        if flags & Flag.END_HEADERS:
            self._on_block(flags, id, payload)
        else:
            self._block = (id, flags, [payload])

    def _on_continuation(self, flags: int, id: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, fragments = self._block
        fragments.append(payload)
        if len(fragments) > MAX_CONTINUATIONS or sum(map(len, fragments)) > MAX_HEADER_BYTES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & Flag.END_HEADERS:
            self._block = None
            self._on_block(first_flags, id, b"".join(fragments))

    def _on_block(self, flags: int, id: int, block: bytes) -> None:
        headers = self._hpack.decode(block, MAX_HEADER_BYTES)
        if self._hpack.literals:
            check_characters(self._hpack.literals)
        ended = bool(flags & Flag.END_STREAM)
        known = self.streams.get(id)
        if known is not None:
            self._on_trailers(known, headers, ended)
            return
        if not self._history.open(id):
            self._history.check_late(id, ended)
            self._check_trailers(headers, ended)
            return
        if self._leaving or len(self.streams) >= self.limits.max_streams or self.handlers >= self.limits.max_streams:
            self._refuse(id)
            return
        content_length = -1 if headers is None else check_request(headers)
        stream = self.streams[id] = Stream(self, id, headers, content_length)
        stream.ended = ended
        self._application.begin(stream)
        if ended and stream.open:
            self._receive(stream)

    def _refuse(self, id: int) -> None:
        """Take no new stream: the client repeats it here, or elsewhere after GOAWAY, which told it so."""
        self._history.cut(id)
        if not self._leaving:
            self._send(build_reset(id, ErrorCode.REFUSED_STREAM))

    def _on_trailers(self, stream: Stream, headers: HeaderList | None, ended: bool) -> None:
        if stream.ended:
            raise StreamError(ErrorCode.STREAM_CLOSED, "HEADERS behind the end of a stream")
        self._check_trailers(headers, ended)
        stream.ended = True
        self._receive(stream)

    def _check_trailers(self, headers: HeaderList | None, ended: bool) -> None:
        if not ended:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "HEADERS in the middle of a stream")
        check_trailers(headers)

    def _on_reset(self, _flags: int, id: int, payload: bytes) -> None:
        read_word(payload, "RST_STREAM")
        self._history.check_opened(id)
        self._history.end(id)
        stream = self.streams.get(id)
        if stream is not None:
            self._count_reset()
            self._drop(stream)

    def _count_reset(self) -> None:
        self._resets -= 1
        if self._resets < 0:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many cancelled streams")

    def _on_settings(self, flags: int, id: int, payload: bytes) -> None:
        if id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & Flag.ACK:
            if payload:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that is not empty")
            return
        self._count_idle(1 + len(payload) // SETTING_BYTES)
        for key, value in read_settings(payload):
            if key == Setting.INITIAL_WINDOW_SIZE:
                self._answers.resize(value, self.streams.values())
        self._send(build(FrameType.SETTINGS, Flag.ACK, 0))
        self._answers.send_waiting()

    def _on_ping(self, flags: int, id: int, payload: bytes) -> None:
        if id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:  # noqa: PLR2004
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong size")
        if flags & Flag.ACK:
            return
        limits = self.limits
        least = limits.least_ping_interval if self.streams or limits.ping_without_streams else math.inf
        if self.now - self._last_ping < least:
            self._strikes += 1
            if self._strikes > PING_STRIKES:
                raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
        self._last_ping = self.now
        self._send(build(FrameType.PING, Flag.ACK, 0, payload))

    def _on_window_update(self, _flags: int, id: int, payload: bytes) -> None:
        increment = read_word(payload, "WINDOW_UPDATE")
        if id:
            self._history.check_opened(id)
            self._answers.widen_stream(self.streams.get(id), increment)
        else:
            self._answers.widen(increment)

    def _on_push(self, _flags: int, _id: int, _payload: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "clients do not push")

    def _on_priority(self, _flags: int, id: int, payload: bytes) -> None:
        self._count_idle(1)
        check_priority(id, payload)

    def _on_goaway(self, _flags: int, id: int, payload: bytes) -> None:
        self._count_idle(1)
        check_goaway(id, payload)  # the client opens no more streams, which we will see

    # ---------------------------------------------------------------- writing

    def respond(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """Answer a stream, once: header block, data, trailer block; data and trailers may be empty."""
        if not stream.open or stream.answered:
            return
        stream.answered = True
        self._resets += 1
        self._idle_frames = 0
        self._strikes, self._last_ping = 0, -math.inf
        self._answers.add(stream, head, data, trailers)

    def is_due(self, stream: Stream) -> bool:
        """Whether a client has used up so much of a stream's window that it should be told to go on, or not to."""
        return stream.receive_window < self.limits.stream_window // 2 and not stream.ended

    def grant(self, stream: Stream) -> None:
        """Let a client send more on a stream whose data is wanted."""
        if self.is_due(stream):
            window = self.limits.stream_window
            self._send(build_window_update(stream.id, window - stream.receive_window))
            stream.receive_window = window

    def _send(self, frames: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frames)

    def _flush(self) -> None:
        out = b"".join(self._out)
        self._out.clear()
        if not self._transport.is_closing():
            self._transport.write(out)

    # ----------------------------------------------------------------- ending

    def _end(self, stream: Stream) -> None:
        """A stream is answered; a client that still sends is told to stop (RFC 9113, 8.1)."""
        if not stream.ended:
            self._send(build_reset(stream.id, ErrorCode.NO_ERROR))
            self._history.cut(stream.id)
        stream.open = False
        self.streams.pop(stream.id, None)
        self.close_if_done()

    def _drop(self, stream: Stream) -> None:
        stream.open = False
        self.streams.pop(stream.id, None)
        self._application.abandon(stream)

    def _fail(self, id: int, error: StreamError) -> None:
        """Cancel a stream because of what the client did on it."""
        self._history.check_opened(id)
        self._count_reset()
        self._history.cut(id)
        self._send(build_reset(id, error.code))
        stream = self.streams.get(id)
        if stream is not None:
            self._drop(stream)
            self.close_if_done()

    def close_if_done(self) -> None:
        """Close a connection that is leaving when nothing is under way on it."""
        if self._leaving and not self.streams and not self.handlers:
            self._loop.call_soon(self._transport.close)

    def leave(self, grace: float = math.inf) -> None:
        """Tell the client to go elsewhere, finish what is under way, then close; cut it off after ``grace`` seconds."""
        if self._leaving or self._dead:
            return
        self._leaving = True
        self._cut_at = self._loop.time() + grace
        self._send(build_goaway(self._history.last, ErrorCode.NO_ERROR))
        self.close_if_done()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _die(self, error: Http2Error) -> None:
        """Tell the client what it did wrong and close."""
        self._dead = True
        for stream in list(self.streams.values()):
            self._drop(stream)
        self._send(build_goaway(self._history.last, error.code, str(error)))
        self._cut_at = self._loop.time() + LINGER_SECONDS
        if self._transport.can_write_eof():
            self._loop.call_soon(_end_writing, self._transport)
        else:
            self._loop.call_soon(self._transport.close)

    def check(self, now: float) -> None:
        """Look at the deadlines; called every so often."""
        limits = self.limits
        if now > self._cut_at or now - self._blocked_since > limits.write:
            self._transport.abort()
        elif not self._greeted:
            if now - self._opened > limits.handshake:
                self._transport.abort()
        elif now - self._pinged > limits.ping_timeout:
            self._transport.abort()
        elif now - self._opened > limits.age:
            self.leave(limits.age_grace)
        elif not self.streams and not self.handlers and now - self.now > limits.idle:
            self.leave()
        elif now - self.now > limits.ping_after and self._pinged == math.inf:
            self._pinged = now
            self._send(build(FrameType.PING, 0, 0, bytes(8)))


def _end_writing(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.write_eof()


_Handler = Callable[[Http2Connection, int, int, bytes], None]
_CONTROL: dict[int, _Handler] = {
    FrameType.PRIORITY: Http2Connection._on_priority,
    FrameType.RST_STREAM: Http2Connection._on_reset,
    FrameType.SETTINGS: Http2Connection._on_settings,
    FrameType.PUSH_PROMISE: Http2Connection._on_push,
    FrameType.PING: Http2Connection._on_ping,
    FrameType.GOAWAY: Http2Connection._on_goaway,
    FrameType.WINDOW_UPDATE: Http2Connection._on_window_update,
    FrameType.CONTINUATION: Http2Connection._on_continuation,
}
_HTTP_1 = re.compile(rb"[A-Z]+ [/*h]")
_NOT_HTTP_2 = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"this endpoint speaks gRPC, which is HTTP/2; OTLP/HTTP has an endpoint of its own\n"
)
