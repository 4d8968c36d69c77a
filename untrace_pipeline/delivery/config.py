"""Options that every exporter with a delivery shares: ``timeout``, ``retry_on_failure``, ``sending_queue``.

Keys, defaults and meanings are those of the Collector's exporterhelper.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api.acknowledgement import Acceptance
from untrace_pipeline.api.config import ComponentConfig, ConfigModel, Duration, Size

__all__ = [
    "BatchConfig",
    "BatchSizer",
    "BreakerConfig",
    "CircuitConfig",
    "DeadLetterConfig",
    "DeliveryConfig",
    "Overflow",
    "Oversize",
    "PartitionConfig",
    "QueueConfig",
    "QueueSizer",
    "RetryConfig",
    "RetryPreset",
    "WhenOpen",
]

REPLAY_RETRY_SECONDS = 60.0
"""Longest time that a replay tries one letter for."""


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
    DEAD_LETTER = "dead_letter"


class Oversize(StrEnum):
    """What happens to a single item that is too large for the destination."""

    DROP = "drop"
    TRUNCATE = "truncate"
    DEAD_LETTER = "dead_letter"


class WhenOpen(StrEnum):
    """What happens to a batch that comes while the circuit is open."""

    WAIT = "wait"
    REFUSE = "refuse"


class RetryPreset(StrEnum):
    """Ready-made schedules."""

    COLLECTOR = "collector"
    UNTRACE = "untrace"


_PRESETS: Mapping[RetryPreset, Mapping[str, object]] = {
    RetryPreset.COLLECTOR: {},
    RetryPreset.UNTRACE: {
        "initial_interval": "1s",
        "multiplier": 2,
        "max_interval": "5m",
        "randomization_factor": 0.1,
        "max_elapsed_time": "0s",
    },
}
"""What a preset sets where nothing else is written."""


class RetryConfig(ConfigModel):
    """``retry_on_failure``: what happens after an attempt that may succeed later."""

    preset: RetryPreset = RetryPreset.COLLECTOR
    """Defaults of the options below. ``untrace``: 1 s, doubled each time up to 5 min, ±10 %, for ever."""
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

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        preset = given.get("preset") if isinstance(given, Mapping) else None
        return {**_PRESETS[RetryPreset(preset)], **given} if preset in set(RetryPreset) else given

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

    def complete(self, items: int, size: int) -> bool:
        """Return whether a request of that many items, and that size in the unit of the sizes, waits for no more."""
        return size >= self.min_size


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
    """When full: ``refuse`` (default; the sender is told to come back), ``block`` (it waits), ``drop_oldest``, or
    ``dead_letter`` (what does not fit goes to the dead-letter queue)."""
    block_on_overflow: bool = False
    """The Collector's spelling of ``overflow: block``."""
    wait_for_result: bool = False
    """Accept a batch only after the destination has; its failure goes back to the sender."""
    storage: str | None = None
    """Id of an extension that keeps the queue on disk: accepted is then committed there, and survives ``kill -9``.
    Example: ``file_storage``."""
    batch: BatchConfig | None = None
    """Present (``batch: {}`` is enough) = merge batches before sending."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.block_on_overflow and self.overflow not in {None, Overflow.BLOCK}:
            msg = f"either block_on_overflow: true or overflow: {self.overflow}, not both"
            raise ValueError(msg)
        if self.storage is not None and self.wait_for_result:
            msg = "either storage or wait_for_result, not both: accepted is on disk with the one, sent with the other"
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


class CircuitConfig(ConfigModel):
    """When a peer that mostly fails is left alone, and asked now and then whether it is back.

    Closed: all attempts are made. Open: none is. Half-open: a few attempts (probes) decide.
    """

    enabled: bool = True
    """Whether attempts are ever held back."""
    failure_ratio: float = Field(0.5, gt=0, le=1)
    """Opens when this share of the attempts in ``window`` failed."""
    min_requests: int = Field(20, gt=0)
    """Attempts that must lie in the window before it can open."""
    window: Duration = Field(30.0, gt=0)
    """How far back attempts count."""
    open_duration: Duration = Field(5.0, gt=0)
    """How long it stays open before it probes; a longer wish of the destination (Retry-After) wins."""
    probes: int = Field(1, gt=0)
    """Attempts at once while it is half-open; as many must succeed in a row to close it."""


class BreakerConfig(CircuitConfig):
    """``circuit_breaker``: leaves a destination alone that mostly fails, and asks now and then whether it is back.

    Closed: all attempts are made. Open: none is, requests wait in the queue. Half-open: a few attempts (probes) decide.
    Failures are attempts that may succeed later (no connection, no answer in time, 429, 5xx), not refused data.
    """

    when_open: WhenOpen = WhenOpen.WAIT
    """What happens to batches that come meanwhile: ``wait`` takes them into the queue, ``refuse`` tells the sender to
    come back, so that the connector ``failover`` goes on to the next level at once."""


class DeadLetterConfig(ConfigModel):
    """``dead_letter_queue``: keeps what the destination refused for good, was too large, or expired, for a replay."""

    storage: str = Field(min_length=1)
    """Id of the extension that keeps the letters. Example: ``file_storage``."""


class DeliveryConfig(ComponentConfig):
    """Base of the configuration of an exporter that holds a :class:`~untrace_pipeline.delivery.Delivery`."""

    timeout: Duration = Field(5.0, ge=0)
    """Longest time of one attempt; 0 = no limit."""
    retry_on_failure: RetryConfig = RetryConfig()
    """Attempts after a failure."""
    sending_queue: QueueConfig = QueueConfig()
    """Queue between the pipelines and the destination."""
    circuit_breaker: BreakerConfig = BreakerConfig()
    """When attempts are held back."""
    dead_letter_queue: DeadLetterConfig | None = None
    """Where that goes which is given up; absent = it is dropped and counted."""
    oversize: Oversize | None = None
    """What happens to a single item that is too large for the destination: ``truncate`` (its longest attributes are cut
    and marked), ``dead_letter`` or ``drop``. Absent = ``dead_letter`` with a ``dead_letter_queue``, else ``drop``."""

    @model_validator(mode="after")
    def _has_dead_letters(self) -> Self:
        if self.dead_letter_queue is None:
            for option, value in (("sending_queue.overflow", self.sending_queue.overflow), ("oversize", self.oversize)):
                if value is not None and value.value == Oversize.DEAD_LETTER.value:
                    msg = f"{option}: dead_letter needs a dead_letter_queue"
                    raise ValueError(msg)
        return self

    def acceptance(self) -> Acceptance:
        """Return where accepted data is."""
        queue = self.sending_queue
        if not queue.enabled or queue.wait_for_result:
            return Acceptance.DELIVERED
        return Acceptance.ON_DISK if queue.storage is not None else Acceptance.IN_MEMORY

    def at_once(self) -> Self:
        """Return the options for a second instance beside the running one, which answers for what it is given.

        It has no queue and no dead letters: accepted is delivered. Attempts end within a minute. An exporter that
        writes to something of its own overrides this.
        """
        queue = {"enabled": False, "storage": None, "wait_for_result": False, "overflow": None, "batch": None}
        retry = self.retry_on_failure
        longest = min(retry.max_elapsed_time or REPLAY_RETRY_SECONDS, REPLAY_RETRY_SECONDS)
        return self.model_copy(
            update={
                "sending_queue": self.sending_queue.model_copy(update=queue),
                "retry_on_failure": retry.model_copy(update={"max_elapsed_time": longest}),
                "circuit_breaker": BreakerConfig(enabled=False),
                "dead_letter_queue": None,
                "oversize": self.oversize if self.oversize is Oversize.TRUNCATE else None,
            }
        )

    def for_replay(self, storage: str) -> Self:
        """Return the options for a second instance that sends dead letters again.

        As :meth:`at_once`; the letter is safe in ``storage``, where also that goes which is too large.
        """
        return self.at_once().model_copy(update={"dead_letter_queue": DeadLetterConfig(storage=storage)})

    @property
    def may_repeat(self) -> bool:
        """Whether requests may be sent again by another process: from a queue on disk, or as dead letters."""
        return self.sending_queue.storage is not None or self.dead_letter_queue is not None

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the storages that are named."""
        found = dict(super().references())
        if self.sending_queue.storage is not None:
            found["sending_queue.storage"] = (self.sending_queue.storage,)
        if self.dead_letter_queue is not None:
            found["dead_letter_queue.storage"] = (self.dead_letter_queue.storage,)
        return found
