"""Options of the exporter ``debug``."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, Size
from untrace_pipeline.delivery import QueueConfig

__all__ = ["DebugConfig", "Verbosity"]


class Verbosity(StrEnum):
    """How much is shown."""

    BASIC = "basic"
    NORMAL = "normal"
    DETAILED = "detailed"


class DebugQueueConfig(QueueConfig):
    """``sending_queue`` with other defaults: what nobody has time to read need not be kept."""

    queue_size: Size = Field(100, gt=0)
    """Capacity in the unit of ``sizer``, including what is under way."""

    num_consumers: int = Field(1, gt=0)
    """Requests that are shown at once; more than one and they may change places."""


class DebugConfig(ComponentConfig):
    """The keys of the Collector's ``debug`` exporter.

    Differs from the Collector: writes to standard output unless told otherwise, because the log samples its lines; and
    has a queue, so that a terminal that is stopped (Ctrl-S) stops nothing else.
    """

    verbosity: Verbosity = Verbosity.BASIC
    """``basic``: one line per request; ``normal``: one per span, log record or data point; ``detailed``: everything."""
    sampling_initial: int = Field(2, ge=0)
    """Requests that are shown in each second before sampling begins."""
    sampling_thereafter: int = Field(1, ge=0)
    """After them, every n-th is shown; ``1`` shows all, ``0`` none."""
    use_internal_logger: bool = False
    """Write through the daemon's log instead of ``output_paths``; its sampling then applies."""
    output_paths: list[str] = Field(["stdout"], min_length=1)
    """``stdout``, ``stderr`` or paths of files to append to."""
    sending_queue: DebugQueueConfig = DebugQueueConfig()
    """Queue in front of the output."""

    @model_validator(mode="after")
    def _one_output(self) -> Self:
        if self.use_internal_logger and "output_paths" in self.model_fields_set:
            msg = "either use_internal_logger: true or output_paths, not both"
            raise ValueError(msg)
        return self
