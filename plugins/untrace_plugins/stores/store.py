"""The one way to put an object, whoever keeps it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from untrace_pipeline.api import Host, ProbeResult
from untrace_plugins.stores.config import Provider, StoreConfig

__all__ = ["ObjectStore", "StoredObject", "open_store"]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it is to lie in the store."""

    key: str
    """Path below the base of the store, without a slash at either end. Parts between slashes are names of directories
    where a directory is the store: none of them is empty, ``.`` or ``..``."""
    data: bytes
    content_type: str = "application/octet-stream"
    content_encoding: str = ""
    """How ``data`` is compressed: ``gzip``, ``zstd``, or not at all."""


class ObjectStore(Protocol):
    """A place for objects. Any number of objects may be put at once."""

    @property
    def destination(self) -> str:
        """What messages and metric labels call it: ``s3://bucket``. Never holds a secret."""

    def locate(self, key: str) -> str:
        """Return the URL that an object with this key has: ``s3://bucket/base/key``. It holds no secret."""

    async def start(self, host: Host) -> None:
        """Get ready, without asking the store. Raises :class:`StartError` for files that cannot be used."""

    async def put(self, thing: StoredObject) -> bool:
        """Store an object; return whether it is new: ``False`` where ``create_only`` found one with this key.

        Raises :class:`OversizeError` for what is larger than the store takes, :class:`RetryableError` for anything
        else, because a store never judges what is in an object: the bucket may be made and the credentials mended
        while the data waits. ``OSError`` for a directory. Cancelled, the object may be there or not.
        """

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask whether the bucket is there and knows us, without changing anything."""

    async def close(self) -> None:
        """Close connections. Safe twice and without ``start``."""


def open_store(config: StoreConfig, logger: logging.Logger) -> ObjectStore:
    """Return the store that the options name. Raises ``ImportError`` where its library is missing."""
    match config.provider:
        case Provider.S3:
            from untrace_plugins.stores.s3 import S3Store  # noqa: PLC0415  each with a library of its own

            return S3Store(config, logger)
        case Provider.GCS:
            from untrace_plugins.stores.gcs import GcsStore  # noqa: PLC0415

            return GcsStore(config, logger)
        case Provider.AZURE:
            from untrace_plugins.stores.azure import AzureStore  # noqa: PLC0415

            return AzureStore(config, logger)
        case Provider.DIRECTORY:
            from untrace_plugins.stores.directory import DirectoryStore  # noqa: PLC0415

            return DirectoryStore(config)
