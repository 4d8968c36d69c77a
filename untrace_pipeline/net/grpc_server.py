"""A gRPC server of raw bytes: handlers get the serialized request and return the serialized response.

Why ``grpc.aio``, and what it costs: docs/decisions/0003-grpc-server.md. gzip and deflate are taken off by grpcio, which
stops at the size limit; other compressions it answers with UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from untrace_pipeline.api.auth import Credentials, ServerAuthenticator
from untrace_pipeline.errors import Code, ConsumeError, StartError
from untrace_pipeline.net.endpoint import Endpoint, close_listeners, open_listeners
from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.tls import ServerTls

__all__ = ["GrpcCall", "GrpcError", "GrpcMethod", "GrpcServer"]

STATUS_DETAILS = "grpc-status-details-bin"
GRACE_SECONDS = 3600.0
"""Longer than any shutdown: the engine ends it earlier by cancelling."""
MESSAGE_SECONDS = 1.0
"""While stopping: how long a call that has begun may take to bring its message, and an answer to leave."""

_STATUS = {status.value[0]: status for status in grpc.StatusCode}
_NO_CREDENTIALS = Credentials()
_Admit = Callable[[], "GrpcError | None"]


class GrpcError(Exception):
    """Ends a call with a status; ``details`` is a serialized ``google.rpc.Status`` for the trailer."""

    def __init__(self, code: Code, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class GrpcCall:
    """What a handler may know about its call."""

    __slots__ = ("_context", "credentials")

    def __init__(self, context: Any, credentials: Credentials = _NO_CREDENTIALS) -> None:
        self._context = context
        self.credentials = credentials

    def metadata(self) -> dict[str, tuple[str, ...]]:
        """Return the metadata by lower-case name; values of ``-bin`` names in base64."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self._context.invocation_metadata():
            text = value if isinstance(value, str) else base64.b64encode(value).decode()
            found[name] = (*found.get(name, ()), text)
        return found

    def peer(self) -> str:
        """Return ``host:port``, or ``unix``."""
        kind, _, address = self._context.peer().partition(":")
        if kind == "ipv4":
            return str(address)
        return unquote(address) if kind == "ipv6" else str(kind)


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """One unary method."""

    handler: Callable[[bytes, GrpcCall], Awaitable[bytes]]
    """Returns the response or raises :class:`GrpcError`. Runs to its end even if the client goes away."""
    admit: _Admit = lambda: None
    """Asked when the call's headers are there and its message is not read yet."""


class GrpcServer:
    """Serves methods by full name (``/package.Service/Method``) on one endpoint."""

    def __init__(self, config: GrpcServerConfig, methods: Mapping[str, GrpcMethod], logger: logging.Logger) -> None:
        self._config = config
        self._methods = methods
        self._logger = logger
        self._server: grpc.aio.Server | None = None
        self._running: set[asyncio.Task[bytes]] = set()
        self.unfinished = 0
        """Requests that :meth:`stop` cut off because it was cancelled."""
        self.endpoint = Endpoint.parse(config.endpoint, unix=config.unix)
        """Where it listens; after :meth:`start` with the port that was chosen."""

    async def start(self, authenticator: ServerAuthenticator | None = None) -> None:
        """Listen and serve. Raises :class:`StartError` naming the endpoint and the cause."""
        tls = ServerTls(self._config.tls, self._logger) if self._config.tls else None
        credentials = tls.grpc_credentials() if tls else None
        server = grpc.aio.server(options=self._config.channel_arguments())
        handlers = {name: (one.admit, self._serving(one, authenticator)) for name, one in self._methods.items()}
        server.add_generic_rpc_handlers((_Router(handlers),))
        self.endpoint = _bind(server, self.endpoint, credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Take no new calls, finish those under way, close. If cancelled, abort them and close."""
        server, self._server = self._server, None
        if server is None:
            return
        stopping = asyncio.ensure_future(server.stop(GRACE_SECONDS))
        try:
            await asyncio.wait([stopping], timeout=MESSAGE_SECONDS)
            while self._running:
                await asyncio.wait(self._running)
            await server.stop(MESSAGE_SECONDS)
            await stopping
        except asyncio.CancelledError:
            self.unfinished = len(self._running)
            for task in self._running:
                task.cancel()
            await server.stop(None)
            await stopping
            raise

    def _serving(
        self, method: GrpcMethod, authenticator: ServerAuthenticator | None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method: to the library a stream of one message, so that we decide when it is read."""

        async def serve(_messages: Any, context: Any) -> bytes:
            call = GrpcCall(context)
            try:
                if authenticator is not None:
                    call.credentials = await authenticator.authenticate(call.metadata())
                body = await context.read()
                if body is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs forget it
                    raise GrpcError(Code.INVALID_ARGUMENT, "the call ended without a message")
                return await self._finish(method, body, call)
            except ConsumeError as error:
                await _abort(context, GrpcError(error.code, str(error)))
            except GrpcError as error:
                await _abort(context, error)
            raise AssertionError("abort raises")

        return grpc.stream_unary_rpc_method_handler(serve)

    async def _finish(self, method: GrpcMethod, body: bytes, call: GrpcCall) -> bytes:
        """Run a handler in a task of its own, which goes on if the client cancels the call."""
        task = asyncio.ensure_future(method.handler(body, call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


class _Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds the method; asked when the headers of a call are there, which is where it can be refused early."""

    def __init__(self, handlers: Mapping[str, tuple[_Admit, grpc.RpcMethodHandler[Any, Any]]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        found = self._handlers.get(handler_call_details.method)
        if found is None:
            return None
        admit, handler = found
        refusal = admit()
        return handler if refusal is None else _refusing(refusal)


def _refusing(error: GrpcError) -> grpc.RpcMethodHandler[Any, Any]:
    """Return a handler that ends the call without reading its message."""

    async def refuse(_messages: Any, context: Any) -> bytes:
        await _abort(context, error)
        return b""

    return grpc.stream_unary_rpc_method_handler(refuse)


async def _abort(context: Any, error: GrpcError) -> None:
    trailers = ((STATUS_DETAILS, error.details),) if error.details else ()
    await context.abort(_STATUS[error.code], str(error), trailers)


def _bind(server: grpc.aio.Server, wanted: Endpoint, credentials: grpc.ServerCredentials | None) -> Endpoint:
    """Bind the port. gRPC does not say why it cannot, so the addresses are tried with sockets of our own first."""
    sockets, bound = open_listeners(wanted)
    names = [one.getsockname() for one in sockets]
    close_listeners(sockets, bound)
    addresses = [f"unix:{bound.path}"] if bound.path else [str(Endpoint(name[0], name[1])) for name in names]
    for address in addresses:
        try:
            if credentials is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, credentials)
        except RuntimeError as error:
            msg = f"cannot listen on {bound}: {error}"
            raise StartError(msg) from error
    return bound
