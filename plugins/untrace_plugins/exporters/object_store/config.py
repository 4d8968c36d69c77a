"""Options of the exporter ``object_store``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import Duration, Size
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import BatchConfig, BatchSizer, DeliveryConfig, QueueConfig, QueueSizer, RetryConfig
from untrace_plugins.stores import StoreConfig

__all__ = ["Compression", "Format", "ObjectStoreConfig", "check_partition", "zone_of"]


class Format(StrEnum):
    """What is in an object."""

    OTLP_JSON = "otlp_json"
    OTLP_PROTO = "otlp_proto"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How objects are compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_MOST_LEVEL = {Compression.GZIP: 9, Compression.ZSTD: 22}


def check_partition(text: str) -> str:
    """Return a format of partitions. Raises ``ValueError`` for what is none."""
    try:
        time.strftime(text.format(signal="traces"), time.gmtime(0))
    except (ValueError, KeyError, IndexError) as error:
        msg = "a format of strftime with {signal}, such as year=%Y/month=%m/{signal}"
        raise ValueError(msg) from error
    return text


def zone_of(name: str) -> tzinfo | None:
    """Return a time zone; ``None`` is the local one. Raises ``ValueError`` for a name that there is not."""
    if name.lower() == "local":
        return None
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = "UTC, local or the name of a time zone, such as Europe/Berlin"
        raise ValueError(msg) from error


class StoreBatchConfig(BatchConfig):
    """``sending_queue.batch`` with other defaults: objects should be few and large."""

    flush_timeout: Duration = Field(30.0, gt=0)
    """An object is written after this time, whatever its size."""
    min_size: Size = Field(16 * 1024 * 1024, ge=0)
    """An object is written as soon as there is that much for it, before compression."""
    sizer: BatchSizer | None = BatchSizer.BYTES
    """Unit of the sizes: ``bytes`` or ``items``."""
    min_items: int = Field(0, ge=0)
    """An object is also written as soon as there are that many items for it, whatever their size; ``0`` = never for
    their number."""

    def complete(self, items: int, size: int) -> bool:
        """Return whether there is enough for an object, by size or by number."""
        return super().complete(items, size) or 0 < self.min_items <= items


class StoreQueueConfig(QueueConfig):
    """``sending_queue`` with other defaults: what waits for an object to become full is in it."""

    num_consumers: int = Field(4, gt=0)
    """Objects that may be under way at once."""
    queue_size: Size = Field(256 * 1024 * 1024, gt=0)
    """Capacity in the unit of ``sizer``, including what is under way."""
    sizer: QueueSizer = QueueSizer.BYTES
    """Unit of ``queue_size``: ``bytes``, ``items`` or ``requests``."""
    batch: StoreBatchConfig | None = StoreBatchConfig()
    """When an object is written; ``null`` = one per request, as in the Collector."""


class StoreRetryConfig(RetryConfig):
    """``retry_on_failure`` with other defaults: a store never refuses data for what is in it."""

    initial_interval: Duration = Field(1.0, ge=0)
    """Wait after the first failure."""
    max_elapsed_time: Duration = Field(0.0, ge=0)
    """Give up when the next attempt would come later than this after the first; ``0`` = never."""


class ObjectStoreConfig(StoreConfig, DeliveryConfig):
    """Options of the exporter ``object_store``; those of keys are the Collector's ``awss3`` without its ``s3_``."""

    format: Format = Format.OTLP_JSON
    """``otlp_json`` (JSON lines), ``otlp_proto`` (one message per object) or ``parquet`` (a row per span or log record,
    with columns for what LLM calls have; needs the extra ``[parquet]``)."""
    compression: Compression = Compression.NONE
    """``none``, ``gzip`` or ``zstd``; in Parquet, of its columns."""
    compression_level: int | None = Field(None, ge=1, le=22)
    """1 to 9 for gzip (6 unless set), 1 to 22 for zstd (3 unless set)."""
    base_prefix: str = ""
    """Before everything else in keys."""
    prefix: str = ""
    """Next in keys."""
    prefix_from_attribute: str = ""
    """Resource attribute that takes the place of ``prefix`` where a resource has it; each value has objects of its own.
    Example: ``service.name``."""
    partition_format: str = "year=%Y/month=%m/day=%d/hour=%H/minute=%M"
    """Next in keys: when the data arrived, as strftime writes it; ``{signal}`` becomes traces, metrics or logs."""
    partition_timezone: str = "UTC"
    """Whose clock that is: ``UTC``, ``local`` or a name such as ``Europe/Berlin``."""
    file_prefix: str = ""
    """Before the name of the signal in the last part of keys."""
    timeout: Duration = Field(60.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    retry_on_failure: StoreRetryConfig = StoreRetryConfig()
    """Attempts after a failure."""
    sending_queue: StoreQueueConfig = StoreQueueConfig()
    """Queue in front of the store. With ``storage`` what is accepted is on a disk until the store has it."""

    @field_validator("partition_format")
    @classmethod
    def _is_format(cls, text: str) -> str:
        return check_partition(text)

    @field_validator("partition_timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        zone_of(name)
        return name

    @model_validator(mode="after")
    def _level_fits(self) -> Self:
        most = _MOST_LEVEL.get(self.compression, 0)
        if self.compression_level is not None and self.compression_level > most:
            msg = f"no compression_level above {most}" if most else "no compression_level without compression"
            raise ValueError(f"{msg} for compression {self.compression}")
        return self

    def excludes(self) -> Mapping[Signal, str]:
        """Return metrics for Parquet: their points have too many shapes for one table."""
        return {Signal.METRICS: "format: parquet has no form for metrics"} if self.format is Format.PARQUET else {}
