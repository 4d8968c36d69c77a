"""Options of processors that hold traces until they can be decided: the Collector's, and what long traces need."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pydantic import Field, model_validator

from untrace_pipeline.api import Acceptance, ComponentConfig, ConfigModel, Duration, Size

__all__ = ["DecideOn", "DecisionCacheConfig", "HoldingConfig"]


class DecideOn(enum.StrEnum):
    """What a trace waits for."""

    WAIT = "wait"
    ROOT_END = "root_end"
    IDLE = "idle"


class DecisionCacheConfig(ConfigModel):
    """How many decisions are remembered, so that spans which come later follow them."""

    sampled_cache_size: int = Field(0, ge=0)
    """Traces that were kept; 0 = as many as ``num_traces``. Differs from the Collector, which without a cache remembers
    them in the room of undecided traces."""
    non_sampled_cache_size: int = Field(0, ge=0)
    """Traces that were dropped; 0 = as many as ``num_traces``."""


class HoldingConfig(ComponentConfig):
    """How long traces wait, where they lie meanwhile, and what is written onto those that are kept."""

    decide_on: DecideOn = DecideOn.WAIT
    """``wait``: a trace is decided ``decision_wait`` after its first span. ``root_end``: when its root span has come,
    which is when it has ended, or when it was idle. ``idle``: when no span has come for ``idle_time``."""
    decision_wait: Duration = Field(30.0, ge=0)
    """With ``wait``: time from the first span of a trace to its decision."""
    decision_wait_after_root_received: Duration = Field(0.0, ge=0)
    """Time from the root span to the decision, for spans that are still on their way. With ``wait``, 0 means that
    the root makes no difference; it never makes the decision later."""
    idle_time: Duration = Field(60.0, gt=0)
    """With ``root_end`` and ``idle``: a trace is decided when no span has come for this long."""
    maximum_trace_age: Duration = Field(86400.0, gt=0)
    """With ``root_end`` and ``idle``: a trace is decided at the latest this long after its first span."""
    num_traces: int = Field(50000, ge=1)
    """Most undecided traces. When it is reached, the oldest is decided at once with what it has. Differs from the
    Collector, which drops it undecided."""
    block_on_overflow: bool = False
    """Whether senders wait for room instead, when ``num_traces`` or ``memory_limit`` is reached."""
    expected_new_traces_per_sec: int = Field(0, ge=0)
    """Accepted for the Collector's sake, without an effect."""
    decision_cache: DecisionCacheConfig = DecisionCacheConfig()
    """How many decisions are remembered."""
    maximum_trace_size_bytes: Size = Field(0, ge=0)
    """A trace that becomes larger is dropped at once (``too_large``). 0 = no limit."""
    drop_pending_traces_on_shutdown: bool = False
    """Whether undecided traces are dropped at shutdown, instead of being decided with what they have. Without an effect
    where ``storage`` keeps them."""
    memory_limit: Size = Field(512 * 1024 * 1024, ge=1024 * 1024)
    """Most bytes of spans in memory. Beyond it, with ``storage`` the oldest are on disk only; without, the oldest
    traces are decided at once with what they have."""
    storage: str | None = None
    """Id of a ``file_storage`` extension. Spans are on disk before they are accepted, and undecided traces and
    decisions survive the process."""
    record_adjusted_count: bool = True
    """Whether spans kept by chance say in the attribute ``sampling.adjusted_count`` how many they stand for."""
    use_tracestate: bool = False
    """Whether chance follows, and what is kept records, OpenTelemetry's consistent sampling (``ot=rv:…;th:…`` in
    tracestate): the Collector's feature gate ``processor.tailsamplingprocessor.usetracestate``."""

    @model_validator(mode="after")
    def _ordered(self) -> HoldingConfig:
        if self.idle_time > self.maximum_trace_age:
            msg = "maximum_trace_age must not be shorter than idle_time"
            raise ValueError(msg)
        return self

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the storage."""
        return {"storage": (self.storage,)} if self.storage is not None else {}

    def acceptance(self) -> Acceptance:
        """Return where accepted spans are while they wait."""
        return Acceptance.IN_MEMORY if self.storage is None else Acceptance.ON_DISK

    @property
    def remembered(self) -> tuple[int, int]:
        """How many decisions to keep and to drop are remembered."""
        cache = self.decision_cache
        return cache.sampled_cache_size or self.num_traces, cache.non_sampled_cache_size or self.num_traces

    @property
    def interval(self) -> float:
        """Seconds between two looks at what is due: one, as in the Collector, or less where the waits are short."""
        waits = {
            DecideOn.WAIT: [self.decision_wait, self.decision_wait_after_root_received],
            DecideOn.ROOT_END: [self.decision_wait_after_root_received, self.idle_time],
            DecideOn.IDLE: [self.idle_time],
        }[self.decide_on]
        return min(max(min((wait for wait in waits if wait), default=0.0) / 5, 0.01), 1.0)
