"""Keeps a share of spans and log records, consistently by trace: the Collector's decisions, bit for bit.

Items that carry no sampling information of their own are decided as columns; the others one by one. What is not kept
is counted as ``dropped_items{reason="sampled"}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Settings, Stability, TransformFactory
from untrace_pipeline.data import Signal
from untrace_plugins.processors.probabilistic_sampler.config import ProbabilisticSamplerConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.probabilistic_sampler.processor import ProbabilisticSampler

__all__ = ["FACTORY"]


def _create(config: ProbabilisticSamplerConfig, settings: Settings) -> ProbabilisticSampler:
    from untrace_plugins.processors.probabilistic_sampler.processor import (  # noqa: PLC0415  imported when created
        ProbabilisticSampler,
    )

    return ProbabilisticSampler(config)


FACTORY = TransformFactory(
    type_name="probabilistic_sampler",
    config=ProbabilisticSamplerConfig,
    create=_create,
    description="keeps a share of traces and logs, consistently by trace id",
    signals=frozenset({Signal.TRACES, Signal.LOGS}),
    drop_reason="sampled",
    stability=Stability.BETA,
)
