"""The Python server of OTLP/HTTP."""

from __future__ import annotations

from untrace_pipeline.api import ServerAuthenticator, Settings
from untrace_pipeline.data import Context
from untrace_pipeline.net.auth import sender_of
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_message import Request
from untrace_pipeline.net.http_server import HttpServer
from untrace_plugins.otlp.http import export, render
from untrace_plugins.otlp.service import OtlpService
from untrace_plugins.receivers.otlp.config import OtlpHttpConfig

__all__ = ["OtlpHttpServer"]


class OtlpHttpServer:
    """The HTTP server with a route per signal that has a pipeline."""

    def __init__(self, config: OtlpHttpConfig, service: OtlpService, settings: Settings) -> None:
        self._config = config
        self.authenticator: ServerAuthenticator | None = None
        routes = {
            path: {"POST": export(service, signal, self._sender, config.compression_algorithms)}
            for signal, path in config.paths.items()
        }
        self.server = HttpServer(config, routes, settings.logger, render, settings.meter)
        """What answers; it also counts answers that others gave."""

    async def start(self, authenticator: ServerAuthenticator | None) -> None:
        """Listen and serve. Raises :class:`StartError`."""
        self.authenticator = authenticator
        await self.server.start()

    async def stop(self) -> None:
        """Finish what is under way and close."""
        await self.server.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self.server.endpoint

    @property
    def unfinished(self) -> int:
        """Requests that :meth:`stop` cut off because it was cancelled."""
        return self.server.unfinished

    async def _sender(self, request: Request) -> Context:
        return await sender_of(request, self.authenticator, include_metadata=self._config.include_metadata)
