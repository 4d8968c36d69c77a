"""Fallback destinations of a route."""

from __future__ import annotations

import time
from collections.abc import Sequence

from untrace_pipeline.api import Consumer, Settings
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.connectors.alternatives import Group, first_to_accept

__all__ = ["Fallback"]

LOG_SECONDS = 10.0
"""A line per route at most this often; what was left out is added up in the next one."""


class Fallback:
    """The pipelines of a route, and those that get a batch which one of them refuses."""

    def __init__(self, signal: Signal, own: Sequence[Consumer], spare: Sequence[Consumer], settings: Settings) -> None:
        self._groups = (Group("the route", own), Group("the fallback", spare))
        self._items = settings.meter.counter("connector_routing_fallback_items", signal=signal)
        self._logger = settings.logger
        self._untold = 0
        self._quiet_until = float("-inf")

    async def consume(self, batch: Batch) -> None:
        """Pass the batch on. Raises the worst refusal if the fallback refuses too."""
        items, signal = batch.item_count, batch.signal
        _, refusals = await first_to_accept(self._groups, batch)
        if refusals:
            self._items.add(items)
            self._tell(items, signal, str(refusals[0]))

    def _tell(self, items: int, signal: Signal, why: str) -> None:
        self._untold += items
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + LOG_SECONDS
            self._logger.warning("%s went to the fallback pipelines: %s", signal.counted(self._untold), why)
            self._untold = 0
