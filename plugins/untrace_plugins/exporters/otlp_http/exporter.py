"""The exporter ``otlp_http``."""

from __future__ import annotations

import asyncio

from untrace_pipeline.api import Host, Settings, StartError
from untrace_pipeline.delivery import Outcome, Request
from untrace_pipeline.net.http_client import HttpClient, host_of
from untrace_plugins.exporters._http import HttpExporter
from untrace_plugins.exporters._otlp import IDEMPOTENCY_KEY, JSON, PROTOBUF, read_http_answer
from untrace_plugins.exporters.otlp_http.config import Encoding, OtlpHttpConfig

__all__ = ["OtlpHttpExporter"]


class OtlpHttpExporter(HttpExporter):
    """Sends each request as one POST to the URL of its signal."""

    def __init__(self, config: OtlpHttpConfig, settings: Settings) -> None:
        self._id = settings.id
        self._urls = {signal: config.url(signal) for signal in sorted(settings.signals)}
        self._may_repeat = config.may_repeat
        self._json = config.encoding is Encoding.JSON
        super().__init__(config, settings, HttpClient(config, settings.logger))

    @property
    def destination(self) -> str:
        """Host and port."""
        return host_of(next(filter(None, self._urls.values()), ""))

    async def start(self, host: Host) -> None:
        """Make the connection pool, without waiting for the destination: it may come up later."""
        for signal, url in self._urls.items():
            if url is None:
                msg = f"exporter {self._id}: set endpoint or {signal}_endpoint, a pipeline sends {signal} here"
                raise StartError(msg)
        await super().start(host)

    async def send(self, request: Request) -> Outcome:
        """Make one POST."""
        batch = request.batch
        url = self._urls[batch.signal]
        assert url is not None
        extra = {IDEMPOTENCY_KEY: request.key} if self._may_repeat else None
        if self._json:
            data = await asyncio.to_thread(batch.to_json)
            answer = await self._client.post(url, data, JSON, extra)
        else:
            answer = await self._client.post(url, batch.to_otlp(), PROTOBUF, extra)
        return read_http_answer(batch.signal, answer)
