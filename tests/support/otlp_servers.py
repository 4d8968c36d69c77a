"""OTLP servers on loopback that misbehave as scripted: real gRPC and HTTP, one scripted step per request.

Without a step left, a request is accepted::

    async with GrpcServer(Refuse(Code.UNAVAILABLE), Accept()) as server:
        ...  # the first request is refused, all others are accepted
        assert server.item_count == 10
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
import zstandard
from aiohttp import web
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tests.support.handshakes import end_handshakes
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import Code

STATUS = {code.value[0]: code for code in grpc.StatusCode}
SERVICES = {"TraceService": Signal.TRACES, "MetricsService": Signal.METRICS, "LogsService": Signal.LOGS}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompress(data),
}


@dataclass(frozen=True)
class Accept:
    """Take the request, after a while if told so, and reject part of it if told so."""

    delay: float = 0.0
    rejected: int = 0
    message: str = ""

    def body(self) -> bytes:
        if not self.rejected and not self.message:
            return b""
        partial = ExportTracePartialSuccess(rejected_spans=self.rejected, error_message=self.message)
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


@dataclass(frozen=True)
class Refuse:
    """Refuse with a gRPC code; ``retry_after`` seconds become RetryInfo."""

    code: Code = Code.UNAVAILABLE
    message: str = "refused by the test"
    retry_after: float | None = None

    def status(self) -> Status:
        status = Status(code=self.code, message=self.message)
        if self.retry_after is not None:
            packed = ProtoAny()
            seconds = int(self.retry_after)
            packed.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=int((self.retry_after - seconds) * 1e9))))
            status.details.append(packed)
        return status


@dataclass(frozen=True)
class Reply:
    """Answer HTTP with exactly this."""

    status: int
    body: bytes = b""
    content_type: str = "application/x-protobuf"
    headers: Mapping[str, str] = field(default_factory=dict)


class Hang:
    """Never answer."""


class Reset:
    """Cut the connection."""


Step = Accept | Refuse | Reply | Hang | Reset


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    batch: Batch
    headers: Mapping[str, str]


class _Server:
    """What both servers share: the script, what was accepted, and limits that hold for every request."""

    def __init__(
        self,
        *steps: Step,
        max_bytes: int = 0,
        required: Mapping[str, str] | None = None,
        forever: Step | None = None,
    ) -> None:
        self.script = deque(steps)
        self.forever: Step = forever or Accept()
        self.max_bytes = max_bytes
        self.required = dict(required or {})
        self.attempts = 0
        self.accepted: list[Received] = []
        self.port = 0
        self._arrived = asyncio.Condition()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def item_count(self) -> int:
        return sum(one.batch.item_count for one in self.accepted)

    async def wait_for_items(self, count: int, timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: self.item_count >= count)

    async def wait_for_attempts(self, count: int, timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: self.attempts >= count)

    async def _next(self, headers: Mapping[str, str], size: int) -> Step:
        self.attempts += 1
        async with self._arrived:
            self._arrived.notify_all()
        if any(headers.get(name) != value for name, value in self.required.items()):
            return Refuse(Code.UNAUTHENTICATED, "who are you?")
        if self.max_bytes and size > self.max_bytes:
            return Refuse(
                Code.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({size} vs. {self.max_bytes})"
            )
        return self.script.popleft() if self.script else self.forever

    async def _take(self, signal: Signal, data: bytes, headers: Mapping[str, str]) -> None:
        self.accepted.append(Received(Batch(signal, data), headers))
        async with self._arrived:
            self._arrived.notify_all()


class GrpcServer(_Server):
    """OTLP/gRPC; ``port`` may be given to come up again where another one was."""

    def __init__(
        self, *steps: Step, credentials: grpc.ServerCredentials | None = None, port: int = 0, **more: Any
    ) -> None:
        super().__init__(*steps, **more)
        self._credentials = credentials
        self._wanted = port

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Handler(self),))
        where = f"127.0.0.1:{self._wanted}"
        if self._credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, self._credentials)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(None)

    async def handle(self, signal: Signal, data: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        headers = {key: str(value) for key, value in context.invocation_metadata() or ()}
        match await self._next(headers, len(data)):
            case Accept() as accept:
                await asyncio.sleep(accept.delay)
                await self._take(signal, data, headers)
                return accept.body()
            case Refuse() as refuse:
                details = (("grpc-status-details-bin", refuse.status().SerializeToString()),)
                await context.abort(STATUS[refuse.code], refuse.message, details)
            case _:
                await asyncio.Event().wait()
        raise AssertionError


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, server: GrpcServer) -> None:
        self._server = server

    def service(self, details: Any) -> Any:
        signal = next((s for name, s in SERVICES.items() if name in details.method), None)
        if signal is None:
            return None

        async def export(data: bytes, context: Any) -> bytes:
            return await self._server.handle(signal, data, context)

        return grpc.unary_unary_rpc_method_handler(export)


class HttpServer(_Server):
    """OTLP/HTTP; a refusal becomes the status that OTLP maps the code to."""

    STATUS = {
        Code.UNAVAILABLE: 503,
        Code.RESOURCE_EXHAUSTED: 413,
        Code.UNAUTHENTICATED: 401,
        Code.PERMISSION_DENIED: 403,
        Code.INVALID_ARGUMENT: 400,
        Code.INTERNAL: 500,
    }

    def __init__(self, *steps: Step, ssl_context: ssl.SSLContext | None = None, **more: Any) -> None:
        super().__init__(*steps, **more)
        self._ssl = ssl_context

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://{self.address}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/{signal}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await end_handshakes()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        signal = Signal(request.match_info["signal"])
        raw = await request.read()
        data = DECOMPRESS[request.headers.get("Content-Encoding", "")](raw)
        headers = {name.lower(): value for name, value in request.headers.items()}
        match await self._next(headers, len(data)):
            case Accept() as accept:
                await asyncio.sleep(accept.delay)
                if headers["content-type"] == "application/json":
                    data = Batch.from_json(signal, data).to_otlp()
                await self._take(signal, data, headers)
                return web.Response(body=accept.body(), content_type="application/x-protobuf")
            case Refuse() as refuse:
                body = refuse.status().SerializeToString()
                return web.Response(status=self.STATUS[refuse.code], body=body, content_type="application/x-protobuf")
            case Reply() as reply:
                if 200 <= reply.status < 300:
                    await self._take(signal, data, headers)
                return web.Response(
                    status=reply.status, body=reply.body, content_type=reply.content_type, headers=reply.headers
                )
            case Reset():
                assert request.transport is not None
                request.transport.abort()
            case _:
                await asyncio.Event().wait()
        return web.Response()
