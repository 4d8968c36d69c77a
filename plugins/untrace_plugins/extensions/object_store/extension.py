"""The extension ``object_store``."""

from __future__ import annotations

from untrace_pipeline.api import Host, RetryableError, Settings
from untrace_plugins.extensions.object_store.config import ContentStoreConfig
from untrace_plugins.stores import StoredObject, open_store

__all__ = ["ObjectContentStore"]

TEXT, JSON = "text/plain; charset=utf-8", "application/json"


class ObjectContentStore:
    """Keeps contents under keys, and says where they are."""

    def __init__(self, config: ContentStoreConfig, settings: Settings) -> None:
        self._store = open_store(config, settings.logger)

    async def start(self, host: Host) -> None:
        """Get ready, without asking the store."""
        await self._store.start(host)

    async def shutdown(self) -> None:
        """Close the connections."""
        await self._store.close()

    def address(self, key: str) -> str:
        """Return the URL that what is put under a key has, now or later."""
        return self._store.locate(key)

    async def put(self, key: str, data: bytes) -> None:
        """Keep a content; one that is there already stays. Raises :class:`RetryableError` where it cannot be kept."""
        try:
            await self._store.put(StoredObject(key, data, JSON if key.endswith(".json") else TEXT))
        except OSError as error:
            raise RetryableError(f"{self._store.destination}: {error.strerror or error}") from error
