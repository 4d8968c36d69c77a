"""The server: HTTP/1.1 on loopback, in a thread with a loop of its own, each byte under control."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httptools

from tests.support.llm_upstream.ask import Ask, Recorded, ask_of
from tests.support.llm_upstream.faults import NO_FAULT, Fault, fault_of
from tests.support.llm_upstream.reply import Reply, reply_to
from tests.support.llm_upstream.truth import Truth, truth_of

__all__ = ["LlmUpstream"]

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""
_EXTRA_BYTES = 64
_PAUSE_SECONDS = 0.0005
"""Between pieces, so that what comes before is a segment of its own."""
_PIECES_AT_ONCE = 8


class LlmUpstream:
    """A stand-in for all providers at once: `with LlmUpstream() as upstream: client(base_url=upstream.url)`.

    Equal requests get equal bytes. `requests` has all that came; `script` says what goes wrong with the next ones.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, keep: bool = True, port: int = 0) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.aborted = 0
        """How often a client went away before its answer was complete."""
        self._port = port
        self._tls = tls
        self._keep = keep
        self._script: deque[Fault] = deque()
        self._open: set[_Connection] = set()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="llm-upstream", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port that it got."""
        return self._port

    @property
    def last(self) -> Recorded:
        """The request that came last."""
        return self.requests[-1]

    def truth(self, request: Recorded | None = None) -> Truth:
        """Return what a span of a request has to say; the last one's if none is given."""
        return truth_of(ask_of(request or self.last))

    def reply(self, request: Recorded | None = None) -> Reply:
        """Return the answer that a request gets when nothing goes wrong in sending it."""
        request = request or self.last
        ask = ask_of(request)
        return reply_to(request, ask, fault_of(request, ask))

    def script(self, faults: Iterable[str]) -> None:
        """Let the next requests fail in this order, whatever they ask for; an empty name is no fault."""
        self._script.extend(Fault.parse(name) if name else NO_FAULT for name in faults)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def take(self, request: Recorded) -> tuple[Ask, Fault]:
        """Remember a request and say what goes wrong with it."""
        if self._keep:
            self.requests.append(request)
        ask = ask_of(request)
        return ask, self._script.popleft() if self._script else fault_of(request, ask)

    def opened(self, connection: _Connection) -> int:
        """Count a connection and return its number."""
        self._open.add(connection)
        self.connections += 1
        return self.connections - 1

    def closed(self, connection: _Connection, *, answering: bool) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self.aborted += answering

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._open):
            connection.abort()
        await asyncio.gather(*(connection.ended for connection in list(self._open)))
        await server.wait_closed()


class _Connection(asyncio.Protocol):
    """One connection: requests are answered in turn."""

    def __init__(self, upstream: LlmUpstream) -> None:
        self._upstream = upstream
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self._waiting: deque[Recorded] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._number = self._upstream.opened(self)
        taken = transport.get_extra_info("socket")
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget it, and what it was being answered."""
        self._upstream.closed(self, answering=self._task is not None)
        self._transport = None
        self._writable.set()
        if self._task:
            self._task.cancel()
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.abort()

    def pause_writing(self) -> None:
        """The client is slow."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    def on_url(self, part: bytes) -> None:
        """A part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header as it was written."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        if name.lower() == b"expect":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Answer, after what came before."""
        method = self._parser.get_method().decode()
        headers, body = tuple(self._headers), b"".join(self._body)
        self._waiting.append(Recorded(method, self._target.decode("latin-1"), headers, body, self._number))
        self._begin()
        if self._task is None:
            self._task = asyncio.ensure_future(self._answer())

    async def _answer(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while self._waiting and self._transport:
                request = self._waiting.popleft()
                ask, fault = self._upstream.take(request)
                await self._send(reply_to(request, ask, fault), fault, head=request.method == "HEAD")
        self._task = None

    async def _send(self, reply: Reply, fault: Fault, *, head: bool) -> None:
        """Send an answer, with those faults that lie in the sending."""
        match fault.name:
            case "hang":
                await self._hang()
            case "reset":
                self.abort(reset=True)
                return
            case "close":
                self.abort()
                return
            case "garbage":
                self._write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
                self.abort()
                return
        chunked = reply.chunked and fault.name not in {"no_length", "long_length", "short_length"}
        self._write(_head(reply, fault, chunked=chunked))
        if head:
            return
        half = fault.name in {"hang_mid", "reset_mid", "close_mid"}
        await self._send_pieces(_first_half(reply) if half else reply.pieces, fault, chunked=chunked)
        if half:
            await asyncio.sleep(10 * _PAUSE_SECONDS)  # let it arrive before the connection breaks
            await self._end_badly(fault)
            return
        if fault.name == "late_end":
            await asyncio.sleep(fault.number / 1000)
        if chunked:
            self._write(b"0\r\n\r\n")
        if fault.name in {"no_length", "long_length", "short_length"}:
            self._close()

    async def _send_pieces(self, pieces: Iterable[bytes], fault: Fault, *, chunked: bool) -> None:
        if fault.name == "first":
            await asyncio.sleep(fault.number / 1000)
        for number, piece in enumerate(pieces):
            if fault.name == "slow":
                await asyncio.sleep(fault.number / 1000)
            elif number % _PIECES_AT_ONCE == 1 and fault.name == "pieces":
                await asyncio.sleep(_PAUSE_SECONDS)
            await self._writable.wait()
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)

    async def _end_badly(self, fault: Fault) -> None:
        match fault.name:
            case "hang_mid":
                await self._hang()
            case "reset_mid":
                self.abort(reset=True)
            case _:
                self._close()

    async def _hang(self) -> None:
        await asyncio.get_running_loop().create_future()  # until the client or the server goes

    def abort(self, *, reset: bool = False) -> None:
        """End the connection now, with RST if asked for."""
        if self._transport is None:
            return
        if reset:
            taken = self._transport.get_extra_info("socket")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._task, task = None, self._task
        self._transport.abort()
        if task:
            task.cancel()

    def _close(self) -> None:
        self._task = None
        if self._transport:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)


def _first_half(reply: Reply) -> list[bytes]:
    if len(reply.pieces) > 1:
        return list(reply.pieces[: len(reply.pieces) // 2])
    return [reply.body[: len(reply.body) // 2]]


def _head(reply: Reply, fault: Fault, *, chunked: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_reason(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    length = sum(map(len, reply.pieces))
    match fault.name:
        case "no_length":
            lines.append("Connection: close")
        case "long_length":
            lines.append(f"Content-Length: {length + _EXTRA_BYTES}")
        case "short_length":
            lines.append(f"Content-Length: {max(0, length - _EXTRA_BYTES)}")
        case _:
            lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded"  # 529
