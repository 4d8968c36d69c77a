"""An HTTP/2 server that does to each gRPC call what a script says, down to single frames."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.handshakes import end_handshakes
from untrace_pipeline.net.hpack import encode_header

__all__ = ["ScriptedHttp2", "Step", "answer", "cut", "go_away", "half", "hang", "reset"]

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PREFACE_BYTES = 24


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Call:
    """A call that came whole."""

    def __init__(self, writer: asyncio.StreamWriter, stream: int, message: bytes) -> None:
        self.writer = writer
        self.stream = stream
        self.message = message

    def send(self, kind: int, flags: int = 0, payload: bytes = b"", *, stream: int | None = None) -> None:
        self.writer.write(frame(kind, flags, self.stream if stream is None else stream, payload))


Step = Callable[[Call], Awaitable[None]]
_HEAD = b"\x88" + encode_header(b"content-type", b"application/grpc")


async def answer(call: Call) -> None:
    """Accept."""
    call.send(HEADERS, END_HEADERS, _HEAD)
    call.send(DATA, 0, bytes(5))
    call.send(HEADERS, END_HEADERS | END_STREAM, encode_header(b"grpc-status", b"0"))


async def half(call: Call) -> None:
    """Begin an answer, and close the connection."""
    call.send(HEADERS, END_HEADERS, _HEAD)
    call.send(DATA, 0, bytes(3))
    await cut(call)


async def cut(call: Call) -> None:
    """Close the connection."""
    await call.writer.drain()
    call.writer.close()


async def hang(call: Call) -> None:
    """Never answer."""


def reset(code: int) -> Step:
    """Reset the stream with an error code of HTTP/2."""

    async def step(call: Call) -> None:
        call.send(RST_STREAM, 0, struct.pack(">I", code))

    return step


async def go_away(call: Call) -> None:
    """Accept, and ask for no more calls on this connection."""
    call.send(GOAWAY, 0, struct.pack(">II", call.stream, 0), stream=0)
    await answer(call)


class ScriptedHttp2:
    """Without a step left, calls are accepted."""

    def __init__(
        self,
        *steps: Step,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        pongs: bool = True,
    ) -> None:
        self.script = deque(steps)
        self.connections = 0
        self.messages: list[bytes] = []
        self.pings = 0
        self.arrived = asyncio.Event()
        self.reset = asyncio.Event()
        self.left = asyncio.Event()
        self.port = port
        self._host, self._tls, self._pongs = host, tls, pongs
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()
        await end_handshakes()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await reader.readexactly(PREFACE_BYTES)
            writer.write(frame(SETTINGS, 0, 0))
            await self._frames(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.left.set()
        finally:
            writer.close()

    async def _frames(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies: dict[int, bytes] = {}
        while True:
            head = await reader.readexactly(9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                writer.write(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.pings += 1
                if self._pongs:
                    writer.write(frame(PING, ACK, 0, payload))
            elif kind == RST_STREAM:
                self.reset.set()
            elif kind == DATA:
                bodies[stream] = bodies.get(stream, b"") + payload
                if flags & END_STREAM:
                    self.messages.append(bodies.pop(stream))
                    self.arrived.set()
                    step = self.script.popleft() if self.script else answer
                    await step(Call(writer, stream, self.messages[-1]))
