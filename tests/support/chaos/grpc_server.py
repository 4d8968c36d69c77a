"""OTLP/gRPC over bare HTTP/2 that does what the judge says: a gRPC library would not cut a connection in an answer."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from google.rpc.status_pb2 import Status
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from tests.support.chaos.judge import Answer, Cut, Judge
from tests.support.otlp_servers import DECOMPRESS

WINDOW_BYTES = 1 << 24
MESSAGE_HEAD_BYTES = 5
PATIENCE_SECONDS = 0.5
"""How long a cut waits for the client to have read earlier answers."""

UNREAD_ANSWERS = 1000
"""After so many answers the client is asked whether it has read them."""

Headers = list[tuple[bytes, bytes]]
_SETTINGS = {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES, SettingCodes.MAX_CONCURRENT_STREAMS: 1000}
_OK: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]


class GrpcChaos:
    """Serves every method; only traces are looked for."""

    def __init__(self, judge: Judge) -> None:
        self.port = 0
        self._judge = judge
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Listen; 0 takes a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._judge, self._connections), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.abort()
            await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, judge: Judge, all_of_them: set[_Connection]) -> None:
        self._judge = judge
        self._all = all_of_them
        config = H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
        self._h2 = H2Connection(config)
        self._bodies: dict[int, bytearray] = {}
        self._encodings: dict[int, str] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._unread: deque[Sequence[int]] = deque()
        """Items of the answers that the client may not have read."""
        self._pings: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Answers that it has read when it answers a ping, among those that were unread then."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._all.add(self)
        self._h2.local_settings = Settings(client=False, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        for call in self._calls.values():
            call.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        self._flush()

    def abort(self) -> None:
        """Cut the connection at once; answers that are on their way are lost."""
        self._judge.cut([item for items in self._unread for item in items])
        self._unread.clear()
        self._transport.abort()

    # --------------------------------------------------------------------- in

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers) if stream is not None:
                fields = dict(headers or ())
                self._bodies[stream] = bytearray()
                self._encodings[stream] = fields.get(b"grpc-encoding", b"identity").decode()
            case DataReceived(stream_id=stream, data=data) if stream in self._bodies:
                self._bodies[stream] += data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case StreamEnded(stream_id=stream) if stream in self._bodies:
                message = _message(bytes(self._bodies.pop(stream)), self._encodings.pop(stream))
                self._calls[stream] = asyncio.get_running_loop().create_task(self._call(stream, message))
            case StreamReset(stream_id=stream) if stream is not None:
                self._bodies.pop(stream, None)
                if call := self._calls.pop(stream, None):
                    call.cancel()
            case PingAckReceived():
                answers, waiting = self._pings.popleft()
                self._forget(answers)
                if not waiting.done():
                    waiting.set_result(None)
            case ConnectionTerminated():
                self._transport.close()

    # -------------------------------------------------------------------- out

    async def _call(self, stream: int, message: bytes) -> None:
        try:
            answer = await self._judge.judge("grpc", message)
            if isinstance(answer, Cut):
                await self._cut(stream, answer)
            else:
                self._say(stream, answer)
        finally:
            self._calls.pop(stream, None)

    def _say(self, stream: int, answer: Answer) -> None:
        try:
            if self._transport.is_closing():
                raise ProtocolError("closing")
            self._answer(stream, answer)
        except ProtocolError:  # the client has left in the same moment
            self._judge.cut(answer.took)
            return
        self._unread.append(answer.took)
        if len(self._unread) == UNREAD_ANSWERS:
            self._ask()
        self._flush()

    def _answer(self, stream: int, answer: Answer) -> None:
        refusal = answer.refusal
        if refusal is not None:
            self._h2.send_headers(stream, _OK + _trailers(refusal), end_stream=True)
            return
        self._h2.send_headers(stream, _OK)
        self._h2.send_data(stream, b"\0" + len(answer.body).to_bytes(4, "big") + answer.body)
        self._h2.send_headers(stream, [(b"grpc-status", b"0")], end_stream=True)

    async def _cut(self, stream: int, cut: Cut) -> None:
        """Cut the connection once the client has read all earlier answers: no more may be lost than we say."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until_read(), PATIENCE_SECONDS)
        if cut.midway:
            with suppress(ProtocolError):  # the stream ended in the same moment
                self._h2.send_headers(stream, _OK)
                self._h2.send_data(stream, b"\0\0")
            self._flush()
        self.abort()

    async def _until_read(self) -> None:
        read = self._ask()
        self._flush()
        await read

    def _ask(self) -> asyncio.Future[None]:
        """Ask the client to say when it has read what was answered so far."""
        read: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings.append((len(self._unread), read))
        self._h2.ping(b"all read")
        return read

    def _forget(self, answers: int) -> None:
        for _ in range(answers):
            self._unread.popleft()
        self._pings = deque((count - answers, read) for count, read in self._pings)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def _trailers(status: Status) -> Headers:
    details: Any = base64.b64encode(status.SerializeToString()).rstrip(b"=")
    return [
        (b"grpc-status", str(status.code).encode()),
        (b"grpc-message", status.message.encode()),
        (b"grpc-status-details-bin", details),
    ]


def _message(body: bytes, encoding: str) -> bytes:
    if not body or not body[0]:
        return body[MESSAGE_HEAD_BYTES:]
    return DECOMPRESS[encoding](body[MESSAGE_HEAD_BYTES:])
