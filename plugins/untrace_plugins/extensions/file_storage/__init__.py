"""Keeps queues on disk: append-only journals that survive the death of the process and of the machine.

Accepted means on disk (fdatasync, many requests at a time). A damaged file costs what lies in the damaged part and
nothing else; a full disk turns into back-pressure. Memory is bounded, however much waits on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExtensionFactory, MetricKind, MetricSpec, Settings, Stability
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
    metrics=(
        MetricSpec(
            "file_storage_size_bytes", MetricKind.GAUGE, "Bytes that open queues take up on disk.", ("extension",)
        ),
        MetricSpec(
            "file_storage_capacity_bytes", MetricKind.GAUGE, "Bytes that they may take up together.", ("extension",)
        ),
        MetricSpec(
            "file_storage_commit_seconds",
            MetricKind.HISTOGRAM,
            "Seconds until what was appended to a queue, many requests together, was on the disk.",
            ("extension",),
            (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
        ),
    ),
)
