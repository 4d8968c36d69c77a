"""Requests as flat rows: what stands where in OTLP, and in which order."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.rows import read_logs, read_points, read_spans

SPAN_ID = Field(Level.ITEM, "span_id")


def test_spans_keep_their_order_source_events_and_links() -> None:
    """Two resources, spans with and without events and links."""
    request = ExportTraceServiceRequest()
    for resource in ("a", "b"):
        group = request.resource_spans.add(schema_url=f"https://{resource}")
        group.resource.attributes.add(key="service.name", value=to_any_value(resource))
        scope = group.scope_spans.add()
        scope.scope.name = f"scope {resource}"
        for number in range(2):
            span = scope.spans.add(
                trace_id=b"t" * 16, span_id=bytes([number + 1]) * 8, name=f"{resource}{number}", kind=3
            )
            span.start_time_unix_nano, span.end_time_unix_nano = 10, 25
            for event in range(number):
                span.events.add(name=f"event {event}", time_unix_nano=12)
                span.links.add(trace_id=b"l" * 16, span_id=b"s" * 8, trace_state="x=1")
    rows = read_spans(Batch(Signal.TRACES, request.SerializeToString()))
    assert [(row.name, row.source.service, row.source.scope_name) for row in rows] == [
        ("a0", "a", "scope a"),
        ("a1", "a", "scope a"),
        ("b0", "b", "scope b"),
        ("b1", "b", "scope b"),
    ]
    assert rows[0].source is rows[1].source
    assert (rows[0].kind_name, rows[0].status, rows[0].duration) == ("Client", "Unset", 15)
    assert [len(row.events) for row in rows] == [0, 1, 0, 1]
    assert (rows[3].events[0].name, rows[3].events[0].time) == ("event 0", 12)
    assert (rows[3].links[0].trace_id, rows[3].links[0].trace_state) == (b"l" * 16, "x=1")


def test_logs_have_a_moment_even_without_a_time() -> None:
    """When it was observed stands for when it was written."""
    row = read_logs(make_batch(Signal.LOGS, 1))[0]
    assert row.moment == row.time
    assert row._replace(time=0).moment == row.observed
    assert (row.severity_text, row.body, row.source.service) == ("INFO", "message 0", "service-0")


def test_points_are_counted_as_the_batch_counts_them() -> None:
    """One row per point of every kind, in the order of the batch; a metric without data has none."""
    batch = make_batch(Signal.METRICS, 10, resources=2)
    rows = read_points(batch)
    assert [row.data.time_unix_nano for row in rows] == batch.column(Field(Level.ITEM, "time_unix_nano"))
    assert {row.metric.kind for row in rows} == {"gauge", "sum", "histogram", "exponential_histogram", "summary"}
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="empty")
    assert read_points(Batch(Signal.METRICS, request.SerializeToString())) == []


def test_a_service_name_that_is_no_text_is_none() -> None:
    """Nobody's tables have to hold a number there."""
    source = read_spans(make_batch(items=1))[0].source
    assert source.service == "service-0"
    assert source._replace(resource={"service.name": 3}).service == ""
