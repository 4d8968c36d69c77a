"""Metrics that a connector makes, in a form that tests can compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from untrace_pipeline.data import Batch, Signal, Value
from untrace_pipeline.testing.generate import to_any_value

__all__ = ["Point", "SpanSketch", "last", "points_of", "span_batch"]

START = 1_700_000_000_000_000_000


@dataclass
class Point:
    """One data point with what identifies its series."""

    metric: str
    unit: str
    resource: Mapping[str, Value]
    attributes: Mapping[str, Value]
    data: Any
    """The protobuf message."""

    @property
    def value(self) -> float:
        """The value of a sum."""
        return float(self.data.as_double) if self.data.WhichOneof("value") == "as_double" else int(self.data.as_int)


def points_of(batches: Iterable[Batch]) -> list[Point]:
    """Return all points of some requests, in order."""
    return [point for batch in batches for point in _points(ExportMetricsServiceRequest.FromString(batch.to_otlp()))]


def last(batches: Sequence[Batch]) -> dict[str, list[Point]]:
    """Return the points of the last request by metric."""
    found: dict[str, list[Point]] = {}
    for point in points_of(batches[-1:]):
        found.setdefault(point.metric, []).append(point)
    return found


def _points(request: Any) -> Iterator[Point]:
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                resource = _plain(group.resource.attributes)
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    yield Point(metric.name, metric.unit, resource, _plain(point.attributes), point)


def _plain(pairs: Iterable[Any]) -> dict[str, Value]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


@dataclass
class SpanSketch:
    """A span as tests describe one."""

    name: str = "chat"
    seconds: float = 1.0
    attributes: Mapping[str, Value] = field(default_factory=dict)
    code: int = 0
    kind: int = 3
    state: str = ""
    trace_id: bytes = bytes(range(1, 17))
    events: Sequence[Mapping[str, Value]] = ()
    resource: Mapping[str, Value] = field(default_factory=lambda: {"service.name": "shop"})

    def message(self) -> Span:
        """Return the protobuf message."""
        span = Span(
            trace_id=self.trace_id,
            span_id=bytes(range(1, 9)),
            name=self.name,
            kind=self.kind,  # type: ignore[arg-type]
            trace_state=self.state,
            start_time_unix_nano=START,
            end_time_unix_nano=START + round(self.seconds * 1e9),
            status=Status(code=self.code),  # type: ignore[arg-type]
        )
        _fill(span.attributes, self.attributes)
        for attributes in self.events:
            _fill(span.events.add(name="event").attributes, attributes)
        return span


def span_batch(*sketches: SpanSketch) -> Batch:
    """Return a batch of spans, each in a resource of its own."""
    request = ExportTraceServiceRequest()
    for sketch in sketches:
        group: ResourceSpans = request.resource_spans.add()
        _fill(group.resource.attributes, sketch.resource)
        group.scope_spans.add().spans.append(sketch.message())
    return Batch(Signal.TRACES, request.SerializeToString())


def _fill(target: Any, attributes: Mapping[str, Value]) -> None:
    for key, value in attributes.items():
        target.add(key=key, value=to_any_value(value))
