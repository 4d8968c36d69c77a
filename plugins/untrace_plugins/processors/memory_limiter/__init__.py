"""Refuses data while the process uses too much memory, before it is read where the receiver asks.

Measures resident memory at intervals and whenever the bytes admitted since then could have used up what was free, so
memory does not run away between two checks. Costs a comparison per request, and a microsecond when it measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Aggregation, Consumer, MetricKind, MetricSpec, ProcessorFactory, Settings, Stability
from untrace_plugins.processors.memory_limiter.config import MemoryLimiterConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.memory_limiter.processor import MemoryLimiter

__all__ = ["FACTORY"]


def _create(config: MemoryLimiterConfig, settings: Settings, next: Consumer) -> MemoryLimiter:
    from untrace_plugins.processors.memory_limiter.processor import MemoryLimiter  # noqa: PLC0415  when created

    return MemoryLimiter(config, settings, next)


FACTORY = ProcessorFactory(
    type_name="memory_limiter",
    config=MemoryLimiterConfig,
    create=_create,
    description="refuses data, before it is read, while memory is short",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "processor_memory_limiter_in_flight_bytes",
            MetricKind.GAUGE,
            "Bytes of requests that passed the limiter and are not accepted yet.",
            ("processor",),
        ),
        MetricSpec(
            "processor_memory_limiter_limited",
            MetricKind.GAUGE,
            "1 while memory is above the soft limit and data is refused, 0 otherwise.",
            ("processor",),
            aggregation=Aggregation.MAX,
        ),
        MetricSpec(
            "processor_memory_limiter_refused_requests",
            MetricKind.COUNTER,
            "Requests refused because of memory, before or after they were read.",
            ("processor",),
        ),
        MetricSpec(
            "processor_memory_limiter_forced_collections",
            MetricKind.COUNTER,
            "Garbage collections that were forced to get memory back.",
            ("processor",),
        ),
    ),
)
