"""What exporters over HTTP have in common: one pool of connections, and a delivery whose sender they are."""

from __future__ import annotations

from abc import ABC, abstractmethod

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.delivery import Delivery, DeliveryConfig, Outcome, Request
from untrace_pipeline.net.http_client import HttpClient

__all__ = ["HttpExporter"]


class HttpExporter(ABC):
    """An exporter that has ``destination`` and ``send`` yet to say; a :class:`~untrace_pipeline.delivery.Sender`."""

    def __init__(self, config: DeliveryConfig, settings: Settings, client: HttpClient) -> None:
        """Comes last in the constructor of an exporter, because the delivery asks for its ``destination``."""
        self._client = client
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    @abstractmethod
    def destination(self) -> str:
        """Who receives, as :class:`~untrace_pipeline.delivery.Sender` wants it."""

    @abstractmethod
    async def send(self, request: Request) -> Outcome:
        """Make one attempt."""

    async def start(self, host: Host) -> None:
        """Make the connection pool, without waiting for the destination: it may come up later."""
        await self._client.start(host)
        await self._delivery.start(host)

    async def shutdown(self) -> None:
        """Drain, then close the connections."""
        try:
            await self._delivery.shutdown()
        finally:
            await self._client.close()
