"""Dry runs: what would become of a request, with nothing sent. Asked for by the header ``X-Untrace-Dry-Run``.

A request takes its way through transforms and connectors as ever. Processors that hold
back are passed by, since they would mix it with others; exporters, and connectors that make something else of it, count
it as dropped, and say what they would have got.
"""

from __future__ import annotations

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.data import Batch

__all__ = ["NotSent", "PassedBy"]


class NotSent:
    """Stands for an exporter, or for a connector to other signals."""

    def __init__(self, component: ComponentId, meter: Meter) -> None:
        self._name = f"{component.kind.singular} {component}"
        self._meter = meter

    async def consume(self, batch: Batch) -> None:
        """Count the items, and say how many they would have been."""
        items, signal = batch.item_count, batch.signal
        self._meter.counter("dropped_items", signal=signal, reason="dry_run").add(items)
        for state in ("accepted", "dry_run"):
            self._meter.counter("ledger_items", state=state).add(items)
        batch.context.remarks.append(f"{self._name}: {signal.counted(items)}")


class PassedBy:
    """Stands for a processor that holds back what it gets."""

    def __init__(self, processor: ComponentId, after: Consumer) -> None:
        self._processor = processor
        self._after = after

    async def consume(self, batch: Batch) -> None:
        """Go on behind the processor."""
        batch.context.remarks.append(f"processor {self._processor} is passed by")
        await self._after.consume(batch)
