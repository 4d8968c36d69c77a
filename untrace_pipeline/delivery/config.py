"""Options that every exporter with a delivery shares: ``timeout``, ``retry_on_failure``, ``sending_queue``.

Keys, defaults and meanings are those of the Collector's exporterhelper.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api.config import ComponentConfig, ConfigModel, Duration, Size

__all__ = [
    "BatchConfig",
    "BatchSizer",
    "DeliveryConfig",
    "Overflow",
    "PartitionConfig",
    "QueueConfig",
    "QueueSizer",
    "RetryConfig",
]


class QueueSizer(StrEnum):
    """Unit of ``queue_size``."""

    REQUESTS = "requests"
    ITEMS = "items"
    BYTES = "bytes"


class BatchSizer(StrEnum):
    """Unit of ``min_size`` and ``max_size``."""

    ITEMS = "items"
    BYTES = "bytes"


class Overflow(StrEnum):
    """What happens to a batch that does not fit into the queue."""

    REFUSE = "refuse"
    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"


class RetryConfig(ConfigModel):
    """``retry_on_failure``: what happens after an attempt that may succeed later."""

    enabled: bool = True
    """Whether to try again at all; without it, the first failure is final."""
    initial_interval: Duration = Field(5.0, ge=0)
    """Wait after the first failure."""
    randomization_factor: float = Field(0.5, ge=0, le=1)
    """Each wait is drawn from ±this share of it, so that clients do not return together."""
    multiplier: float = Field(1.5, ge=0)
    """Each wait is this many times the one before."""
    max_interval: Duration = Field(30.0, ge=0)
    """Longest wait; a longer wish of the destination still wins."""
    max_elapsed_time: Duration = Field(300.0, ge=0)
    """Give up when the next attempt would come later than this after the first; ``0`` = never."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.enabled and self.max_elapsed_time:
            for name in ("initial_interval", "max_interval"):
                if self.max_elapsed_time < getattr(self, name):
                    msg = f"max_elapsed_time must not be less than {name}"
                    raise ValueError(msg)
        return self


class PartitionConfig(ConfigModel):
    """``batch.partition``: what must not be merged into one request."""

    metadata_keys: list[str] = []
    """Request headers; batches are merged only where all of them have equal values. Example: ``[x-tenant]``."""

    @field_validator("metadata_keys")
    @classmethod
    def _lower(cls, keys: list[str]) -> list[str]:
        lower = [key.lower() for key in keys]
        if len(set(lower)) < len(lower):
            msg = "each metadata key once (upper and lower case are the same)"
            raise ValueError(msg)
        return lower


class BatchConfig(ConfigModel):
    """``sending_queue.batch``: merges what waits in the queue into larger requests.

    Differs from the Collector: whatever the sizer, batches are not merged beyond 4 MiB (what a gRPC server takes by
    default) unless ``min_size`` or ``max_size`` in bytes says more, because LLM spans are large.
    """

    flush_timeout: Duration = Field(0.2, gt=0)
    """A batch is sent after this time, whatever its size."""
    min_size: Size = Field(8192, ge=0)
    """A batch is sent as soon as it has this size."""
    max_size: Size = Field(0, ge=0)
    """No request is larger (a single larger item goes alone); 0 = no limit."""
    sizer: BatchSizer | None = None
    """Unit of the sizes; absent = the unit of the queue, or items where that counts requests."""
    partition: PartitionConfig = PartitionConfig()
    """What must not be merged."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_size and self.max_size < self.min_size:
            msg = f"max_size ({self.max_size}) must not be less than min_size ({self.min_size})"
            raise ValueError(msg)
        return self


class QueueConfig(ConfigModel):
    """``sending_queue``: decouples the destination from whoever sends to us.

    A batch counts against the queue until its outcome is known, so the queue bounds memory, not only waiting.
    """

    enabled: bool = True
    """Without a queue, ``consume`` returns after the destination has answered: end-to-end acknowledgement."""
    num_consumers: int = Field(10, gt=0)
    """Requests that may be under way at once."""
    queue_size: Size = Field(1000, gt=0)
    """Capacity in the unit of ``sizer``, including what is under way. Example for bytes: ``256MiB``."""
    sizer: QueueSizer = QueueSizer.REQUESTS
    """Unit of ``queue_size``: ``requests`` (as they arrive), ``items`` or ``bytes``."""
    overflow: Overflow | None = None
    """When full: ``refuse`` (default; the sender is told to come back), ``block`` (it waits) or ``drop_oldest``."""
    block_on_overflow: bool = False
    """The Collector's spelling of ``overflow: block``."""
    wait_for_result: bool = False
    """Accept a batch only after the destination has; its failure goes back to the sender."""
    storage: str | None = None
    """Id of a storage extension that keeps the queue on disk. Not available yet: it comes with ``file_storage``."""
    batch: BatchConfig | None = None
    """Present (``batch: {}`` is enough) = merge batches before sending."""

    @field_validator("storage")
    @classmethod
    def _no_storage(cls, storage: str | None) -> str | None:
        if storage is not None:
            msg = "no storage: queues on disk come with the extension file_storage, which this version does not have"
            raise ValueError(msg)
        return storage

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.block_on_overflow and self.overflow not in {None, Overflow.BLOCK}:
            msg = f"either block_on_overflow: true or overflow: {self.overflow}, not both"
            raise ValueError(msg)
        if (
            self.batch is not None
            and self.batch_sizer.value == self.sizer.value
            and self.batch.min_size > self.queue_size
        ):
            msg = f"batch.min_size ({self.batch.min_size}) must not be greater than queue_size ({self.queue_size})"
            raise ValueError(msg)
        return self

    @property
    def overflow_policy(self) -> Overflow:
        """What to do when full, from whichever spelling was used."""
        return Overflow.BLOCK if self.block_on_overflow else self.overflow or Overflow.REFUSE

    @property
    def batch_sizer(self) -> BatchSizer:
        """The unit of the batch sizes."""
        if self.batch is not None and self.batch.sizer is not None:
            return self.batch.sizer
        return BatchSizer.BYTES if self.sizer is QueueSizer.BYTES else BatchSizer.ITEMS


class DeliveryConfig(ComponentConfig):
    """Base of the configuration of an exporter that holds a :class:`~untrace_pipeline.delivery.Delivery`."""

    timeout: Duration = Field(5.0, ge=0)
    """Longest time of one attempt; 0 = no limit."""
    retry_on_failure: RetryConfig = RetryConfig()
    """Attempts after a failure."""
    sending_queue: QueueConfig = QueueConfig()
    """Queue between the pipelines and the destination."""
