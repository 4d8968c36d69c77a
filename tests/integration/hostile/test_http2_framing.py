"""Abuse of HTTP/2 itself, frame by frame: the connection ends with the right error, and others are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import hpack
import pytest

from tests.integration.hostile.harness import BODY, ITEMS, TIMEOUT, Running, receiver
from untrace_pipeline.api import Credentials
from untrace_pipeline.data import Signal
from untrace_pipeline.net.http2_frames import (
    PREFACE,
    ErrorCode,
    Flag,
    FrameType,
    Setting,
    build,
    build_reset,
    build_settings,
    build_window_update,
)
from untrace_pipeline.testing import BlockingSink
from untrace_plugins.receivers.otlp.grpc_transport import METHODS

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", METHODS[Signal.TRACES]),
    (":authority", "test"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]
BLOCK = hpack.Encoder().encode(HEADERS)
MESSAGE = b"\x00" + len(BODY).to_bytes(4, "big") + BODY
WHOLE = Flag.END_HEADERS
LAST = Flag.END_HEADERS | Flag.END_STREAM


def opening(id: int, block: bytes = BLOCK, flags: int = WHOLE) -> bytes:
    """Return the HEADERS of a call."""
    return build(FrameType.HEADERS, flags, id, block)


def call(id: int) -> bytes:
    """Return a whole call."""
    return opening(id) + build(FrameType.DATA, Flag.END_STREAM, id, MESSAGE)


class Peer:
    """A client that sends frames as the test wants them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = hpack.Decoder()

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def frame(self) -> tuple[int, int, int, bytes]:
        """Return kind, flags, stream and payload of the next frame. Raises ``IncompleteReadError`` at the end."""
        async with asyncio.timeout(TIMEOUT):
            head = await self.reader.readexactly(9)
            payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    async def until(self, kind: FrameType) -> tuple[int, int, bytes]:
        """Skip to the next frame of a kind and return its flags, stream and payload."""
        while True:
            found, flags, stream, payload = await self.frame()
            if found == FrameType.HEADERS and found != kind:
                self._decoder.decode(payload)
            if found == kind:
                return flags, stream, payload

    async def error(self) -> tuple[ErrorCode, str]:
        """Return the error of the GOAWAY."""
        _, _, payload = await self.until(FrameType.GOAWAY)
        return ErrorCode(int.from_bytes(payload[4:8], "big")), payload[8:].decode()

    async def status(self) -> tuple[int, str, str]:
        """Return stream, status and message of the next call that ends."""
        while True:
            flags, stream, payload = await self.until(FrameType.HEADERS)
            headers = dict(self._decoder.decode(payload))
            if flags & Flag.END_STREAM:
                return stream, headers.get("grpc-status", ""), headers.get("grpc-message", "")

    async def closed(self) -> None:
        """Read to the end of the connection."""
        async with asyncio.timeout(TIMEOUT):
            with suppress(ConnectionResetError):
                await self.reader.read()


