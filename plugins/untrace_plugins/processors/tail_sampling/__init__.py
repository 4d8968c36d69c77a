"""Decides about whole traces, after their spans have come: the Collector's policies, keys and decisions.

Spans are held as bytes, by trace; what the policies want to know of them is read once, when they come. With ``storage``
traces may take hours and outlive the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Affinity, Outlet, ProcessorFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.processors.tail_sampling.config import TailSamplingConfig

if TYPE_CHECKING:
    from untrace_plugins.sampling.holder import TraceHolder

__all__ = ["FACTORY"]


def _create(config: TailSamplingConfig, settings: Settings, next: Outlet) -> TraceHolder:
    from untrace_plugins.processors.tail_sampling.decider import PolicyDecider  # noqa: PLC0415  imported when created
    from untrace_plugins.sampling.holder import TraceHolder  # noqa: PLC0415  imported when created

    decider = PolicyDecider(config, settings)
    return TraceHolder(config, settings, next, decider, record_policy=config.record_policy)


FACTORY = ProcessorFactory(
    type_name="tail_sampling",
    config=TailSamplingConfig,
    create=_create,
    description="decides about whole traces by policies: latency, errors, attributes, rates …",
    signals=frozenset({Signal.TRACES}),
    affinity=Affinity.TRACE_ID,
    holds=True,
    stability=Stability.BETA,
)
