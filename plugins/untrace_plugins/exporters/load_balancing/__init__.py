"""Exporter ``load_balancing`` (also ``loadbalancing``): one of many backends for each trace, service or stream.

A consistent hash ring, the Collector's, decides. Backends are found by a list, by DNS or at the Kubernetes API, and
come and go while data flows: what waited for one that is gone goes to the others. Requests that belong to one backend
pass as they are; others are decoded once and dealt out.
"""

from __future__ import annotations

from untrace_pipeline.api import Aggregation, Exporter, ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_plugins.exporters.load_balancing.config import LoadBalancingConfig

__all__ = ["FACTORY"]


def _create(config: LoadBalancingConfig, settings: Settings) -> Exporter:
    if config.queues_first:
        from untrace_plugins.exporters.load_balancing.before_ring import BeforeRingExporter  # noqa: PLC0415  loads gRPC

        return BeforeRingExporter(config, settings)
    from untrace_plugins.exporters.load_balancing.per_backend import PerBackendExporter  # noqa: PLC0415  loads gRPC

    return PerBackendExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="load_balancing",
    aliases=("loadbalancing",),
    config=LoadBalancingConfig,
    description="sends each trace, service or metric stream to one of many OTLP backends",
    create=_create,
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "loadbalancer_num_backends",
            MetricKind.GAUGE,
            "Backends in use.",
            ("exporter", "resolver"),
            aggregation=Aggregation.MAX,
        ),
        MetricSpec(
            "loadbalancer_num_backend_updates",
            MetricKind.COUNTER,
            "Changes of the list of backends.",
            ("exporter", "resolver"),
        ),
        MetricSpec(
            "loadbalancer_num_resolutions",
            MetricKind.COUNTER,
            "Answers of the resolver, and how often there was none.",
            ("exporter", "resolver", "success"),
        ),
        MetricSpec(
            "loadbalancer_backend_latency",
            MetricKind.HISTOGRAM,
            "Milliseconds until a backend answered a request.",
            ("exporter", "endpoint"),
            (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0),
        ),
        MetricSpec(
            "loadbalancer_backend_outcome",
            MetricKind.COUNTER,
            "Requests to a backend that it took, and those that it did not.",
            ("exporter", "endpoint", "success"),
        ),
    ),
)
