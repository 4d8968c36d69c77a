"""One backend: where it is, the way there, and for some the queue before it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Delivery, Outcome, Request
from untrace_plugins.exporters.load_balancing.config import BackendConfig
from untrace_plugins.exporters.load_balancing.endpoint import dialled
from untrace_plugins.exporters.otlp_grpc.exporter import OtlpGrpcSender

__all__ = ["Backend", "QueuedBackend"]

FAREWELL_SECONDS = 5.0
"""How long callers who wait for an answer of a backend that is gone may go on, where it has no timeout of its own."""


class Backend:
    """Sends to one endpoint, and measures it."""

    def __init__(self, endpoint: str, config: BackendConfig, settings: Settings, *, may_repeat: bool = False) -> None:
        self.endpoint = endpoint
        self.gone = False
        """Whether it has lost its place: others have its keys."""
        address = dialled(endpoint)
        meter = settings.meter
        there = config.model_copy(update={"endpoint": address})
        self._sender = OtlpGrpcSender(there, settings.logger, may_repeat=may_repeat)
        self._latency = meter.histogram("loadbalancer_backend_latency", endpoint=address)
        self._outcomes = {
            ok: meter.counter("loadbalancer_backend_outcome", endpoint=address, success=str(ok).lower())
            for ok in (True, False)
        }
        self._farewell = config.timeout or FAREWELL_SECONDS
        self._under_way = 0
        self._idle = asyncio.Event()

    @property
    def destination(self) -> str:
        """Where it is, for messages and metrics."""
        return self._sender.destination

    async def start(self, host: Host) -> None:
        """Open the channel. Raises :class:`StartError` for options that cannot be used."""
        await self._sender.start(host)

    async def send(self, request: Request) -> Outcome:
        """Make one call."""
        started, taken = time.perf_counter(), False
        self._under_way += 1
        try:
            outcome = await self._sender.send(request)
            taken = True
        finally:
            self._latency.record((time.perf_counter() - started) * 1000)
            self._outcomes[taken].add()
            self._under_way -= 1
            self._idle.set()
        return outcome

    async def shutdown(self) -> None:
        """Let calls end, for a while, and close the channel."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._farewell):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()
        await self._sender.close()


class QueuedBackend(Backend):
    """A backend with a delivery of its own."""

    def __init__(self, endpoint: str, config: BackendConfig, settings: Settings) -> None:
        self._meter = settings.meter.part()
        super().__init__(endpoint, config, settings)
        self._delivery = Delivery(config, self, replace(settings, meter=self._meter))
        self._hands_over = config.sending_queue.enabled and not config.sending_queue.wait_for_result
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    async def start(self, host: Host) -> None:
        """Open the channel and begin to send. Raises :class:`StartError`."""
        await super().start(host)
        await self._delivery.start(host)

    async def leave(self, kept: list[Batch]) -> None:
        """Stop sending; what waits in the queue is in ``kept`` then, and callers who wait are told to try elsewhere."""
        if self._hands_over:
            await self._delivery.withdraw(kept)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._farewell):
                    await self._delivery.shutdown()

    async def close(self) -> None:
        """Close the channel, after :meth:`leave`."""
        self._meter.close()
        await self._sender.close()

    async def shutdown(self) -> None:
        """Drain, then close the channel."""
        try:
            await self._delivery.shutdown()
        finally:
            await self.close()
