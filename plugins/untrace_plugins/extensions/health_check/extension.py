"""The HTTP side of ``health_check``; ``untrace_pipeline.admin.health`` judges."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import orjson

from untrace_pipeline.admin.health import Health, HealthRules
from untrace_pipeline.api import Host, ServerAuthenticator, Settings, Status
from untrace_pipeline.net.auth import check_request, find_server_authenticator
from untrace_pipeline.net.http_message import Request, Response
from untrace_pipeline.net.http_server import HttpServer
from untrace_plugins.extensions.health_check.config import READY_PATH, STATUS_PATH, HealthCheckConfig

__all__ = ["HealthCheck"]

CLOSE_SECONDS = 1.0
"""How long shutdown waits for an answer that is under way."""
_FALSE = {"false", "0"}

Handler = Callable[[Request], Awaitable[Response]]


class HealthCheck:
    """Serves ``path``, ``/ready`` and ``/status``."""

    def __init__(self, config: HealthCheckConfig, settings: Settings) -> None:
        self._config = config
        self._authenticator: ServerAuthenticator | None = None
        self._health: Health
        pages = {config.path: self._live, READY_PATH: self._ready, STATUS_PATH: self._status}
        routes: dict[str, dict[str, Handler]] = {
            path: dict.fromkeys(("GET", "HEAD"), self._checked(page)) for path, page in pages.items()
        }
        self._server = HttpServer(config, routes, settings.logger, meter=settings.meter)

    @property
    def endpoint(self) -> str:
        """Where it listens, with the port that was chosen."""
        return str(self._server.endpoint)

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError`."""
        wish = self._config.component_health
        rules = HealthRules(wish.include_permanent_errors, wish.include_recoverable_errors, wish.recovery_duration)
        self._health = Health(host.statuses, rules)
        self._authenticator = find_server_authenticator(host, self._config.auth)
        await self._server.start()
        host.report(Status.OK, f"http {self.endpoint}")

    async def shutdown(self) -> None:
        """Close. Probes see a refused connection from now on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._server.stop()

    def _checked(self, page: Callable[[Request], Response]) -> Handler:
        async def answer(request: Request) -> Response:
            await check_request(request, self._authenticator)
            return page(request)

        return answer

    def _live(self, _request: Request) -> Response:
        code, body = self._health.live()
        texts = self._config.response_body
        text = texts.healthy if code == HTTPStatus.OK else texts.unhealthy
        return Response(HTTPStatus(code), text.encode()) if text else _json(code, body)

    def _ready(self, _request: Request) -> Response:
        return _json(*self._health.ready())

    def _status(self, request: Request) -> Response:
        query = parse_qs(request.query, keep_blank_values=True)
        verbose = "verbose" in query and query["verbose"][-1] not in _FALSE
        pipeline = query["pipeline"][-1] if "pipeline" in query else None
        return _json(*self._health.status(pipeline, verbose=verbose))


def _json(code: int, body: dict[str, Any]) -> Response:
    return Response(HTTPStatus(code), orjson.dumps(body), "application/json")
