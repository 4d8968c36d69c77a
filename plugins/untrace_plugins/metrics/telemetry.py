"""Own metrics of connectors that turn spans into metrics."""

from __future__ import annotations

from untrace_pipeline.api import MetricKind, MetricSpec

__all__ = ["METRICS"]

METRICS = (
    MetricSpec(
        "connector_metric_series",
        MetricKind.GAUGE,
        "Series that the connector holds, those of overflows included.",
        ("connector",),
    ),
    MetricSpec(
        "connector_skipped_spans",
        MetricKind.COUNTER,
        "Spans that no series counts, by reason: no_service_name, duplicate.",
        ("connector", "reason"),
    ),
    MetricSpec(
        "connector_overflow_spans",
        MetricKind.COUNTER,
        'Spans that a series with otel.metric.overflow="true" counts, because the cardinality limit was reached.',
        ("connector",),
    ),
    MetricSpec(
        "connector_ignored_values",
        MetricKind.COUNTER,
        "Values that cannot be counted, by attribute: negative, not finite, absurdly large, or of a wrong type.",
        ("connector", "attribute"),
    ),
    MetricSpec(
        "connector_lost_points",
        MetricKind.COUNTER,
        "Points of delta metrics that the pipelines behind refused for good, or for too long.",
        ("connector",),
    ),
)
