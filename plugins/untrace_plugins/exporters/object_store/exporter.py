"""The exporter ``object_store``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from untrace_pipeline.api import Host, ProbeResult, Settings
from untrace_pipeline.delivery import DELIVERED, Delivery, Outcome, Request
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig
from untrace_plugins.exporters.object_store.forms import form_of
from untrace_plugins.exporters.object_store.keys import Keys
from untrace_plugins.stores import StoredObject, open_store

__all__ = ["ObjectStoreExporter"]


class ObjectStoreExporter:
    """Stores each request as an object, or as one for each prefix that its resources name."""

    def __init__(self, config: ObjectStoreConfig, settings: Settings) -> None:
        self._store = open_store(config, settings.logger)
        self._form = form_of(config)
        self._keys = Keys(config)
        meter = settings.meter
        self._new = meter.counter("object_store_exporter_objects", outcome="new")
        self._present = meter.counter("object_store_exporter_objects", outcome="present")
        self._bytes = meter.counter("object_store_exporter_bytes")
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    def destination(self) -> str:
        """The store and its bucket."""
        return self._store.destination

    async def start(self, host: Host) -> None:
        """Get ready, without waiting for the store: it may come up later."""
        await self._store.start(host)
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Store a request. Another attempt finds the objects that an earlier one has stored."""
        for thing in await asyncio.to_thread(self._objects, request):
            if await self._store.put(thing):
                self._new.add()
                self._bytes.add(len(thing.data))
            else:
                self._present.add()
        return DELIVERED

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask the store whether the bucket is there, and whether it knows us."""
        return await self._store.probe()

    async def shutdown(self) -> None:
        """Write what is left, then close the connections."""
        try:
            await self._delivery.shutdown()
        finally:
            await self._store.close()

    def _objects(self, request: Request) -> list[StoredObject]:
        form = self._form
        return [
            StoredObject(
                self._keys.key(request, prefix, form.extension),
                form.encode(batch),
                form.content_type,
                form.content_encoding,
            )
            for prefix, batch in self._keys.parts(request.batch)
        ]
