"""A gRPC server of raw bytes: handlers get the serialized request and return the serialized response.

Unary calls only. It stands on an HTTP/2 connection of our own, because that costs a tenth of grpcio per small request
and lets a call be refused before its message is read: docs/decisions/0007-grpc-server.md has the numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from untrace_pipeline.api.auth import ServerAuthenticator
from untrace_pipeline.errors import Code, ConsumeError
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.grpc_call import (
    PREFIX_BYTES,
    GrpcCall,
    GrpcError,
    announced_size,
    answer,
    is_grpc,
    read_head,
    read_message,
    refuse,
    refuse_foreign,
)
from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http2_connection import Http2Connection
from untrace_pipeline.net.http2_stream import Stream
from untrace_pipeline.net.stream_server import StreamServer
from untrace_pipeline.net.tls import ServerTls

__all__ = ["GrpcCall", "GrpcError", "GrpcMethod", "GrpcServer"]

MAX_CONNECTIONS = 8192
MESSAGE_IDLE_SECONDS = 60.0
"""Longest silence in the middle of a message."""
MESSAGE_SECONDS = 1.0
"""While stopping: how long a call that has begun may take to bring its message."""

_CUT_OFF = GrpcError(Code.UNAVAILABLE, "the server is shutting down")
_TOO_SLOW = GrpcError(Code.DEADLINE_EXCEEDED, "the message did not arrive in time")
_INTERNAL = GrpcError(Code.INTERNAL, "internal error, see the log")


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """One unary method."""

    handler: Callable[[bytes, GrpcCall], Awaitable[bytes]]
    """Returns the response or raises :class:`GrpcError`. Runs to its end even if the client goes away."""
    admit: Callable[[int], GrpcError | None] = lambda _byte_size: None
    """Asked when the headers of a call are there (0 = unknown size), again when a message that needs several frames
    has announced its size, and about the rest of it before the client is told to go on."""


class _Pending:
    """A call on its way to its handler."""

    __slots__ = ("authenticating", "call", "encoding", "method", "ready", "sized")

    def __init__(self, method: GrpcMethod, encoding: str, call: GrpcCall, ready: bool) -> None:
        self.method = method
        self.encoding = encoding
        self.call = call
        self.ready = ready  # authenticated, or nobody asks for that
        self.sized = False  # its size was asked for
        self.authenticating: asyncio.Task[None] | None = None


_Step = Callable[[Stream, _Pending], Awaitable[None]]


class GrpcServer:
    """Serves methods by full name (``/package.Service/Method``) on one endpoint."""

    def __init__(self, config: GrpcServerConfig, methods: Mapping[str, GrpcMethod], logger: logging.Logger) -> None:
        self._config = config
        self._methods = methods
        self._logger = logger
        self._limit = config.max_message_bytes
        self._authenticator: ServerAuthenticator | None = None
        self._server: StreamServer[Http2Connection] = StreamServer(MAX_CONNECTIONS, self._sweep)
        self._running: set[asyncio.Task[None]] = set()
        self.unfinished = 0
        """Requests that :meth:`stop` cut off because it was cancelled."""
        self.endpoint = Endpoint.parse(config.endpoint, unix=config.unix)
        """Where it listens; after :meth:`start` with the port that was chosen."""

    # -------------------------------------------------------------- lifecycle

    async def start(self, authenticator: ServerAuthenticator | None = None) -> None:
        """Listen and serve. Raises :class:`StartError` naming the endpoint and the cause."""
        self._authenticator = authenticator
        self._loop = asyncio.get_running_loop()
        limits = self._config.limits(eager=authenticator is None)
        tls = ServerTls(self._config.tls, self._logger).ssl_context("h2") if self._config.tls else None
        make = lambda: Http2Connection(self, limits, self._loop)  # noqa: E731
        self.endpoint = await self._server.start(self.endpoint, make, tls)

    async def stop(self) -> None:
        """Take no new calls, finish those under way, close. If cancelled, cut the rest off."""
        if not self._server.listening:
            return
        self._server.close()
        for connection in list(self._server.connections):
            connection.leave()
        try:
            try:
                await asyncio.wait_for(self._server.wait_empty(), MESSAGE_SECONDS)
            except TimeoutError:
                self._refuse_incomplete(_CUT_OFF, lambda _stream: True)
            await self._server.wait_empty()
            while self._running:
                await asyncio.wait(self._running)
        finally:
            self.unfinished = len(self._running)
            for task in self._running:
                task.cancel()
            for connection in list(self._server.connections):
                connection.abort()
            self._server.stop_sweeping()

    def _sweep(self, now: float) -> None:
        for connection in list(self._server.connections):
            connection.check(now)
        self._refuse_incomplete(_TOO_SLOW, lambda stream: now - stream.touched > MESSAGE_IDLE_SECONDS)

    def _refuse_incomplete(self, error: GrpcError, which: Callable[[Stream], bool]) -> None:
        """End calls whose message is not complete."""
        for connection in list(self._server.connections):
            for stream in [one for one in connection.streams.values() if not one.ended and which(one)]:
                refuse(stream, error)

    # -------------------------------------------------- called by connections

    def register(self, connection: Http2Connection) -> bool:
        """See :class:`Application`."""
        return self._server.register(connection)

    def unregister(self, connection: Http2Connection) -> None:
        """See :class:`Application`."""
        self._server.unregister(connection)

    def begin(self, stream: Stream) -> None:
        """Find the method, and refuse what would be refused anyway."""
        if not is_grpc(stream):
            refuse_foreign(stream)
            return
        try:
            path, encoding = read_head(stream)
            method = self._methods.get(path)
            if method is None:
                raise GrpcError(Code.UNIMPLEMENTED, f"unknown method {path[:200]}")
            if refusal := method.admit(0):
                raise refusal
        except GrpcError as error:
            refuse(stream, error)
            return
        pending = stream.call = _Pending(method, encoding, GrpcCall(stream), self._authenticator is None)
        if not pending.ready:
            pending.authenticating = self._spawn(self._authenticate, stream, pending)

    def receive(self, stream: Stream) -> None:
        """Start the handler when the message is complete; refuse it as soon as it is known to be too large."""
        pending: _Pending = stream.call
        size = announced_size(stream)
        if (size or 0) > self._limit or stream.size > self._limit + PREFIX_BYTES:
            refuse(stream, GrpcError(Code.RESOURCE_EXHAUSTED, f"the message is larger than max ({self._limit} bytes)"))
        elif stream.ended:
            if pending.ready:
                self._spawn(self._serve, stream, pending)
        elif size is not None and (refusal := self._reconsider(stream, pending, size)):
            refuse(stream, refusal)
        else:
            pending.sized = size is not None
            if pending.ready:
                stream.connection.grant(stream)

    def _reconsider(self, stream: Stream, pending: _Pending, size: int) -> GrpcError | None:
        """Ask again where more is known now: otherwise messages that are begun could fill the memory."""
        if not pending.sized:
            return pending.method.admit(size)
        if pending.ready and stream.connection.is_due(stream):
            return pending.method.admit(max(0, size + PREFIX_BYTES - stream.size))
        return None

    def abandon(self, stream: Stream) -> None:
        """Stop authenticating; a handler that has its message goes on."""
        pending: _Pending | None = stream.call
        if pending is not None and not pending.ready and pending.authenticating is not None:
            pending.authenticating.cancel()

    # ---------------------------------------------------------------- serving

    def _spawn(self, step: _Step, stream: Stream, pending: _Pending) -> asyncio.Task[None]:
        stream.connection.handlers += 1
        task = self._loop.create_task(self._run(step, stream, pending))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _run(self, step: _Step, stream: Stream, pending: _Pending) -> None:
        try:
            await step(stream, pending)
        except GrpcError as error:
            refuse(stream, error)
        except ConsumeError as error:
            refuse(stream, GrpcError(error.code, str(error)))
        except asyncio.CancelledError:
            refuse(stream, _CUT_OFF)
            raise
        except Exception:
            self._logger.exception("a call failed unexpectedly")
            refuse(stream, _INTERNAL)
        finally:
            stream.connection.handlers -= 1
            stream.connection.close_if_done()

    async def _authenticate(self, stream: Stream, pending: _Pending) -> None:
        assert self._authenticator is not None
        pending.call.credentials = await self._authenticator.authenticate(pending.call.metadata())
        pending.ready = True
        if stream.open and stream.ended:
            await self._serve(stream, pending)
        elif stream.open:
            stream.connection.grant(stream)

    async def _serve(self, stream: Stream, pending: _Pending) -> None:
        body = await read_message(stream, pending.encoding, self._limit)
        answer(stream, await pending.method.handler(body, pending.call))
