"""Scrapes metrics of Prometheus' formats, as Prometheus does, and makes OTLP of them, as the Collector does.

Targets come from the configuration and from files that are watched. Each has a moment of its own in the interval.
Series that are gone are marked as stale; a scrape that the pipelines refuse is offered until the next one is due. About
15 µs per sample of a target whose series are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.prometheus.config import PrometheusReceiverConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.prometheus.receiver import PrometheusReceiver

__all__ = ["FACTORY"]


def _create(config: PrometheusReceiverConfig, settings: Settings, next: Intake) -> PrometheusReceiver:
    from untrace_plugins.receivers.prometheus.receiver import PrometheusReceiver  # noqa: PLC0415  loads aiohttp

    return PrometheusReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="prometheus",
    config=PrometheusReceiverConfig,
    description="scrapes targets with metrics of Prometheus' and OpenMetrics' text formats",
    create=_create,
    signals=frozenset({Signal.METRICS}),
    once=True,
    stability=Stability.ALPHA,
    metrics=(
        MetricSpec(
            "receiver_prometheus_scrapes",
            MetricKind.COUNTER,
            "Scrapes by outcome: success, failed (no answer, or one that cannot be read) or dropped (the pipelines did "
            "not take it before the next was due).",
            ("receiver", "job", "outcome"),
        ),
        MetricSpec("receiver_prometheus_targets", MetricKind.GAUGE, "Targets that are scraped.", ("receiver", "job")),
    ),
)