@asynccontextmanager
async def connected(running: Running, greeting: bytes = PREFACE + build_settings({})) -> AsyncIterator[Peer]:
    """Open a connection to the gRPC port."""
    host, _, port = running.grpc_target.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(greeting)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def _quick_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are noticed within hundredths of a second."""
    monkeypatch.setattr("untrace_pipeline.net.stream_server.SWEEP_SECONDS", 0.02)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with receiver(grpc={"max_concurrent_streams": 8}) as one:
        yield one
        await one.still_serves()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\xff" * 9, ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (opening(2), ErrorCode.PROTOCOL_ERROR),
        (opening(0), ErrorCode.PROTOCOL_ERROR),
        (opening(3) + opening(1), ErrorCode.PROTOCOL_ERROR),
        (opening(1, b"\x00\x01A\x01b"), ErrorCode.PROTOCOL_ERROR),
        (opening(1, b"\x80"), ErrorCode.COMPRESSION_ERROR),
        (opening(1, b"\xff" * 50), ErrorCode.COMPRESSION_ERROR),
        (opening(1, b"\xff" + BLOCK, WHOLE | Flag.PADDED), ErrorCode.PROTOCOL_ERROR),
        (opening(1, b"", WHOLE | Flag.PADDED), ErrorCode.PROTOCOL_ERROR),
        (opening(1, b"abc", WHOLE | Flag.PRIORITY), ErrorCode.FRAME_SIZE_ERROR),
        (opening(1) + build(FrameType.DATA, Flag.PADDED, 1, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.CONTINUATION, WHOLE, 1, BLOCK), ErrorCode.PROTOCOL_ERROR),
        (opening(1, flags=0) + build(FrameType.PING, 0, 0, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (opening(1, flags=0) + build(FrameType.CONTINUATION, WHOLE, 3, b""), ErrorCode.PROTOCOL_ERROR),
        (opening(1, flags=0) + build(FrameType.CONTINUATION, 0, 1, b"") * 100, ErrorCode.ENHANCE_YOUR_CALM),
        (opening(1, flags=0) + build(FrameType.CONTINUATION, 0, 1, bytes(16_000)) * 6, ErrorCode.ENHANCE_YOUR_CALM),
        (build(FrameType.SETTINGS, 0, 0, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.SETTINGS, Flag.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (build_settings({Setting.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
        (build_settings({Setting.ENABLE_PUSH: 2}), ErrorCode.PROTOCOL_ERROR),
        (build_settings({Setting.MAX_FRAME_SIZE: 2**14 - 1}), ErrorCode.PROTOCOL_ERROR),
        (build_settings({Setting.MAX_FRAME_SIZE: 2**24}), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.PRIORITY, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (opening(1, bytes(3) + b"\x01\x00" + BLOCK, WHOLE | Flag.PRIORITY), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.PING, 0, 0, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.PING, 0, 0, bytes(8)) * 10, ErrorCode.ENHANCE_YOUR_CALM),
        (build(FrameType.PUSH_PROMISE, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (build_window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
        (build_window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (build_window_update(5, 1), ErrorCode.PROTOCOL_ERROR),
        (build(FrameType.WINDOW_UPDATE, 0, 0, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
        (build(FrameType.RST_STREAM, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (opening(1) + build(FrameType.RST_STREAM, 0, 1, b"abc"), ErrorCode.FRAME_SIZE_ERROR),
    ],
)
async def test_broken_rule_ends_the_connection(running: Running, frames: bytes, code: ErrorCode) -> None:
    """The client is told which rule it broke, and the connection is closed."""
    async with connected(running) as peer:
        peer.send(frames)
        assert (await peer.error())[0] is code
        await peer.closed()
    assert not running.sink.batches


@pytest.mark.parametrize(
    "frame",
    [
        build(FrameType.DATA, 0, 1),
        build(FrameType.DATA, Flag.PADDED, 1, b"\x07" + bytes(7)),
        build_settings({Setting.INITIAL_WINDOW_SIZE: 70_000}),
        build(FrameType.PRIORITY, 0, 1, bytes(5)),
        build(99, 0, 1),  # type: ignore[arg-type]
    ],
    ids=["empty-data", "padding", "settings", "priority", "unknown"],
)
async def test_frames_that_bring_nothing_are_counted(running: Running, frame: bytes) -> None:
    """A flood of them ends the connection instead of keeping everybody busy."""
    async with connected(running) as peer:
        peer.send(opening(1), *[frame] * 2000)
        assert (await peer.error())[0] is ErrorCode.ENHANCE_YOUR_CALM
    await running.still_serves()


async def test_first_frame_must_be_settings(running: Running) -> None:
    """A connection that begins otherwise is none."""
    async with connected(running, PREFACE + call(1)) as peer:
        assert (await peer.error())[0] is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
async def test_what_does_not_begin_as_http_2_is_told(running: Running, begin: bytes) -> None:
    """A browser or an OTLP/HTTP client reads why this is the wrong port."""
    async with connected(running, begin) as peer:
        async with asyncio.timeout(TIMEOUT):
            assert b"this endpoint speaks gRPC" in await peer.reader.read()


async def test_what_is_no_http_is_not_answered_in_http_1(running: Running) -> None:
    """TLS on a port without gets HTTP/2's own error, and the connection is closed."""
    async with connected(running, b"\x16\x03\x01\x02\x00") as peer:
        assert (await peer.error())[0] is ErrorCode.PROTOCOL_ERROR
        await peer.closed()


async def test_every_byte_alone(running: Running) -> None:
    """However the bytes are cut, the frames are the same."""
    async with connected(running, b"") as peer:
        for byte in PREFACE + build_settings({}) + call(1):
            peer.send(bytes([byte]))
            await peer.writer.drain()
        assert await peer.status() == (1, "0", "")


