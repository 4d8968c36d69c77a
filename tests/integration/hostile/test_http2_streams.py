"""What goes wrong on one HTTP/2 stream ends that call only; the connection goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import hpack
import pytest

from tests.integration.hostile.harness import BODY, ITEMS, Running, receiver
from tests.integration.hostile.test_http2_framing import HEADERS, LAST, MESSAGE, Peer, call, connected, opening
from untrace_pipeline.net.http2_frames import (
    ErrorCode,
    Flag,
    FrameType,
    build,
    build_reset,
    build_window_update,
)
from untrace_pipeline.testing import BlockingSink

METHOD, SCHEME, PATH, AUTHORITY, *REGULAR = HEADERS
END = Flag.END_STREAM


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with receiver(grpc={}) as one:
        yield one


def encode(*headers: tuple[str, str]) -> bytes:
    """Return a header block that leaves the connection's table as it is."""
    plain = [hpack.NeverIndexedHeaderTuple(name, value) for name, value in headers]
    return bytes(hpack.Encoder().encode(plain, huffman=False))


def data(*pieces: bytes) -> bytes:
    """Return the DATA of stream 1, the last with END_STREAM."""
    return b"".join(build(FrameType.DATA, END if piece is pieces[-1] else 0, 1, piece) for piece in pieces)


async def reset(peer: Peer, stream: int = 1) -> ErrorCode:
    """Return why a stream was cancelled."""
    _, found, payload = await peer.until(FrameType.RST_STREAM)
    assert found == stream
    return ErrorCode(int.from_bytes(payload, "big"))


async def goes_on(peer: Peer, stream: int = 3) -> None:
    """Check that the next call on the connection is answered."""
    peer.send(opening(stream, encode(*HEADERS)), build(FrameType.DATA, END, stream, MESSAGE))
    assert await peer.status() == (stream, "0", "")


def with_length(length: int) -> bytes:
    return opening(1, encode(*HEADERS, ("content-length", str(length))))


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(opening(1, encode(*HEADERS, (":x", "y"))), id="unknown-pseudo"),
        pytest.param(opening(1, encode(*HEADERS[:4], (":status", "200"))), id="of-response"),
        pytest.param(opening(1, encode(METHOD, *HEADERS)), id="twice"),
        pytest.param(opening(1, encode(METHOD, SCHEME, *REGULAR, PATH)), id="behind-regular"),
        pytest.param(opening(1, encode(SCHEME, PATH, *REGULAR)), id="no-method"),
        pytest.param(opening(1, encode(METHOD, PATH, *REGULAR)), id="no-scheme"),
        pytest.param(opening(1, encode(METHOD, SCHEME, *REGULAR)), id="no-path"),
        pytest.param(opening(1, encode(METHOD, SCHEME, (":path", ""), *REGULAR)), id="empty-path"),
        pytest.param(opening(1, encode(*HEADERS, ("connection", "close"))), id="connection-specific"),
        pytest.param(opening(1, encode(*HEADERS[:-1], ("te", "gzip"))), id="te"),
        pytest.param(opening(1) + opening(1, encode((":path", "/")), LAST), id="pseudo-in-trailers"),
        pytest.param(opening(1) + opening(1), id="headers-in-the-middle"),
        pytest.param(with_length(1) + data(MESSAGE), id="length-too-small"),
        pytest.param(with_length(len(MESSAGE)) + data(MESSAGE[:9], MESSAGE[9:], b"x"), id="length-of-several-frames"),
        pytest.param(with_length(len(MESSAGE) + 1) + data(MESSAGE), id="length-too-large"),
        pytest.param(opening(1, encode(*HEADERS, ("content-length", "9")), LAST), id="length-and-no-data"),
        pytest.param(opening(1, encode(*HEADERS, ("content-length", "-1"))), id="length-no-number"),
        pytest.param(opening(1) + build_window_update(1, 0), id="window-update-of-nothing"),
        pytest.param(opening(1) + build(FrameType.PRIORITY, 0, 1, b"\0\0\0\1\0"), id="depends-on-itself"),
    ],
)
async def test_malformed_request_ends_the_call(running: Running, frames: bytes) -> None:
    """The stream is cancelled with PROTOCOL_ERROR, nothing of it is taken, and others on the connection are served."""
    async with connected(running) as peer:
        peer.send(frames)
        assert await reset(peer) is ErrorCode.PROTOCOL_ERROR
        assert not running.sink.batches
        await goes_on(peer)


async def test_right_length_is_taken(running: Running) -> None:
    """A content length that is true is no reason to refuse."""
    async with connected(running) as peer:
        peer.send(with_length(len(MESSAGE)) + data(MESSAGE[:9], MESSAGE[9:]))
        assert await peer.status() == (1, "0", "")


