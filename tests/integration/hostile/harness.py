"""A started ``otlp`` receiver in front of a sink, and clients that say exactly the bytes that a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from untrace_pipeline.api import Extension, Kind
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_request, make_settings
from untrace_plugins.receivers.otlp import FACTORY
from untrace_plugins.receivers.otlp.grpc_transport import METHODS
from untrace_plugins.receivers.otlp.receiver import OtlpReceiver

PROTOBUF, JSON = "application/x-protobuf", "application/json"
BODY = make_request(Signal.TRACES, 2).SerializeToString()
ITEMS = 2
TIMEOUT = 15.0


@dataclass(frozen=True)
class Reply:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """A raw connection to the HTTP port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)

    async def reply(self) -> Reply:
        """Read one response. Raises ``TimeoutError``, ``IncompleteReadError``."""
        async with asyncio.timeout(TIMEOUT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split(" ")[1]), headers, body)

    async def closed(self) -> bool:
        """Wait until the server closes; whether nothing came before that."""
        async with asyncio.timeout(TIMEOUT):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


class Running:
    """The receiver under attack."""

    def __init__(self, receiver: OtlpReceiver, sink: Sink) -> None:
        self.receiver = receiver
        self.sink = sink

    @property
    def http_port(self) -> int:
        assert self.receiver.http is not None
        return self.receiver.http.endpoint.port

    @property
    def grpc_target(self) -> str:
        assert self.receiver.grpc is not None
        return f"127.0.0.1:{self.receiver.grpc.endpoint.port}"

    @asynccontextmanager
    async def client(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
        """Open a raw connection."""
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port, ssl=tls, server_hostname=name)
        client = Client(reader, writer)
        try:
            yield client
        finally:
            await client.close()

    async def ask(self, raw: bytes) -> Reply:
        """Send bytes on a new connection and return the response."""
        async with self.client() as client:
            client.send(raw)
            return await client.reply()

    async def export(self, body: bytes, method: str = METHODS[Signal.TRACES], **options: Any) -> bytes:
        """Send a gRPC request. Raises ``grpc.aio.AioRpcError``."""
        async with grpc.aio.insecure_channel(self.grpc_target, [("grpc.max_send_message_length", -1)]) as channel:
            answer: bytes = await channel.unary_unary(method)(body, timeout=TIMEOUT, **options)
            return answer

    async def still_serves(self) -> None:
        """Check that the next honest request is taken, over each protocol that is on."""
        before = self.sink.item_count
        expected = 0
        if self.receiver.http is not None:
            reply = await self.ask(post(BODY))
            assert reply.status == 200, reply.text
            expected += ITEMS
        if self.receiver.grpc is not None:
            assert await self.export(BODY) == b""
            expected += ITEMS
        assert self.sink.item_count == before + expected


def post(
    body: bytes = b"",
    content_type: str = PROTOBUF,
    *,
    path: str = "/v1/traces",
    headers: Sequence[str] = (),
    length: int | None = None,
) -> bytes:
    """Return a POST request; ``length`` to lie about the size."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body) if length is None else length}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def span_json(**fields: Any) -> bytes:
    """Return a JSON request of one span."""
    span = {"name": "chat", "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"} | fields
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


@asynccontextmanager
async def receiver(
    *,
    sink: Sink | None = None,
    http: Mapping[str, Any] | None = None,
    grpc: Mapping[str, Any] | None = None,
    signals: Sequence[Signal] = tuple(Signal),
    extensions: Mapping[str, Extension] | None = None,
    meter: RecordingMeter | None = None,
) -> AsyncIterator[Running]:
    """Run a receiver; both protocols with defaults unless one is configured."""
    if http is None and grpc is None:
        http, grpc = {}, {}
    chosen = {name: options for name, options in (("http", http), ("grpc", grpc)) if options is not None}
    protocols = {name: {"endpoint": "127.0.0.1:0", **options} for name, options in chosen.items()}
    config = FACTORY.config.model_validate({"protocols": protocols})
    sink = sink or Sink()
    running = Running(
        FACTORY.create(config, make_settings(Kind.RECEIVER, "otlp", signals=signals, meter=meter), sink), sink
    )
    await running.receiver.start(StubHost(extensions))
    try:
        yield running
    finally:
        async with asyncio.timeout(TIMEOUT):
            await running.receiver.shutdown()