async def test_padding_priority_continuation_and_unknown_frames(running: Running) -> None:
    """What the protocol allows and gRPC clients never do is understood."""
    priority = bytes(4) + b"\x10"
    async with connected(running) as peer:
        peer.send(
            build(FrameType.HEADERS, Flag.PADDED | Flag.PRIORITY, 1, b"\x03" + priority + BLOCK[:20] + bytes(3)),
            build(FrameType.CONTINUATION, 0, 1, BLOCK[20:25]),
            build(FrameType.CONTINUATION, WHOLE, 1, BLOCK[25:]),
            build(FrameType.PRIORITY, 0, 1, priority),
            build(FrameType(0) + 77, 0xFF, 1, b"whatever"),  # type: ignore[arg-type]
            build(FrameType.DATA, Flag.PADDED, 1, b"\x02" + MESSAGE[:3] + bytes(2)),
            build(FrameType.DATA, 0, 1, MESSAGE[3:]),
            build(FrameType.DATA, Flag.END_STREAM, 1),
        )
        assert await peer.status() == (1, "0", "")
    assert running.sink.item_count == ITEMS


async def test_trailers_of_the_client_end_the_message(running: Running) -> None:
    """A stream may end with headers."""
    async with connected(running) as peer:
        peer.send(opening(1) + build(FrameType.DATA, 0, 1, MESSAGE) + opening(1, hpack.Encoder().encode([]), LAST))
        assert await peer.status() == (1, "0", "")


async def test_answers_wait_for_the_clients_window(running: Running) -> None:
    """A client that grants no window gets no data; when it does, every answer arrives whole and in order."""
    async with connected(running, PREFACE + build_settings({Setting.INITIAL_WINDOW_SIZE: 0})) as peer:
        peer.send(call(1) + call(3))
        await peer.until(FrameType.HEADERS)
        await running.sink.wait_for_items(2 * ITEMS)
        peer.send(build_window_update(3, 100), build_window_update(1, 2))
        _, stream, payload = await peer.until(FrameType.DATA)
        assert (stream, payload) == (1, b"\0\0")
        peer.send(build_settings({Setting.INITIAL_WINDOW_SIZE: 10}))
        assert [await peer.status(), await peer.status()] == [(1, "0", ""), (3, "0", "")]


class SlowGuard:
    """An authenticator that does not come to an end."""

    challenge = "Word"

    async def start(self, host: object) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""

    async def authenticate(self, metadata: object) -> Credentials:
        await asyncio.sleep(3600)
        return Credentials()


async def test_more_data_than_the_window_is_an_error() -> None:
    """While a client is being authenticated it may send 64 KiB per call and no more."""
    options = {"auth": {"authenticator": "slow"}}
    async with receiver(grpc=options, extensions={"slow": SlowGuard()}) as running, connected(running) as peer:
        peer.send(opening(1), build(FrameType.DATA, 0, 1, b"\x00\x00\xff\xff\xff"))
        peer.send(*(build(FrameType.DATA, 0, 1, bytes(16_000)) for _ in range(5)))
        assert (await peer.error())[0] is ErrorCode.FLOW_CONTROL_ERROR
        await peer.closed()


async def test_streams_beyond_the_limit_are_refused() -> None:
    """A client that ignores MAX_CONCURRENT_STREAMS is told which of its calls were not taken, and may repeat them."""
    sink = BlockingSink()
    async with receiver(sink=sink, grpc={"max_concurrent_streams": 2}) as running, connected(running) as peer:
        peer.send(*(call(number) for number in (1, 3, 5, 7)))
        refused = [await peer.until(FrameType.RST_STREAM) for _ in range(2)]
        assert [(stream, payload[-1]) for _, stream, payload in refused] == [(5, 7), (7, 7)]
        sink.release.set()
        assert {(await peer.status())[0] for _ in range(2)} == {1, 3}
    assert sink.item_count == 2 * ITEMS


async def test_cancelled_calls_do_not_pile_up() -> None:
    """Opening and cancelling without end does not start more handlers than streams are allowed, and is cut off."""
    sink = BlockingSink()
    async with receiver(sink=sink, grpc={"max_concurrent_streams": 8}) as running, connected(running) as peer:
        for number in range(1, 2001, 2):
            peer.send(call(number) + build_reset(number, ErrorCode.CANCEL))
        _, _, payload = await peer.until(FrameType.RST_STREAM)
        assert payload[-1] == ErrorCode.REFUSED_STREAM
        assert sink.waiting <= 8
        for number in range(2001, 4001, 2):
            peer.send(opening(number) + build_reset(number, ErrorCode.CANCEL))
        sink.release.set()
    async with receiver(grpc={}) as running, connected(running) as peer:
        for number in range(1, 1001, 2):
            peer.send(opening(number) + build_reset(number, ErrorCode.CANCEL))
        assert (await peer.error())[0] is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(":method", "GET"), (":scheme", "http"), (":path", "/")], "415"),
        ([*HEADERS[:3], ("content-type", "application/json")], "415"),
    ],
)
async def test_request_that_is_no_grpc(running: Running, headers: list[tuple[str, str]], status: str) -> None:
    """A browser that speaks HTTP/2 gets an HTTP status, and reads why."""
    async with connected(running) as peer:
        peer.send(opening(1, hpack.Encoder().encode(headers), LAST))
        _, _, payload = await peer.until(FrameType.HEADERS)
        assert dict(hpack.Decoder().decode(payload))[":status"] == status
        flags, _, text = await peer.until(FrameType.DATA)
        assert flags == Flag.END_STREAM
        assert b"gRPC" in text


