"""The exporter ``otlp_grpc``."""

from __future__ import annotations

import logging

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DELIVERED, Delivery, Outcome, Request
from untrace_pipeline.net.grpc_client import GrpcClient
from untrace_plugins.exporters._otlp import IDEMPOTENCY_KEY, read_answer
from untrace_plugins.exporters.otlp_grpc.config import OtlpGrpcConfig

__all__ = ["OtlpGrpcExporter", "OtlpGrpcSender"]

METHODS = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


class OtlpGrpcSender:
    """Sends each request as one unary call of the signal's ``Export`` method.

    ``may_repeat``: with an idempotency key, because another process may send a request again.
    """

    def __init__(self, config: OtlpGrpcConfig, logger: logging.Logger, *, may_repeat: bool) -> None:
        self._timeout = config.timeout or None
        self._may_repeat = may_repeat
        self._client = GrpcClient(config, logger)

    @property
    def destination(self) -> str:
        """The endpoint."""
        return self._client.destination

    async def start(self, host: Host) -> None:
        """Open the channel, without waiting for the destination: it may come up later. Raises :class:`StartError`."""
        await self._client.start(host)

    async def send(self, request: Request) -> Outcome:
        """Make one call."""
        signal = request.batch.signal
        headers = ((IDEMPOTENCY_KEY, request.key),) if self._may_repeat else ()
        answer = await self._client.call(METHODS[signal], request.batch.to_otlp(), self._timeout, headers)
        return read_answer(signal, answer) if answer else DELIVERED

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled. Safe twice and without ``start``."""
        await self._client.close()


class OtlpGrpcExporter:
    """One destination."""

    def __init__(self, config: OtlpGrpcConfig, settings: Settings) -> None:
        self._sender = OtlpGrpcSender(config, settings.logger, may_repeat=config.may_repeat)
        self._delivery = Delivery(config, self._sender, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    async def start(self, host: Host) -> None:
        """Open the channel and begin to send."""
        await self._sender.start(host)
        await self._delivery.start(host)

    async def shutdown(self) -> None:
        """Drain, then close the channel."""
        try:
            await self._delivery.shutdown()
        finally:
            await self._sender.close()
