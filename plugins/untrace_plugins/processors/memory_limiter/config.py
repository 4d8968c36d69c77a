"""Options of ``memory_limiter``: the Collector's."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, Duration

__all__ = ["MemoryLimiterConfig"]


class MemoryLimiterConfig(ComponentConfig):
    """Two limits on the resident memory of the process: soft = limit less spike limit, and hard = limit."""

    check_interval: Duration = Field(1.0, gt=0)
    """Time between two measurements when nothing else asks for one, for example ``1s``."""
    limit_mib: int = Field(0, ge=0)
    """Most memory that the process, each of several workers, should use, in MiB. Wins over ``limit_percentage``."""
    spike_limit_mib: int = Field(0, ge=0)
    """Part of the limit kept for what is already on its way, in MiB; 0 = 20 % of the limit."""
    limit_percentage: int = Field(0, ge=0, le=100)
    """The limit in percent of the memory that the container or the machine has, divided by the number of workers."""
    spike_limit_percentage: int = Field(0, ge=0, le=100)
    """The spike limit in percent of that memory; 0 = 20 % of the limit."""
    min_gc_interval_when_soft_limited: Duration = Field(10.0, ge=0)
    """Least time between forced garbage collections above the soft limit."""
    min_gc_interval_when_hard_limited: Duration = Field(0.0, ge=0)
    """Least time between forced garbage collections above the hard limit; 0 = at every check."""
    max_gc_interval_when_soft_limited: Duration = Field(30.0, ge=0)
    """Collections that bring nothing back become rarer, up to this interval; 0 = they do not become rarer."""
    max_gc_interval_when_hard_limited: Duration = Field(30.0, ge=0)
    """The same above the hard limit."""

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if not self.limit_mib and not self.limit_percentage:
            msg = "'limit_mib' or 'limit_percentage' must be greater than zero"
            raise ValueError(msg)
        if 0 < self.limit_mib <= self.spike_limit_mib:
            msg = "'spike_limit_mib' must be smaller than 'limit_mib'"
            raise ValueError(msg)
        if 0 < self.limit_percentage <= self.spike_limit_percentage:
            msg = "'spike_limit_percentage' must be smaller than 'limit_percentage'"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_intervals(self) -> Self:
        if self.min_gc_interval_when_soft_limited < self.min_gc_interval_when_hard_limited:
            msg = "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'"
            raise ValueError(msg)
        for state in ("soft", "hard"):
            least, most = (getattr(self, f"{bound}_gc_interval_when_{state}_limited") for bound in ("min", "max"))
            if 0 < most < least:
                msg = (
                    f"'max_gc_interval_when_{state}_limited' must be greater than or equal to "
                    f"'min_gc_interval_when_{state}_limited' (or 0 to disable)"
                )
                raise ValueError(msg)
        if 0 < self.max_gc_interval_when_soft_limited < self.max_gc_interval_when_hard_limited:
            msg = (
                "'max_gc_interval_when_soft_limited' should be larger than or equal to "
                "'max_gc_interval_when_hard_limited' (when both are set)"
            )
            raise ValueError(msg)
        return self
