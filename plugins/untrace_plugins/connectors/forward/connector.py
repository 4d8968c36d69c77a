"""The forward connector."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.api import Consumer, Host, PipelineId, Settings
from untrace_pipeline.data import Batch
from untrace_plugins.connectors.delivering import Delivery

__all__ = ["ForwardConnector"]


class ForwardConnector:
    """Gives every pipeline of the signal its own handle of each batch."""

    def __init__(self, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._delivery = Delivery(settings)
        self._outputs = {
            signal: [consumer for pipeline, consumer in outputs.items() if pipeline.signal is signal]
            for signal in settings.signals
        }

    async def start(self, host: Host) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, batch: Batch) -> None:
        """Pass the batch to every pipeline. Raises :class:`ConsumeError`."""
        outputs = self._outputs.get(batch.signal, [])
        if len(outputs) > 1 and batch.edited:
            batch.to_otlp()
        if outputs:
            await self._delivery.deliver([(consumer, batch.copy()) for consumer in outputs])
