"""Which messages of opentelemetry-proto are the rows of which level, and how to get from one level to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from untrace_pipeline.data.fields import Level
from untrace_pipeline.data.signal import Signal

__all__ = [
    "ATTRIBUTE_LISTS",
    "CHILDREN",
    "CONTAINERS",
    "ID_SIZES",
    "ITEMS",
    "LEVELS",
    "OUTER",
    "POINTS",
    "REQUESTS",
    "ItemKind",
]

REQUESTS: Mapping[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}

ID_SIZES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
"""The fields that are ids, and their length in bytes."""

LEVELS: Mapping[Signal, tuple[Level | None, ...]] = {
    Signal.TRACES: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
    Signal.LOGS: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
    Signal.METRICS: (Level.RESOURCE, Level.SCOPE, Level.METRIC, None, Level.ITEM),
}
"""The level of each depth of ``wire.PATHS``; ``None`` is the data of a metric, which is no level of its own."""

CONTAINERS: Mapping[tuple[Signal, Level], Any] = {
    (Signal.TRACES, Level.RESOURCE): trace_pb2.ResourceSpans,
    (Signal.TRACES, Level.SCOPE): trace_pb2.ScopeSpans,
    (Signal.LOGS, Level.RESOURCE): logs_pb2.ResourceLogs,
    (Signal.LOGS, Level.SCOPE): logs_pb2.ScopeLogs,
    (Signal.METRICS, Level.RESOURCE): metrics_pb2.ResourceMetrics,
    (Signal.METRICS, Level.SCOPE): metrics_pb2.ScopeMetrics,
    (Signal.METRICS, Level.METRIC): metrics_pb2.Metric,
}


class ItemKind(NamedTuple):
    """The class of an item's message, and the tag of its attributes."""

    message: Any
    attribute_tag: bytes

    @classmethod
    def of(cls, message: Any) -> ItemKind:
        """Look the tag up; every item has its attributes in a field below 16."""
        return cls(message, bytes([message.DESCRIPTOR.fields_by_name["attributes"].number << 3 | 2]))


ITEMS: Mapping[Signal, ItemKind] = {
    Signal.TRACES: ItemKind.of(trace_pb2.Span),
    Signal.LOGS: ItemKind.of(logs_pb2.LogRecord),
}

POINTS: Mapping[int, ItemKind] = {
    5: ItemKind.of(metrics_pb2.NumberDataPoint),
    7: ItemKind.of(metrics_pb2.NumberDataPoint),
    9: ItemKind.of(metrics_pb2.HistogramDataPoint),
    10: ItemKind.of(metrics_pb2.ExponentialHistogramDataPoint),
    11: ItemKind.of(metrics_pb2.SummaryDataPoint),
}
"""The items of metrics, by the field number of the data in their metric."""


def _points(metric: Any) -> Sequence[Any]:
    member = metric.WhichOneof("data")
    return getattr(metric, member).data_points if member else ()


_Expand = Callable[[Any], Sequence[Any]]

CHILDREN: Mapping[Signal, Mapping[Level, _Expand]] = {
    Signal.TRACES: {
        Level.RESOURCE: attrgetter("resource_spans"),
        Level.SCOPE: attrgetter("scope_spans"),
        Level.ITEM: attrgetter("spans"),
        Level.EVENT: attrgetter("events"),
        Level.LINK: attrgetter("links"),
    },
    Signal.LOGS: {
        Level.RESOURCE: attrgetter("resource_logs"),
        Level.SCOPE: attrgetter("scope_logs"),
        Level.ITEM: attrgetter("log_records"),
    },
    Signal.METRICS: {
        Level.RESOURCE: attrgetter("resource_metrics"),
        Level.SCOPE: attrgetter("scope_metrics"),
        Level.METRIC: attrgetter("metrics"),
        Level.ITEM: _points,
    },
}
"""How to get the messages of a level from one message of the next level outside."""

OUTER: Mapping[Signal, Mapping[Level, Level | None]] = {
    Signal.TRACES: {
        Level.RESOURCE: None,
        Level.SCOPE: Level.RESOURCE,
        Level.ITEM: Level.SCOPE,
        Level.EVENT: Level.ITEM,
        Level.LINK: Level.ITEM,
    },
    Signal.LOGS: {Level.RESOURCE: None, Level.SCOPE: Level.RESOURCE, Level.ITEM: Level.SCOPE},
    Signal.METRICS: {
        Level.RESOURCE: None,
        Level.SCOPE: Level.RESOURCE,
        Level.METRIC: Level.SCOPE,
        Level.ITEM: Level.METRIC,
    },
}

ATTRIBUTE_LISTS: Mapping[Level, Callable[[Any], Any]] = {
    Level.RESOURCE: attrgetter("resource.attributes"),
    Level.SCOPE: attrgetter("scope.attributes"),
    Level.METRIC: attrgetter("metadata"),
    Level.ITEM: attrgetter("attributes"),
    Level.EVENT: attrgetter("attributes"),
    Level.LINK: attrgetter("attributes"),
}
"""Where a row of a level has its attributes."""
