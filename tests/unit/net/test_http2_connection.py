"""Any bytes at all on an HTTP/2 connection."""

from __future__ import annotations

import asyncio
from typing import Any

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http2_connection import Http2Connection
from untrace_pipeline.net.http2_frames import (
    PREFACE,
    ErrorCode,
    Flag,
    FrameType,
    Setting,
    build,
    build_reset,
    build_settings,
)
from untrace_pipeline.net.http2_stream import Stream

BLOCK = hpack.Encoder().encode(
    [(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("content-type", "application/grpc")]
)
streams = st.sampled_from([0, 1, 1, 1, 2, 3, 5, 2**31 - 1])
payloads = st.sampled_from([b"", BLOCK, bytes(4), bytes(8), b"\0\0\0\0\1x", b"\0\0\0\0\0"]) | st.binary(max_size=60)
frames = st.builds(
    build,
    st.sampled_from(FrameType),
    st.integers(0, 255) | st.sampled_from([0, 1, 4, 5]),
    streams,
    payloads,
)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.pauses = 0

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses -= 1

    def can_write_eof(self) -> bool:
        return False


class Echo:
    """Answers every stream with what it got, at once."""

    def __init__(self) -> None:
        self.answered = 0

    def register(self, connection: Http2Connection) -> bool:
        return True

    def unregister(self, connection: Http2Connection) -> None:
        assert not connection.streams

    def begin(self, stream: Stream) -> None:
        stream.call = True

    def receive(self, stream: Stream) -> None:
        assert stream.open
        if stream.ended:
            self.answered += 1
            stream.connection.respond(stream, b"\x88", b"".join(stream.chunks), b"\x88")

    def abandon(self, stream: Stream) -> None:
        assert not stream.open


async def feed(pieces: list[bytes]) -> tuple[Transport, Echo]:
    """Let a connection read pieces, turn by turn."""
    echo, transport = Echo(), Transport()
    connection = Http2Connection(echo, GrpcServerConfig().limits(eager=True), asyncio.get_running_loop())
    connection.connection_made(transport)
    for piece in pieces:
        connection.data_received(piece)
        await asyncio.sleep(0)
    connection.connection_lost(None)
    return transport, echo


@settings(max_examples=300)
@given(sent=st.lists(frames, max_size=12), cut=st.integers(1, 50))
def test_any_frames_are_answered_or_end_the_connection(sent: list[bytes], cut: int) -> None:
    """No sequence of frames raises, and cutting it anywhere changes nothing of what is answered."""
    data = PREFACE + build_settings({}) + b"".join(sent)
    whole, once = asyncio.run(feed([data]))
    parts, twice = asyncio.run(feed([data[i : i + cut] for i in range(0, len(data), cut)]))
    assert once.answered == twice.answered
    if not whole.closed and not parts.closed:
        assert whole.written == parts.written


@given(data=st.binary(max_size=400))
def test_any_bytes_are_read(data: bytes) -> None:
    """Neither before nor after the preface do any bytes raise."""
    asyncio.run(feed([data]))
    asyncio.run(feed([PREFACE + data]))
    asyncio.run(feed([PREFACE + build_settings({}) + data]))


def opened() -> tuple[Http2Connection, Transport]:
    """Return a connection that has been greeted."""
    transport = Transport()
    connection = Http2Connection(Echo(), GrpcServerConfig().limits(eager=True), asyncio.get_running_loop())
    connection.connection_made(transport)
    connection.data_received(PREFACE + build_settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    return connection, transport


def opening(id: int) -> bytes:
    return build(FrameType.HEADERS, Flag.END_HEADERS, id, BLOCK)


async def test_small_pieces_cost_no_more_than_their_bytes() -> None:
    """Bytes of a message that come two by two are not kept as an object each; the message is the same."""
    connection, _ = opened()
    connection.data_received(
        opening(1) + b"".join(build(FrameType.DATA, 0, 1, b"%02d" % (i % 100)) for i in range(9000))
    )
    stream = connection.streams[1]
    assert len(stream.chunks) < 10
    assert b"".join(stream.chunks) == b"".join(b"%02d" % (i % 100) for i in range(9000))
    assert stream.size == 18_000


async def test_cancelled_answers_do_not_pile_up() -> None:
    """Behind an answer that its client does not take, answers that were cancelled are forgotten."""
    connection, _ = opened()
    last = build(FrameType.DATA, Flag.END_STREAM, 1, b"x")
    connection.data_received(opening(1) + last)
    for number in range(3, 10_003, 2):
        call = opening(number) + build(FrameType.DATA, Flag.END_STREAM, number, b"x")
        connection.data_received(call + build_reset(number, ErrorCode.CANCEL))
    assert list(connection.streams) == [1]
    assert len(connection._answers._waiting) <= 2 * connection.limits.max_streams + 1


async def test_many_frames_let_others_have_their_turn() -> None:
    """A client that floods frames is read on after the others, not before."""
    connection, transport = opened()
    connection.data_received(opening(1) + b"".join([build(FrameType.DATA, 0, 1, b"x")] * 2000))
    assert transport.pauses == 1
    await asyncio.sleep(0)
    assert transport.pauses == 0
