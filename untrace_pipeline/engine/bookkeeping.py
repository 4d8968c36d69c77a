"""Counts for the ledger what ends before it reaches an exporter: filtered on the way, or refused by a full queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from untrace_pipeline.api.fanout import count_overflow
from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["Bookkeeping", "DropOnTheWay"]

DropOnTheWay = Callable[[str, int], None]
"""Counts items that a processor dropped: reason, items."""

logger = logging.getLogger(__name__)


class Bookkeeping:
    """The books of all exporters and connectors of a graph; what reached one, it counts itself."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def overflow(self, component: str, signal: Signal, items: int) -> None:
        """A full queue refused items that others took: they are lost for that component, ``exporter:otlp``."""
        count_overflow(self._metrics.meter(), component, signal, items)
        kind, _, name = component.partition(":")
        what = signal.counted(items)
        logger.error("%s %s: the queue is full: %s lost here; others took them", kind, name, what)

    def on_the_way(self, exporters: Sequence[ComponentId]) -> DropOnTheWay:
        """Return what counts the drops of one pipeline, for each exporter and connector at its end."""
        meters = [self._metrics.component_meter(exporter) for exporter in exporters]
        known: dict[str, list[Counter]] = {}

        def dropped(reason: str, items: int) -> None:
            counters = known.get(reason)
            if counters is None:
                states = ("accepted", reason)
                counters = known[reason] = [m.counter("ledger_items", state=state) for m in meters for state in states]
            for counter in counters:
                counter.add(items)

        return dropped
