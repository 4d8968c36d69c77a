"""The exporter of a platform."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from untrace_pipeline.api import Host, ProbeResult, Settings, StartError
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome, Prepared, Request
from untrace_pipeline.errors import ConsumeError, OversizeError, PermanentError
from untrace_pipeline.net.http_answer import Statuses
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_plugins.destinations.model import Encoding
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters._otlp import IDEMPOTENCY_KEY
from untrace_plugins.exporters.platform.advertised import AdvertisedLimits
from untrace_plugins.exporters.platform.config import PlatformConfig
from untrace_plugins.exporters.platform.content import open_store
from untrace_plugins.exporters.platform.encoders import Body, make_encoder
from untrace_plugins.exporters.platform.pace import Pace
from untrace_plugins.exporters.platform.preparation import Preparation
from untrace_plugins.exporters.platform.probes import ask
from untrace_plugins.genai.reading import UNREADABLE

__all__ = ["PlatformExporter"]


class PlatformExporter(HttpExporter):
    """Makes of each request what the platform takes, once, and sends that until the platform has answered for good."""

    def __init__(self, config: PlatformConfig, settings: Settings) -> None:
        self._id = settings.id
        self._logger = settings.logger
        self._host: Host | None = None
        self._config = config
        self._told = told = config.destination
        self._urls = {signal: config.url(signal) for signal in sorted(settings.signals)}
        self._encodes_in_thread = config.writes is not Encoding.PROTO
        self._encoder = make_encoder(config)
        answers = told.answers
        client = HttpClient(
            config.for_client(),
            settings.logger,
            Statuses(answers.success, answers.retry, answers.too_large, answers.meanings),
            reads_headers=told.rate.headers,
            hidden=config.secrets(),
        )
        self._pace = Pace(config.budget())
        self.wait_seconds = self._pace.wait_seconds
        self._preparation: Preparation | None = None
        self._advertised = None if told.advertised is None else AdvertisedLimits(config, settings.logger)
        super().__init__(config, settings, client)

    @property
    def destination(self) -> str:
        """Host and port."""
        return host_of(next(filter(None, self._urls.values()), ""))

    async def start(self, host: Host) -> None:
        """Make the connection pool, without waiting for the platform: it may come up later."""
        for signal, url in self._urls.items():
            if url is None:
                msg = f"exporter {self._id}: {self._told.title} takes no {signal}"
                raise StartError(msg)
        self._host = host
        self._pace.share(host.workers.count)
        self._preparation = Preparation(self._config, open_store(self._config.long_values, host), self._encoder)
        await super().start(host)

    async def prepare(self, request: Request) -> Prepared:
        """Make what the platform takes of a request."""
        assert self._preparation is not None
        if self._advertised is not None:
            self._preparation.limits = await self._advertised.limits(self._client)
        return await self._preparation(request)

    async def send(self, request: Request) -> Outcome:
        """Make one POST."""
        batch = request.batch
        if request.body is None:
            request.body = await self._encoded(batch)
        body: Body = request.body
        self._check(len(body.data))
        extra = {IDEMPOTENCY_KEY: request.key} if self._config.may_repeat else None
        url = self._urls[batch.signal]
        assert url is not None
        try:
            answer = await self._client.post(url + body.path, body.data, body.content_type, extra)
        except ConsumeError as error:
            self._pace.refused(error)
            raise
        self._pace.told(answer.headers)
        return self._encoder.read(batch, answer)

    async def _encoded(self, batch: Batch) -> Body:
        if not self._encodes_in_thread:
            return self._encoder.encode(batch)
        # A handle of its own: what is decoded here must not stay in memory with the request.
        own = Batch(batch.signal, batch.to_otlp(), batch.context)
        try:
            return await asyncio.to_thread(self._encoder.encode, own)
        except UNREADABLE as error:
            # Spans are anybody's data, of any shape and depth: what cannot be written must not cost the others.
            msg = f"cannot be written for {self._told.title} ({type(error).__name__})"
            raise (OversizeError if batch.item_count > 1 else PermanentError)(msg) from error

    def _check(self, size: int) -> None:
        """Raise :class:`OversizeError` for a body that the platform would refuse."""
        assert self._preparation is not None
        most = self._preparation.limits.request_bytes
        if most is not None and size > most:
            msg = f"{size} bytes: {self._told.title} takes {most}"
            raise OversizeError(msg)

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask the platform whether it is there, and whether it knows us."""
        assert self._host is not None
        return await ask(self._config, self._host, self._logger)
