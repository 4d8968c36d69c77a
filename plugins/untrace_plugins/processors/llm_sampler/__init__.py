"""Keeps the traces of LLM applications that are worth it: failed, expensive, slow, tagged; and a share of the rest.

The share follows from the trace id, may differ by model and tag, grow with what a trace cost, and be steered to so many
traces, or dollars, per hour. What is kept says how many it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Affinity, Outlet, ProcessorFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.processors.llm_sampler.config import LlmSamplerConfig

if TYPE_CHECKING:
    from untrace_plugins.sampling.holder import TraceHolder

__all__ = ["FACTORY"]


def _create(config: LlmSamplerConfig, settings: Settings, next: Outlet) -> TraceHolder:
    from untrace_plugins.processors.llm_sampler.decider import LlmDecider  # noqa: PLC0415  imported when created
    from untrace_plugins.sampling.holder import TraceHolder  # noqa: PLC0415  imported when created

    return TraceHolder(config, settings, next, LlmDecider(config, settings))


FACTORY = ProcessorFactory(
    type_name="llm_sampler",
    config=LlmSamplerConfig,
    create=_create,
    description="keeps traces that failed, cost or lasted much, and a steered share of the rest",
    signals=frozenset({Signal.TRACES}),
    affinity=Affinity.TRACE_ID,
    holds=True,
    stability=Stability.BETA,
)
