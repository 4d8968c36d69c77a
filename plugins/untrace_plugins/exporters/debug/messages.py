"""The protobuf messages of a request, the same shape for every signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.data import Batch, Signal

__all__ = ["Group", "Scope", "parse", "points_of"]


@dataclass(frozen=True, slots=True)
class Scope:
    """``ScopeSpans``, ``ScopeMetrics`` or ``ScopeLogs``."""

    scope: Any
    schema_url: str
    items: Sequence[Any]
    """Spans, metrics or log records."""


@dataclass(frozen=True, slots=True)
class Group:
    """``ResourceSpans``, ``ResourceMetrics`` or ``ResourceLogs``."""

    resource: Any
    """Attributes of the resource."""
    schema_url: str
    scopes: Sequence[Scope]


def parse(batch: Batch) -> list[Group]:
    """Return the content of a batch. Everything is decoded, also what columns do not show (buckets, exemplars)."""
    data = batch.to_otlp()
    if batch.signal is Signal.TRACES:
        traces = ExportTraceServiceRequest.FromString(data)
        return [_group(one, one.scope_spans, "spans") for one in traces.resource_spans]
    if batch.signal is Signal.METRICS:
        metrics = ExportMetricsServiceRequest.FromString(data)
        return [_group(one, one.scope_metrics, "metrics") for one in metrics.resource_metrics]
    logs = ExportLogsServiceRequest.FromString(data)
    return [_group(one, one.scope_logs, "log_records") for one in logs.resource_logs]


def points_of(metric: Any) -> Iterator[Any]:
    """Yield the data points of a metric of any type."""
    member = metric.WhichOneof("data")
    if member:
        yield from getattr(metric, member).data_points


def _group(group: Any, scopes: Sequence[Any], items: str) -> Group:
    return Group(
        group.resource.attributes,
        group.schema_url,
        [Scope(one.scope, one.schema_url, getattr(one, items)) for one in scopes],
    )
