"""Data points as rows, read with the official classes: the columns of a batch know no buckets and exemplars."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from untrace_pipeline.data import Batch
from untrace_pipeline.data.codecs.values import read_attributes
from untrace_plugins.rows.source import Attributes, Source

__all__ = ["CUMULATIVE", "DELTA", "Metric", "PointRow", "number_of", "read_points"]

DELTA, CUMULATIVE = 1, 2
"""``aggregation_temporality``."""


class Metric(NamedTuple):
    """What the points of a metric share."""

    name: str
    description: str
    unit: str
    kind: str
    """``gauge``, ``sum``, ``histogram``, ``exponential_histogram`` or ``summary``."""
    temporality: int
    monotonic: bool


class PointRow(NamedTuple):
    """A data point."""

    source: Source
    metric: Metric
    attributes: Attributes
    data: Any
    """The message of the protocol: times, value, buckets, exemplars."""


def read_points(batch: Batch) -> list[PointRow]:
    """Return one row per point, in the order of the batch."""
    rows = []
    for group in ExportMetricsServiceRequest.FromString(batch.to_otlp()).resource_metrics:
        resource = (
            read_attributes(group.resource.attributes),
            group.schema_url,
            group.resource.dropped_attributes_count,
        )
        for inner in group.scope_metrics:
            scope = inner.scope
            attributes = read_attributes(scope.attributes)
            source = Source(
                *resource, scope.name, scope.version, attributes, inner.schema_url, scope.dropped_attributes_count
            )
            for message in inner.metrics:
                rows += _points(source, message)
    return rows


def number_of(point: Any) -> float | int:
    """Return the value of a number point or an exemplar, an integer where it is one."""
    value: float | int = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    return value


def _points(source: Source, message: Any) -> list[PointRow]:
    kind = message.WhichOneof("data")
    if kind is None:
        return []
    data = getattr(message, kind)
    temporality = getattr(data, "aggregation_temporality", 0)
    monotonic = kind == "sum" and data.is_monotonic
    metric = Metric(message.name, message.description, message.unit, kind, temporality, monotonic)
    return [PointRow(source, metric, read_attributes(point.attributes), point) for point in data.data_points]
