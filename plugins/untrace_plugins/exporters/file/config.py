"""Options of the exporter ``file``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator

from untrace_pipeline.api import ConfigModel, Duration, Size
from untrace_pipeline.delivery import DeliveryConfig, QueueConfig, RetryConfig

__all__ = ["FileCompression", "FileConfig", "Format", "RotationConfig"]


class Format(StrEnum):
    """Form of what is written."""

    JSON = "json"
    PROTO = "proto"


class FileCompression(StrEnum):
    """Compression of each request in the file."""

    ZSTD = "zstd"
    NONE = "none"


class RotationConfig(ConfigModel):
    """``rotation``: when the file is set aside under a name with the time, and how many such files are kept."""

    max_megabytes: int = Field(100, gt=0)
    """Rotate before the file becomes larger, in units of 1024 * 1024 bytes."""
    max_days: int = Field(0, ge=0)
    """Remove files set aside longer ago than this; ``0`` = never."""
    max_backups: int = Field(100, ge=0)
    """Keep at most this many files set aside; ``0`` = all."""
    localtime: bool = False
    """Local time in the names instead of UTC."""


class FileRetryConfig(RetryConfig):
    """``retry_on_failure`` with other defaults: room on a disk may come back soon."""

    initial_interval: Duration = Field(1.0, ge=0)
    """Wait after the first failure."""
    max_interval: Duration = Field(5.0, ge=0)
    """Longest wait."""


class FileQueueConfig(QueueConfig):
    """``sending_queue`` with other defaults."""

    num_consumers: int = Field(1, ge=1, le=1)
    """A file is written by one at a time."""
    queue_size: Size = Field(100, gt=0)
    """Batches that may wait, each with its sender: a disk that is full or slow turns into back-pressure soon."""
    wait_for_result: bool = True
    """Accepted means written. ``false``: queued is accepted, so that a full disk delays no other exporter."""


class FileConfig(DeliveryConfig):
    """The keys and defaults of the Collector's ``file`` exporter, without ``group_by`` and ``encoding``."""

    path: str = Field(min_length=1)
    """Where to write. Example: ``/var/lib/untrace/telemetry.jsonl``."""
    format: Format = Format.JSON
    """``json``: one OTLP JSON object per line; ``proto``: each request preceded by its length (4 bytes, big-endian)."""
    append: bool = False
    """Keep what is in the file at start; otherwise it is emptied, as in the Collector. With ``rotation``: always.

    Differs from the Collector: a reload never empties a file that this process has written to.
    """
    rotation: RotationConfig | None = None
    """Present (``rotation: {}`` is enough) = rotate."""
    compression: FileCompression = FileCompression.NONE
    """``zstd`` compresses each request; each is then preceded by its length, in both formats."""
    create_directory: bool = False
    """Create the directory of ``path`` where it is missing."""
    directory_permissions: str = Field("0755", pattern=r"^0?[0-7]{3}$")
    """Permissions of directories that are created, octal."""
    flush_interval: Duration = Field(1.0, ge=0)
    """Accepted for the Collector's sake: everything is handed to the operating system before it is accepted."""
    timeout: Duration = Field(0.0, ge=0)
    """Longest time of one write; ``0`` = no limit."""
    retry_on_failure: FileRetryConfig = FileRetryConfig()
    """Attempts after a failed write, for example on a full disk."""
    sending_queue: FileQueueConfig = FileQueueConfig()
    """Queue in front of the file."""

    def unshared(self) -> Mapping[str, str]:
        """Return the path: a file has one writer."""
        return {"path": "each worker would write over what the others wrote"}

    def at_once(self) -> Self:
        """Return the options for a second instance: it must not empty the file."""
        return super().at_once().model_copy(update={"append": True})

    @field_validator("compression", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return FileCompression.NONE if value in ("", None) else value
