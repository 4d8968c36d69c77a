"""An HTTP/1.1 server: keep-alive, pipelining, TLS, unix sockets, CORS, limits and deadlines for everything.

Costs about 12 µs per small request before the handler. Handlers are found by path and method.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from untrace_pipeline.api.telemetry import Counter, Histogram, Meter
from untrace_pipeline.net.cors import Cors
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_connection import HttpConnection
from untrace_pipeline.net.http_message import ClientGoneError, HttpError, Request, Response
from untrace_pipeline.net.http_settings import HttpListenerConfig
from untrace_pipeline.net.http_streaming import BodyWriter, StreamedResponse
from untrace_pipeline.net.stream_server import StreamServer
from untrace_pipeline.net.tls import ServerTls

__all__ = ["Handler", "HttpServer", "Routes", "plain_text"]

Handler = Callable[[Request], Awaitable[Response | StreamedResponse]]
"""Answers one request; it may raise :class:`HttpError`. Runs to its end even if the client goes away."""

Routes = Mapping[str, Mapping[str, Handler]]
"""Handlers by path and method.

A path that ends in ``*`` stands for all that begin so; the exact path wins, then the longest beginning. The method
``*`` stands for all that are not named.
"""


def plain_text(_request: Request | None, error: HttpError) -> Response:
    """Return an error as a line of text."""
    return Response(error.status, f"{error}\n".encode(), headers=error.headers)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; infinite where there is no limit."""

    head: float
    body_idle: float
    request: float
    write: float
    idle: float


class HttpServer:
    """Serves routes on one endpoint; with a meter it counts its answers."""

    def __init__(
        self,
        config: HttpListenerConfig,
        routes: Routes,
        logger: logging.Logger,
        render: Callable[[Request | None, HttpError], Response] = plain_text,
        meter: Meter | None = None,
    ) -> None:
        self._config = config
        self._routes = routes
        self._prefixes = sorted((path[:-1] for path in routes if path.endswith("*")), key=len, reverse=True)
        self._logger = logger
        self.render = render
        """Makes answers of errors; the request is ``None`` where it could not be read."""
        self._meter = meter
        self._observers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._cors = Cors(config.cors) if config.cors and config.cors.allowed_origins else None
        self.own_headers = tuple((name.lower(), value.reveal()) for name, value in config.response_headers.items())
        """Headers that are added to every answer."""
        self._server: StreamServer[HttpConnection] = StreamServer(config.max_connections, self._sweep)
        self.limits = Limits(
            config.read_header_timeout or math.inf,
            config.body_idle_timeout or math.inf,
            config.read_timeout or math.inf,
            config.write_timeout or math.inf,
            config.idle_timeout or math.inf,
        )
        self.unfinished = 0
        """Requests that :meth:`stop` cut off because it was cancelled."""
        self.max_body_bytes = config.max_body_bytes
        self.keep_alive = config.keep_alives_enabled
        self.draining = False
        """Whether connections close after their present answer."""
        self.date = b""
        """The present time as a header value."""
        self.endpoint = Endpoint.parse(config.endpoint, unix=config.unix)
        """Where it listens; after :meth:`start` with the port that was chosen."""

    # -------------------------------------------------------------- lifecycle

    async def start(self) -> None:
        """Listen and serve. Raises :class:`StartError` naming the endpoint and the cause."""
        tls = ServerTls(self._config.tls, self._logger).ssl_context("http/1.1") if self._config.tls else None
        self.loop = asyncio.get_running_loop()
        self.draining = False
        self.endpoint = await self._server.start(self.endpoint, lambda: HttpConnection(self), tls)

    async def stop(self) -> None:
        """Accept no more, answer what is under way, close. If cancelled, cut the rest off."""
        if not self._server.listening:
            return
        self.draining = True
        self._server.close()
        try:
            for connection in list(self._server.connections):
                connection.drain()
            await self._server.wait_empty()
        finally:
            self.unfinished = len(self._server.connections)
            for connection in list(self._server.connections):
                connection.abort()
            self._server.stop_sweeping()

    def _sweep(self, now: float) -> None:
        """Find connections whose deadline has passed."""
        self.date = formatdate(time.time(), usegmt=True).encode()
        for connection in [one for one in self._server.connections if one.deadline <= now]:
            connection.expire()

    # -------------------------------------------------- called by connections

    def register(self, connection: HttpConnection) -> bool:
        """Take a new connection; false if there are too many."""
        return self._server.register(connection)

    def unregister(self, connection: HttpConnection) -> None:
        """Forget a connection that is closed and whose handler has ended."""
        self._server.unregister(connection)

    async def answer(self, request: Request) -> Response | StreamedResponse:
        """Return the answer to a request. Raises :class:`ClientGoneError`."""
        started = time.perf_counter()
        route = self._route(request.path)
        response: Response | StreamedResponse
        try:
            if request.problem is not None:
                raise request.problem
            response = await self._handle(request, route)
        except HttpError as error:
            response = self.render(request, error)
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception:
            self._logger.exception("%s %s failed unexpectedly", request.method, request.path)
            response = self.render(request, HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the log"))
        response.headers += self.own_headers
        if self._cors is not None:
            response.headers += self._cors.headers(request)
        if self._meter is not None:
            self.count(request.method, route or "other", int(response.status), (time.perf_counter() - started,))
        return response

    async def produce(self, request: Request, response: StreamedResponse, body: BodyWriter) -> None:
        """Write the body of an answer; what goes wrong leaves it incomplete."""
        try:
            await response.produce(body)
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception:
            self._logger.exception("%s %s: the answer broke off unexpectedly", request.method, request.path)

    def count(self, method: str, path: str, status: int, seconds: Sequence[float]) -> None:
        """Count answers under their route, with the seconds that each took; paths that are none share one series."""
        if self._meter is None:
            return
        key = (method, path, status)
        found = self._observers.get(key)
        if found is None:
            labels = {"method": method, "endpoint": path}
            counter = self._meter.counter("api_requests", status=str(status), **labels)
            found = self._observers[key] = (counter, self._meter.histogram("api_latency_seconds", **labels))
        found[0].add(len(seconds))
        for one in seconds:
            found[1].record(one)

    def _route(self, path: str) -> str:
        """Return the route that a path belongs to, as it was given; empty if there is none."""
        if path in self._routes:
            return path
        return next((f"{prefix}*" for prefix in self._prefixes if path.startswith(prefix)), "")

    async def _handle(self, request: Request, route: str) -> Response | StreamedResponse:
        methods = self._routes.get(route)
        if methods is None:
            there = ", ".join(sorted(self._routes))
            raise HttpError(HTTPStatus.NOT_FOUND, f"there is no {request.path[:200]} here; there: {there}")
        handler = methods.get(request.method)
        if handler is not None:
            return await handler(request)
        any_method = methods.get("*")
        allowed = request.header("access-control-request-method") if any_method else ", ".join(sorted(methods))
        preflight = self._cors.preflight(request, allowed) if self._cors else None
        if preflight is not None:
            return preflight
        if any_method is not None:
            return await any_method(request)
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"this path takes {allowed}", (("allow", allowed),))
