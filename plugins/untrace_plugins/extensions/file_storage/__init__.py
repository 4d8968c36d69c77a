"""Keeps queues on disk: append-only journals that survive the death of the process and of the machine.

Accepted means on disk (fdatasync, many requests at a time). A damaged file costs what lies in the damaged part and
nothing else; a full disk turns into back-pressure. Memory is bounded, however much waits on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExtensionFactory, Settings, Stability
from untrace_plugins.extensions.file_storage.config import FileStorageConfig

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.extension import FileStorage

__all__ = ["FACTORY"]


def _create(config: FileStorageConfig, settings: Settings) -> FileStorage:
    from untrace_plugins.extensions.file_storage.extension import FileStorage  # noqa: PLC0415

    return FileStorage(config, settings)


FACTORY = ExtensionFactory(
    type_name="file_storage",
    config=FileStorageConfig,
    description="keeps queues and dead letters on disk",
    create=_create,
    stability=Stability.BETA,
    extra="crypto",
)
