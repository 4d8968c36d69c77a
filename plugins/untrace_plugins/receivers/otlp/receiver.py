"""The ``otlp`` receiver: a gRPC and an HTTP server in front of one service."""

from __future__ import annotations

import asyncio

from untrace_pipeline.api import Host, Intake, Settings, StartError
from untrace_pipeline.net.auth import find_server_authenticator
from untrace_pipeline.net.grpc_server import GrpcServer
from untrace_plugins.receivers.otlp.config import OtlpReceiverConfig
from untrace_plugins.receivers.otlp.grpc_transport import make_grpc_server
from untrace_plugins.receivers.otlp.http_transport import OtlpHttpServer
from untrace_plugins.receivers.otlp.service import OtlpService

__all__ = ["OtlpReceiver"]


class OtlpReceiver:
    """Listens for OTLP; acknowledges what ``next`` has accepted."""

    def __init__(self, config: OtlpReceiverConfig, settings: Settings, next: Intake) -> None:
        protocols = config.protocols
        self._config = protocols
        self._settings = settings
        service = OtlpService(str(settings.id), settings.signals, next, settings.logger)
        self.grpc: GrpcServer | None = None
        """The gRPC server, if that protocol is on; its ``endpoint`` tells the port."""
        self.http: OtlpHttpServer | None = None
        """The same for HTTP."""
        if protocols.grpc is not None:
            self.grpc = make_grpc_server(protocols.grpc, service, settings.logger)
        if protocols.http is not None:
            self.http = OtlpHttpServer(protocols.http, service, settings)

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError` naming endpoint and cause; nothing is left open then."""
        try:
            if self.grpc is not None and self._config.grpc is not None:
                await self.grpc.start(find_server_authenticator(host, self._config.grpc.auth))
                self._settings.logger.info("listening for OTLP/gRPC on %s", self.grpc.endpoint)
            if self.http is not None and self._config.http is not None:
                await self.http.start(find_server_authenticator(host, self._config.http.auth))
                self._settings.logger.info("listening for OTLP/HTTP on %s", self.http.endpoint)
        except StartError as error:
            await self.shutdown()
            msg = f"receiver {self._settings.id}: {error}"
            raise StartError(msg) from error

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
