"""The exporter ``prometheus``."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from http import HTTPStatus

from google.protobuf.message import DecodeError as ProtobufError

from untrace_pipeline.api import DecodeError, Host, RetryableError, ServerAuthenticator, Settings, Status
from untrace_pipeline.data import Batch
from untrace_pipeline.net.auth import check_request, find_server_authenticator
from untrace_pipeline.net.http_message import Request, Response
from untrace_pipeline.net.http_server import HttpServer
from untrace_plugins.exporters.prometheus.config import PrometheusConfig
from untrace_plugins.exporters.prometheus.negotiation import Form, Wish, negotiate
from untrace_plugins.exporters.prometheus.protobuf import render_protobuf
from untrace_plugins.exporters.prometheus.store import Family, Store
from untrace_plugins.exporters.prometheus.text import render_text

__all__ = ["PrometheusExporter"]

PATH = "/metrics"
CLOSE_SECONDS = 1.0
"""How long shutdown waits for a scrape that is under way."""
_MIN_GZIP_BYTES = 1024


class PrometheusExporter:
    """Keeps the last value of every series, and shows them."""

    def __init__(self, config: PrometheusConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._store = Store(config)
        self._authenticator: ServerAuthenticator | None = None
        self._server = HttpServer(
            config, {PATH: {"GET": self._page, "HEAD": self._page}}, settings.logger, meter=settings.meter
        )
        self._running = False
        self._replaced = settings.meter.counter("exporter_prometheus_replaced_points")
        self._sent = settings.meter.counter("exporter_sent_metric_points")
        settings.meter.gauge("exporter_prometheus_series").observe_with(lambda: self._store.series_count)

    @property
    def endpoint(self) -> str:
        """Where it listens, with the port that was chosen."""
        return str(self._server.endpoint)

    async def start(self, host: Host) -> None:
        """Listen. Raises :class:`StartError`."""
        self._authenticator = find_server_authenticator(host, self._config.auth)
        await self._server.start()
        self._running = True
        host.report(Status.OK, f"http {self.endpoint}{PATH}")

    async def shutdown(self) -> None:
        """Close the page; what it showed is forgotten."""
        self._running = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._server.stop()

    async def consume(self, batch: Batch) -> None:
        """Show the points from now on. Raises :class:`DecodeError`."""
        if not self._running:
            raise RetryableError(f"exporter {self._settings.id}: shutting down")
        before = self._store.replaced
        try:
            dropped = self._store.take(batch.to_otlp(), _now())
        except ProtobufError as error:
            raise DecodeError(f"exporter {self._settings.id}: no metrics request: {error}") from error
        for reason, count in dropped.items():
            if count:
                self._settings.meter.counter("exporter_prometheus_dropped_points", reason=reason).add(count)
                self._settings.logger.warning("%d points are not shown: %s", count, reason)
        self._replaced.add(self._store.replaced - before)
        self._sent.add(batch.item_count - sum(dropped.values()))

    # ------------------------------------------------------------------- page

    async def _page(self, request: Request) -> Response:
        await check_request(request, self._authenticator)
        wish = negotiate(request.header("accept"), openmetrics=self._config.enable_open_metrics)
        pack = "gzip" in request.header("accept-encoding")
        body, packed = await asyncio.to_thread(self._render, self._store.families(_now()), wish, pack=pack)
        headers = (("content-encoding", "gzip"), ("vary", "accept-encoding")) if packed else ()
        return Response(HTTPStatus.OK, body, wish.content_type, headers)

    def _render(self, families: list[Family], wish: Wish, *, pack: bool) -> tuple[bytes, bool]:
        timestamps = self._config.send_timestamps
        if wish.form is Form.PROTOBUF:
            body = render_protobuf(families, wish.escaping, timestamps=timestamps)
        else:
            body = render_text(families, wish, timestamps=timestamps)
        packed = pack and len(body) >= _MIN_GZIP_BYTES
        return (gzip.compress(body, 1) if packed else body), packed


def _now() -> float:
    return asyncio.get_running_loop().time()
