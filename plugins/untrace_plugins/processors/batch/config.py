"""Options of ``batch``: the Collector's, with bytes beside items."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, Duration, Size

__all__ = ["BatchConfig"]


class BatchConfig(ComponentConfig):
    """When a merged batch leaves, and what may be merged."""

    timeout: Duration = Field(0.2, ge=0)
    """Longest time that the first request of a batch waits, for example ``200ms``. 0 sends every request at once."""
    quiet_period: Duration = Field(0.005, ge=0)
    """A batch leaves early when nothing new arrived for this long: then all senders are probably waiting for their
    acknowledgement, and waiting longer gains nothing. 0 switches it off."""
    send_batch_size: int = Field(8192, ge=0)
    """Spans, metric points or log records that make a batch full. 0 sends every request at once."""
    send_batch_max_size: int = Field(0, ge=0)
    """Most items of a batch; larger requests are split. 0 = no limit; otherwise at least ``send_batch_size``."""
    send_batch_size_bytes: Size = Field(4_000_000, ge=0)
    """Bytes that make a batch full: requests are not merged past this size. The default stays below the 4 MiB that a
    gRPC server takes unless told otherwise. A single request may be larger. 0 = no limit."""
    send_batch_max_size_bytes: Size = Field(0, ge=0)
    """Most bytes of a batch; larger requests are split, which decodes them. A single item that is larger travels
    alone. 0 = no limit: leave splitting to the exporter, which does it when its destination refuses the size."""
    max_in_flight: int = Field(10, ge=1)
    """Merged batches that may wait for acceptance at once. Beyond it, batches keep growing to their size."""
    metadata_keys: list[str] = []
    """Names of client metadata (any case); each combination of their values is batched apart, and only these names
    survive merging. The receiver needs ``include_metadata: true``. An absent and an empty value differ."""
    metadata_cardinality_limit: int = Field(1000, ge=0)
    """Most combinations of metadata values that may wait at once; a further one is refused for good. 0 = no limit."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.send_batch_max_size < self.send_batch_size:
            msg = "send_batch_max_size must be greater or equal to send_batch_size"
            raise ValueError(msg)
        lowered = [key.lower() for key in self.metadata_keys]
        twice = next((key for key in lowered if lowered.count(key) > 1), None)
        if twice is not None:
            msg = f'duplicate entry in metadata_keys: "{twice}" (case-insensitive)'
            raise ValueError(msg)
        return self