async def test_priority_of_a_wrong_size(running: Running) -> None:
    """PRIORITY has five bytes."""
    async with connected(running) as peer:
        peer.send(opening(1), build(FrameType.PRIORITY, 0, 1, bytes(4)))
        assert await reset(peer) is ErrorCode.FRAME_SIZE_ERROR
        await goes_on(peer)


async def test_window_of_a_stream_overflows(running: Running) -> None:
    """Granting more than 2^31-1 bytes on a stream ends the stream."""
    async with connected(running) as peer:
        peer.send(opening(1), build_window_update(1, 2**31 - 1))
        assert await reset(peer) is ErrorCode.FLOW_CONTROL_ERROR
        await goes_on(peer)


@pytest.mark.parametrize("late", [build(FrameType.DATA, 0, 1, b"x"), opening(1, flags=LAST)])
async def test_half_closed_stream_takes_no_more(late: bytes) -> None:
    """While a call is at work, its client may widen the window and nothing else."""
    sink = BlockingSink()
    async with receiver(sink=sink, grpc={}) as running, connected(running) as peer:
        peer.send(call(1), build_window_update(1, 1), build(FrameType.PRIORITY, 0, 1, bytes(5)), late)
        assert await reset(peer) is ErrorCode.STREAM_CLOSED
        sink.release.set()
        await goes_on(peer)


@pytest.mark.parametrize("late", [build(FrameType.DATA, END, 1, b"x"), opening(1, flags=LAST)])
@pytest.mark.parametrize("end", [call(1), opening(1) + build_reset(1, ErrorCode.CANCEL)], ids=["ended", "cancelled"])
async def test_closed_stream_takes_no_more(running: Running, end: bytes, late: bytes) -> None:
    """A client that goes on with a stream that it closed itself is mad."""
    async with connected(running) as peer:
        peer.send(end)
        if end == call(1):
            assert await peer.status() == (1, "0", "")
        peer.send(build_window_update(1, 1), build_reset(1, ErrorCode.CANCEL), late)
        assert (await peer.error())[0] is ErrorCode.STREAM_CLOSED
        await peer.closed()


@pytest.mark.parametrize(
    "rest",
    [
        build(FrameType.DATA, 0, 1, BODY) + build(FrameType.DATA, END, 1, BODY),
        build(FrameType.DATA, 0, 1, BODY) + opening(1, b"", LAST),
        build_window_update(1, 1) + build_reset(1, ErrorCode.NO_ERROR),
    ],
    ids=["data", "trailers", "cancelled"],
)
async def test_frames_that_cross_an_early_answer_are_legal(running: Running, rest: bytes) -> None:
    """A call that is refused at its headers may go on until its client knows; afterwards it is closed."""
    unknown = encode(METHOD, SCHEME, (":path", "/no/method"), *REGULAR)
    async with connected(running) as peer:
        peer.send(opening(1, unknown) + rest)
        assert (await peer.status())[:2] == (1, "12")
        assert await reset(peer) is ErrorCode.NO_ERROR
        await goes_on(peer)
        peer.send(build(FrameType.DATA, END, 1, b"x"))
        assert (await peer.error())[0] is ErrorCode.STREAM_CLOSED


async def test_frames_that_cross_a_refusal_are_legal() -> None:
    """The same for a call beyond MAX_CONCURRENT_STREAMS."""
    sink = BlockingSink()
    async with receiver(sink=sink, grpc={"max_concurrent_streams": 1}) as running, connected(running) as peer:
        peer.send(call(1), call(3))
        assert await reset(peer, 3) is ErrorCode.REFUSED_STREAM
        sink.release.set()
        assert await peer.status() == (1, "0", "")
        await goes_on(peer, 5)
    assert sink.item_count == 2 * ITEMS


async def test_calls_that_make_us_cancel_do_not_go_on_for_ever(running: Running) -> None:
    """Breaking rules on purpose, stream by stream, is as rapid reset is."""
    async with connected(running) as peer:
        for number in range(1, 1001, 2):
            peer.send(opening(number) + build_window_update(number, 0))
        assert (await peer.error())[0] is ErrorCode.ENHANCE_YOUR_CALM


async def test_foreign_request_whose_answer_waits(running: Running) -> None:
    """More of a request that is answered, but whose answer has no window yet, is thrown away."""
    nothing = build(FrameType.SETTINGS, 0, 0, b"\0\4\0\0\0\0")
    async with connected(running) as peer:
        peer.send(nothing, opening(1, encode((":method", "PUT"), SCHEME, PATH)))
        peer.send(build(FrameType.DATA, 0, 1, BODY), build(FrameType.DATA, END, 1, BODY))
        await peer.until(FrameType.HEADERS)
        peer.send(build_window_update(1, 1000))
        flags, _, text = await peer.until(FrameType.DATA)
        assert flags == END
        assert b"gRPC" in text