async def test_header_bomb_ends_one_call_only(running: Running) -> None:
    """Metadata that would unpack to megabytes is refused, and the connection goes on."""
    encoder = hpack.Encoder()
    bomb = encoder.encode([*HEADERS, ("x", "y" * 3000)]) + b"\xbe" * 10_000
    async with connected(running) as peer:
        peer.send(opening(1, bomb, LAST))
        stream, status, message = await peer.status()
        assert (stream, status) == (1, "8")
        assert "64 KiB" in message
        peer.send(opening(3, encoder.encode(HEADERS)) + build(FrameType.DATA, Flag.END_STREAM, 3, MESSAGE))
        assert await peer.status() == (3, "0", "")


async def test_message_that_stops_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose message does not come is DEADLINE_EXCEEDED after a while."""
    monkeypatch.setattr("untrace_pipeline.net.grpc_server.MESSAGE_IDLE_SECONDS", 0.1)
    async with receiver(grpc={}) as running, connected(running) as peer:
        peer.send(opening(1) + build(FrameType.DATA, 0, 1, MESSAGE[:10]))
        stream, status, _ = await peer.status()
        assert (stream, status) == (1, "4")
        _, _, payload = await peer.until(FrameType.RST_STREAM)
        assert payload[-1] == ErrorCode.NO_ERROR


async def test_connection_without_greeting_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing, or half of the preface, is gone after a while."""
    monkeypatch.setattr("untrace_pipeline.net.grpc_settings.HANDSHAKE_SECONDS", 0.1)
    async with receiver(grpc={}) as running:
        for begin in (b"", PREFACE[:10], PREFACE):
            async with connected(running, begin) as peer:
                await peer.closed()


@pytest.mark.parametrize("parameter", ["max_connection_idle", "max_connection_age"])
async def test_connections_end_when_told_so(parameter: str) -> None:
    """Idle and old connections are sent elsewhere with GOAWAY, after the calls under way."""
    sink = BlockingSink()
    keepalive: dict[str, Any] = {"server_parameters": {parameter: "100ms"}}
    async with receiver(sink=sink, grpc={"keepalive": keepalive}) as running, connected(running) as peer:
        peer.send(call(1))
        if parameter == "max_connection_idle":
            sink.release.set()
            assert await peer.status() == (1, "0", "")
            assert (await peer.error())[0] is ErrorCode.NO_ERROR
        else:
            assert (await peer.error())[0] is ErrorCode.NO_ERROR
            peer.send(call(3))
            sink.release.set()
            assert await peer.status() == (1, "0", "")
        await peer.closed()
    assert sink.item_count == ITEMS


async def test_dead_client_is_noticed() -> None:
    """A silent client is pinged, and cut off when it does not answer; one that answers stays."""
    keepalive = {"server_parameters": {"time": "100ms", "timeout": "150ms"}}
    async with receiver(grpc={"keepalive": keepalive}) as running, connected(running) as peer:
        _, _, payload = await peer.until(FrameType.PING)
        peer.send(build(FrameType.PING, Flag.ACK, 0, payload))
        await peer.until(FrameType.PING)
        await peer.closed()


@pytest.mark.parametrize("permitted", [True, False])
async def test_pings_of_clients_are_counted(permitted: bool) -> None:
    """Pings are answered; too many are ENHANCE_YOUR_CALM unless the policy permits them."""
    policy = {"min_time": "0s", "permit_without_stream": permitted}
    async with receiver(grpc={"keepalive": {"enforcement_policy": policy}}) as running, connected(running) as peer:
        for _ in range(5):
            peer.send(build(FrameType.PING, 0, 0, b"12345678"))
        if permitted:
            for _ in range(5):
                assert await peer.until(FrameType.PING) == (Flag.ACK, 0, b"12345678")
        else:
            assert await peer.error() == (ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
