"""Rewrites LLM spans of any instrumentation into OTel GenAI v1.41, and on request into the form of a destination.

Bytes first: spans without a key of any dialect are never decoded, and a batch without such spans costs a search. What
the dialects say is added or replaces the originals; unknown attributes are untouched, and a second pass changes
nothing. Of several spans that describe one call of a model all but one are marked: tokens and cost count once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import (
    Affinity,
    Aggregation,
    Consumer,
    MetricKind,
    MetricSpec,
    ProcessorFactory,
    Settings,
    Stability,
)
from untrace_pipeline.data import Signal
from untrace_plugins.processors.genai_normalizer.config import GenaiNormalizerConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.genai_normalizer.processor import GenaiNormalizer

__all__ = ["FACTORY"]


def _create(config: GenaiNormalizerConfig, settings: Settings, next: Consumer) -> GenaiNormalizer:
    from untrace_plugins.processors.genai_normalizer.processor import GenaiNormalizer  # noqa: PLC0415  when created

    return GenaiNormalizer(config, settings, next)


FACTORY = ProcessorFactory(
    type_name="genai_normalizer",
    aliases=("gen_ai_normalizer", "genainormalizer"),
    config=GenaiNormalizerConfig,
    create=_create,
    description="rewrites LLM spans of any instrumentation into OTel GenAI, and into the form of a destination",
    signals=frozenset({Signal.TRACES, Signal.LOGS}),
    affinity=Affinity.TRACE_ID,
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "genai_normalizer_spans",
            MetricKind.COUNTER,
            "LLM spans that were read, by dialect.",
            ("processor", "dialect"),
        ),
        MetricSpec(
            "genai_normalizer_malformed_attributes",
            MetricKind.COUNTER,
            "Attributes whose value made no sense, such as JSON that was cut; they are passed on as they are.",
            ("processor", "dialect"),
        ),
        MetricSpec(
            "genai_normalizer_duplicate_spans",
            MetricKind.COUNTER,
            "Spans marked because another one counts for the same call.",
            ("processor",),
        ),
        MetricSpec(
            "genai_normalizer_joined_spans", MetricKind.COUNTER, "Spans that got content from events.", ("processor",)
        ),
        MetricSpec(
            "genai_normalizer_unjoined_events",
            MetricKind.COUNTER,
            "Events with content that were let go before their span came, by reason: age, size or shutdown.",
            ("processor", "reason"),
        ),
        MetricSpec(
            "genai_normalizer_waiting_bytes",
            MetricKind.GAUGE,
            "Content of events that waits for its span.",
            ("processor",),
            aggregation=Aggregation.SUM,
        ),
    ),
)
