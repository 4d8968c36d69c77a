"""Hands what was aggregated to the pipelines behind, at intervals, and once more before the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping

from untrace_pipeline.api import ConsumeError, Consumer, Host, PipelineId, RetryableError, Settings
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.connectors.delivering import Delivery
from untrace_plugins.metrics.aggregation import Aggregator
from untrace_plugins.metrics.series import Moment

__all__ = ["Emission", "present"]

MAX_WAITING = 16
"""Requests of delta metrics that wait for pipelines that refuse; with the default interval, a quarter of an hour."""


def present() -> Moment:
    """Return the time on both clocks."""
    return Moment(time.time_ns(), asyncio.get_running_loop().time())


class Emission:
    """Flushes an aggregator every ``interval`` seconds.

    Where the pipelines behind refuse, cumulative metrics are told anew at the next flush, which says everything; delta
    metrics wait, in order, and only those refused for good, or pushed out by later ones, are lost and counted.

    Differs from the Collector: it flushes once more at shutdown, and does not lose delta metrics that were refused.
    """

    def __init__(
        self,
        aggregator: Aggregator,
        interval: float,
        settings: Settings,
        outputs: Mapping[PipelineId, Consumer],
    ) -> None:
        self._aggregator = aggregator
        self._interval = interval
        self._id = settings.id
        self._logger = settings.logger
        self._delivery = Delivery(settings)
        self._consumers = [consumer for pipeline, consumer in outputs.items() if pipeline.signal is Signal.METRICS]
        self._lost = settings.meter.counter("connector_lost_points")
        settings.meter.gauge("connector_metric_series").observe_with(lambda: aggregator.series_count)
        self._waiting: deque[Batch] = deque()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, host: Host) -> None:
        """Begin."""
        self._stopping.clear()
        self._task = host.spawn(self._run(), name=f"{self._id} flush")

    async def stop(self) -> None:
        """Flush for the last time and end. Safe twice and without :meth:`start`; if cancelled, count what is lost."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        try:
            await asyncio.wait({task})
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            self._give_up("the time for stopping was over")

    async def _run(self) -> None:
        last = False
        while not last:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._stopping.wait()
            last = self._stopping.is_set()
            await self._flush(last=last)
        self._give_up("the pipelines behind refuse them, and the connector stops")

    async def _flush(self, *, last: bool) -> None:
        payload = self._aggregator.flush(present(), last=last)
        if payload is not None:
            self._waiting.append(Batch(Signal.METRICS, payload))
        if len(self._waiting) > MAX_WAITING:
            self._lose(self._waiting.popleft(), "they were refused for too long")
        while self._waiting and await self._send(self._waiting[0]):
            self._waiting.popleft()

    async def _send(self, batch: Batch) -> bool:
        """Pass a request on; return whether it is done with."""
        try:
            await self._delivery.deliver([(consumer, batch.copy()) for consumer in self._consumers])
        except RetryableError as error:
            if self._aggregator.is_delta:
                self._logger.warning("metrics are refused for now, and sent again at the next flush: %s", error)
                return False
            self._logger.warning("metrics are refused; the next flush tells them anew: %s", error)
        except ConsumeError as error:
            if self._aggregator.is_delta:
                self._lose(batch, str(error))
            else:
                self._logger.warning("metrics are refused; the next flush tells them anew: %s", error)
        return True

    def _give_up(self, why: str) -> None:
        while self._waiting:
            self._lose(self._waiting.popleft(), why)

    def _lose(self, batch: Batch, why: str) -> None:
        if self._aggregator.is_delta:
            self._lost.add(batch.item_count)
            self._logger.error("%d points of delta metrics are lost: %s", batch.item_count, why)
