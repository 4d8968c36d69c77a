"""Shows metrics of pipelines to Prometheus: a page with the last value of every series, as the Collector's exporter.

Takes all kinds of points, cumulative and delta; speaks the text format, OpenMetrics with exemplars, and protobuf with
native histograms. Accepted means shown at the next scrape. With several workers, the first of them has the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_pipeline.data.signal import Signal
from untrace_plugins.exporters.prometheus.config import PrometheusConfig

if TYPE_CHECKING:
    from untrace_plugins.exporters.prometheus.exporter import PrometheusExporter

__all__ = ["FACTORY"]


def _create(config: PrometheusConfig, settings: Settings) -> PrometheusExporter:
    from untrace_plugins.exporters.prometheus.exporter import PrometheusExporter  # noqa: PLC0415  when created

    return PrometheusExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="prometheus",
    config=PrometheusConfig,
    create=_create,
    description="shows metrics on a page for Prometheus to scrape",
    stability=Stability.BETA,
    signals=frozenset({Signal.METRICS}),
    once=True,
    metrics=(
        MetricSpec("exporter_prometheus_series", MetricKind.GAUGE, "Series on the page.", ("exporter",)),
        MetricSpec(
            "exporter_prometheus_replaced_points",
            MetricKind.COUNTER,
            "Points in whose place one of another resource with the same labels came: as long as it grows, the page "
            "shows one of several.",
            ("exporter",),
        ),
        MetricSpec(
            "exporter_prometheus_dropped_points",
            MetricKind.COUNTER,
            "Points that are not shown, by reason: name (none that Prometheus takes), type_conflict (the family has "
            "another type), temporality (a delta of a sum that goes down, or none), stale (older than what is shown), "
            "scale (an exponential histogram that is too coarse), malformed.",
            ("exporter", "reason"),
        ),
    ),
)
