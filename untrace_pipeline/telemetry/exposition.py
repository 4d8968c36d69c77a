"""The endpoints ``/metrics`` (Prometheus' text format and OpenMetrics) and ``/ledger`` (JSON)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from untrace_pipeline.api.telemetry import MetricKind, MetricSpec
from untrace_pipeline.config.model import MetricsConfig, MetricsLevel, ReaderConfig
from untrace_pipeline.errors import StartError
from untrace_pipeline.net.http_message import Request, Response
from untrace_pipeline.net.http_server import HttpServer
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.metrics import Metrics, Sample, Snapshot

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["Exposition", "Page", "pages_of", "render"]

METRICS, LEDGER = "/metrics", "/ledger"
HOST, PORT = "localhost", 8888
"""The Collector's defaults."""
MAX_CONNECTIONS = 100
"""More than any number of scrapers."""
CLOSE_SECONDS = 1.0
"""How long closing waits for a scrape that is under way."""
_MIN_GZIP_BYTES = 1024

Collect: TypeAlias = Callable[[], Awaitable[Snapshot]]
"""Answers what a page shows, where that is not just what this process counted."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One place where metrics are shown, and how."""

    host: str
    port: int
    prefix: str
    type_suffix: bool = True
    """Whether counters end in ``_total``."""


def pages_of(config: MetricsConfig) -> list[Page]:
    """Return where metrics are shown; readers that push are warned about."""
    if config.level is MetricsLevel.NONE:
        return []
    if config.readers is not None:
        return [page for number, reader in enumerate(config.readers) for page in _page(number, reader, config.prefix)]
    if config.address is not None:
        host, _, port = config.address.rpartition(":")
        return [Page(host.strip("[]"), int(port), config.prefix)]
    return [Page(HOST, PORT, config.prefix)]


def _page(number: int, reader: ReaderConfig, prefix: str) -> Iterator[Page]:
    if reader.pull is None:
        where = f"service.telemetry.metrics.readers.{number}"
        logger.warning("%s: periodic readers are not supported yet; scrape the pull reader instead", where)
        return
    page = reader.pull.exporter.prometheus
    yield Page(page.host, page.port, prefix, not page.without_type_suffix)


class Exposition:
    """The HTTP servers of all pages; :meth:`change` opens and closes them as the configuration says."""

    def __init__(self, metrics: Metrics, collect: Collect | None = None) -> None:
        self._metrics = metrics
        self._collect = collect
        self._resource: Mapping[str, str] = {}
        self._pages: dict[tuple[str, int], Page] = {}
        self._servers: dict[tuple[str, int], HttpServer] = {}

    async def change(self, pages: Iterable[Page], resource: Mapping[str, str]) -> None:
        """Show exactly these pages, with a resource as ``target_info``.

        Raises :class:`StartError` if a port is taken; then nothing has changed.
        """
        wanted = {(page.host, page.port): page for page in pages}
        before, self._pages = self._pages, {**self._pages, **wanted}
        opened: list[tuple[str, int]] = []
        try:
            for address, page in wanted.items():
                if address not in self._servers:
                    self._servers[address] = await self._listen(page)
                    opened.append(address)
        except StartError:
            self._pages = before
            await self._close(opened)
            raise
        await self._close([address for address in self._servers if address not in wanted])
        self._pages = wanted
        self._resource = resource

    def addresses(self) -> list[str]:
        """Return where the pages are."""
        return [str(server.endpoint) for server in self._servers.values()]

    async def close(self) -> None:
        """Close all pages. Safe twice."""
        await self.change([], {})

    async def _close(self, addresses: Iterable[tuple[str, int]]) -> None:
        for address in addresses:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._servers.pop(address).stop()

    async def _listen(self, page: Page) -> HttpServer:
        async def metrics(request: Request) -> Response:
            return await self._answer(request, self._pages[page.host, page.port])

        async def ledger(_request: Request) -> Response:
            accounts = [account.as_json() for account in read_ledger(await self._snapshot())]
            return Response(HTTPStatus.OK, json.dumps({"ledger": accounts}, indent=1).encode(), "application/json")

        host = f"[{page.host}]" if ":" in page.host else page.host
        config = HttpServerConfig(endpoint=f"{host}:{page.port}", max_connections=MAX_CONNECTIONS)
        routes = {path: {"GET": page, "HEAD": page} for path, page in ((METRICS, metrics), (LEDGER, ledger))}
        server = HttpServer(config, routes, logger, meter=self._metrics.meter())
        try:
            await server.start()
        except StartError as error:
            msg = f"service.telemetry.metrics: {error}"
            raise StartError(msg) from error
        return server

    async def _answer(self, request: Request, page: Page) -> Response:
        openmetrics = "application/openmetrics-text" in request.header("accept")
        snapshot = await self._snapshot()
        body, content_type = await asyncio.to_thread(render, snapshot, page, self._resource, openmetrics=openmetrics)
        if "gzip" not in request.header("accept-encoding") or len(body) < _MIN_GZIP_BYTES:
            return Response(HTTPStatus.OK, body, content_type)
        packed = await asyncio.to_thread(gzip.compress, body, 1)
        headers = (("content-encoding", "gzip"), ("vary", "accept-encoding"))
        return Response(HTTPStatus.OK, packed, content_type, headers)

    async def _snapshot(self) -> Snapshot:
        return await self._collect() if self._collect else self._metrics.snapshot()


def render(snapshot: Snapshot, page: Page, resource: Mapping[str, str], *, openmetrics: bool) -> tuple[bytes, str]:
    """Return the page and its content type. May run in any thread; the first call loads prometheus-client."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415  60 ms that the start need not wait for
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415
    from prometheus_client.openmetrics import exposition  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([_family(spec, samples, page) for spec, samples in snapshot], resource))
    if openmetrics:
        body: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
        return body, exposition.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Families:
    """What prometheus-client calls a collector."""

    def __init__(self, families: list[Metric], resource: Mapping[str, str]) -> None:
        self._families = families
        self._resource = resource

    def collect(self) -> Iterator[Metric]:
        from prometheus_client import Metric  # noqa: PLC0415  see render

        yield from self._families
        target = Metric("target", "The daemon itself.", "info")
        target.add_sample("target_info", {k.replace(".", "_"): v for k, v in self._resource.items()}, 1)
        yield target


def _family(spec: MetricSpec, samples: Iterable[Sample], page: Page) -> Metric:
    from prometheus_client import Metric  # noqa: PLC0415  see render

    name = page.prefix + spec.name
    plain = spec.kind is MetricKind.COUNTER and not page.type_suffix
    family = Metric(name, spec.help, "unknown" if plain else spec.kind)
    suffix = "_total" if spec.kind is MetricKind.COUNTER and page.type_suffix else ""
    for sample in samples:
        labels = dict(zip(spec.labels, sample.labels, strict=True))
        if spec.kind is not MetricKind.HISTOGRAM:
            family.add_sample(name + suffix, labels, sample.value)
            continue
        bounds = [*(str(float(bound)) for bound in spec.buckets), "+Inf"]
        for bound, count in zip(bounds, accumulate(sample.counts), strict=True):
            family.add_sample(f"{name}_bucket", {**labels, "le": bound}, count)
        family.add_sample(f"{name}_count", labels, sum(sample.counts))
        family.add_sample(f"{name}_sum", labels, sample.value)
    return family
