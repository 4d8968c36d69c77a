"""Makes metrics of LLM calls: requests, errors, durations, time to the first chunk, tokens and cost.

Reads spans in the canonical form (OTel GenAI v1.41, behind ``genai_normalizer``), and costs that ``llm_cost`` wrote. A
batch without LLM calls costs two columns (0.2 µs per span); a call costs about 8 µs where a request has a hundred.
Counts are in memory and begin anew with the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from untrace_pipeline.api import ConnectorFactory, Consumer, PipelineId, Settings, Stability
from untrace_pipeline.data.signal import Signal
from untrace_plugins.connectors.llm_metrics.config import LlmMetricsConfig
from untrace_plugins.metrics.telemetry import METRICS

if TYPE_CHECKING:
    from untrace_plugins.connectors.llm_metrics.connector import LlmMetricsConnector

__all__ = ["FACTORY"]


def _create(
    config: LlmMetricsConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]
) -> LlmMetricsConnector:
    from untrace_plugins.connectors.llm_metrics.connector import LlmMetricsConnector  # noqa: PLC0415  when created

    return LlmMetricsConnector(config, settings, outputs)


FACTORY = ConnectorFactory(
    type_name="llm_metrics",
    config=LlmMetricsConfig,
    create=_create,
    description="makes metrics of LLM calls: requests, errors, latency, tokens, cost",
    stability=Stability.BETA,
    signals=frozenset({Signal.TRACES, Signal.METRICS}),
    pairs=frozenset({(Signal.TRACES, Signal.METRICS)}),
    metrics=METRICS,
)
