"""The ``llm_proxy`` receiver: a server in front, upstreams behind, and a queue of what went through."""

from __future__ import annotations

import asyncio
from functools import partial

from untrace_pipeline.api import ConsumeError, Credentials, Host, Intake, ServerAuthenticator, Settings, Status
from untrace_pipeline.delivery import Circuit
from untrace_pipeline.net.auth import find_server_authenticator
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_message import Request, metadata
from untrace_pipeline.net.http_server import HttpServer
from untrace_pipeline.net.http_streaming import StreamedResponse
from untrace_plugins.receivers.llm_proxy.call import Call
from untrace_plugins.receivers.llm_proxy.capture import CaptureQueue
from untrace_plugins.receivers.llm_proxy.config import LlmProxyConfig
from untrace_plugins.receivers.llm_proxy.limits import Limits
from untrace_plugins.receivers.llm_proxy.meters import Meters
from untrace_plugins.receivers.llm_proxy.refusals import refused, render
from untrace_plugins.receivers.llm_proxy.routing import Router
from untrace_plugins.receivers.llm_proxy.upstream import Upstream

__all__ = ["LlmProxyReceiver"]

_NOBODY = Credentials()


class LlmProxyReceiver:
    """Makes a :class:`Call` of each request."""

    def __init__(self, config: LlmProxyConfig, settings: Settings, next: Intake) -> None:
        self.config = config
        self._settings = settings
        self._logger = settings.logger
        self._authenticator: ServerAuthenticator | None = None
        self.meters = Meters(settings.meter)
        self.limits = Limits(config.limits, has_auth=config.auth is not None)
        self._upstreams = {
            name: Upstream(name, options, settings.logger, partial(self._circuit_changed, name))
            for name, options in config.upstreams.items()
        }
        self.router = Router(config, self._upstreams)
        self.capture = CaptureQueue(config, settings, next, self.limits, self.meters)
        self._server = HttpServer(config, {"/*": {"*": self._handle}}, settings.logger, render, settings.meter)
        self._emptying: asyncio.Task[None] | None = None
        self._host: Host | None = None
        self._left_alone: set[str] = set()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens; after :meth:`start` with the port that was chosen."""
        return self._server.endpoint

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError`."""
        self._host = host
        self._authenticator = find_server_authenticator(host, self.config.auth)
        await asyncio.to_thread(self.limits.load)
        for name, upstream in self._upstreams.items():
            upstream.origin.start()
            self.meters.circuit(name, Circuit.CLOSED)
        self._emptying = host.spawn(self.capture.run(), name=f"{self._settings.id}: spans of calls")
        await self._server.start()
        self._logger.info("listening for LLM calls on http %s", self.endpoint)

    async def shutdown(self) -> None:
        """Take no more calls, finish those under way, and hand all spans on."""
        emptying, self._emptying = self._emptying, None
        try:
            await self._server.stop()
            self.capture.close()
            if emptying is not None:
                await asyncio.wait({emptying})  # if it failed, the host has said so
        finally:
            if emptying is not None and not emptying.done():
                emptying.cancel()
                await asyncio.wait({emptying})
            self.capture.abandon()
            for upstream in self._upstreams.values():
                upstream.breaker.close()
                upstream.origin.close()

    async def authenticate(self, request: Request) -> Credentials:
        """Return who calls. Raises :class:`ProxyError` 401."""
        if self._authenticator is None:
            return _NOBODY
        try:
            return await self._authenticator.authenticate(metadata(request.headers))
        except ConsumeError as error:
            raise refused(error, self._authenticator.challenge) from error

    def _circuit_changed(self, name: str, state: Circuit) -> None:
        self.meters.circuit(name, state)
        (self._left_alone.discard if state is Circuit.CLOSED else self._left_alone.add)(name)
        if self._host is not None:
            names = ", ".join(sorted(self._left_alone))
            message = f"upstreams that are left alone, because most calls failed: {names}" if names else ""
            self._host.report(Status.RECOVERABLE_ERROR if names else Status.OK, message)

    async def _handle(self, request: Request) -> StreamedResponse:
        return await Call(self, request).answer()
