"""The ``otlp`` receiver: a gRPC and an HTTP server in front of one service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from untrace_pipeline.api import Host, Intake, ServerAuthenticator, Settings, StartError
from untrace_pipeline.native import ingress
from untrace_pipeline.net.auth import find_server_authenticator
from untrace_pipeline.net.endpoint import Endpoint
from untrace_plugins.otlp.service import NativeLimitError, OtlpService
from untrace_plugins.receivers.otlp.config import OtlpGrpcConfig, OtlpHttpConfig, OtlpReceiverConfig
from untrace_plugins.receivers.otlp.grpc_transport import make_grpc_server
from untrace_plugins.receivers.otlp.http_transport import OtlpHttpServer

__all__ = ["OtlpReceiver", "Server"]


class Server(Protocol):
    """One protocol on one endpoint, whichever transport serves it."""

    async def start(self, authenticator: ServerAuthenticator | None) -> None:
        """Listen and serve. Raises :class:`StartError`, or :class:`NativeLimitError` before anything is open."""

    async def stop(self) -> None:
        """Finish what is under way and close."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""

    @property
    def unfinished(self) -> int:
        """Requests that :meth:`stop` cut off because it was cancelled."""


class OtlpReceiver:
    """Listens for OTLP; acknowledges what ``next`` has accepted."""

    def __init__(self, config: OtlpReceiverConfig, settings: Settings, next: Intake) -> None:
        protocols = config.protocols
        self._config = protocols
        self._settings = settings
        self._service = OtlpService(str(settings.id), settings.signals, next, settings.logger)
        native = ingress().is_native
        self.grpc: Server | None = None
        """The gRPC server, if that protocol is on; its ``endpoint`` tells the port."""
        self.http: Server | None = None
        """The same for HTTP."""
        if protocols.grpc is not None:
            self.grpc = self._make_grpc(protocols.grpc, native=native)
        if protocols.http is not None:
            self.http = self._make_http(protocols.http, native=native)

    def _make_grpc(self, config: OtlpGrpcConfig, *, native: bool) -> Server:
        if native:
            from untrace_plugins.receivers.otlp.native_grpc import NativeGrpcServer  # noqa: PLC0415

            return NativeGrpcServer(config, self._service, self._settings.logger)
        return make_grpc_server(config, self._service, self._settings.logger)

    def _make_http(self, config: OtlpHttpConfig, *, native: bool) -> Server:
        if native:
            from untrace_plugins.receivers.otlp.native_http import NativeHttpServer  # noqa: PLC0415

            return NativeHttpServer(config, self._service, self._settings)
        return OtlpHttpServer(config, self._service, self._settings)

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError` naming endpoint and cause; nothing is left open then."""
        try:
            if self.grpc is not None and (grpc := self._config.grpc) is not None:
                guard = find_server_authenticator(host, grpc.auth)
                self.grpc = await self._start(self.grpc, guard, lambda: self._make_grpc(grpc, native=False))
                self._settings.logger.info("listening for OTLP/gRPC on %s", self.grpc.endpoint)
            if self.http is not None and (http := self._config.http) is not None:
                guard = find_server_authenticator(host, http.auth)
                self.http = await self._start(self.http, guard, lambda: self._make_http(http, native=False))
                self._settings.logger.info("listening for OTLP/HTTP on %s", self.http.endpoint)
        except StartError as error:
            await self.shutdown()
            msg = f"receiver {self._settings.id}: {error}"
            raise StartError(msg) from error

    async def _start(self, server: Server, guard: ServerAuthenticator | None, instead: Callable[[], Server]) -> Server:
        """Start a server, or the Python one instead where the native one cannot; return the one that serves."""
        try:
            await server.start(guard)
        except NativeLimitError as limit:
            self._settings.logger.info(
                "the Python transport serves %s: the native one lacks %s", server.endpoint, limit
            )
            server = instead()
            await server.start(guard)
        return server

    async def shutdown(self) -> None:
        """Take no new requests, answer those under way, close. If cancelled, the rest stays unacknowledged."""
        servers = [server for server in (self.grpc, self.http) if server is not None]
        try:
            # with return_exceptions, a cancelled gather waits until all of them have counted and closed
            for result in await asyncio.gather(*(server.stop() for server in servers), return_exceptions=True):
                if result is not None:
                    raise result
        except asyncio.CancelledError:
            left = sum(server.unfinished for server in servers)
            self._settings.logger.warning("%d requests were not finished; their clients were told so", left)
            raise
