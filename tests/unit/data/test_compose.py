"""New spans and log records become the requests that OTLP's own classes read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.data.codecs.values import read_attributes, read_value
from untrace_pipeline.data.compose import NewEvent, NewLink, NewLog, NewSpan, Scope, compose_logs, compose_spans

VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(st.text(), VALUES, max_size=4)
TIMES = st.integers(0, 2**64 - 1)
TRACE_IDS, SPAN_IDS = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)
SPANS = st.builds(
    NewSpan,
    TRACE_IDS,
    SPAN_IDS,
    st.text(),
    TIMES,
    TIMES,
    kind=st.integers(0, 5),
    parent_span_id=SPAN_IDS | st.just(b""),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(NewEvent, st.text(), TIMES, ATTRIBUTES), max_size=2),
    links=st.lists(st.builds(NewLink, TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=2),
    status_code=st.integers(0, 2),
    status_message=st.text(),
    trace_state=st.text(),
    flags=st.integers(0, 2**32 - 1),
)
LOGS = st.builds(
    NewLog,
    TIMES,
    VALUES,
    ATTRIBUTES,
    severity_number=st.integers(0, 24),
    severity_text=st.text(),
    observed_time_unix_nano=TIMES,
    trace_id=TRACE_IDS | st.just(b""),
    span_id=SPAN_IDS | st.just(b""),
    event_name=st.text(),
)


@given(ATTRIBUTES, st.lists(SPANS, max_size=3))
def test_spans_are_read_as_they_were_given(resource: dict[str, object], spans: list[NewSpan]) -> None:
    """Every field of a span, its events and links is where OTLP's classes look for it."""
    request = ExportTraceServiceRequest.FromString(compose_spans(resource, Scope("shop", "1.2"), spans))
    (of_resource,) = request.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert read_attributes(of_resource.resource.attributes) == resource
    assert (of_scope.scope.name, of_scope.scope.version) == ("shop", "1.2")
    read = [
        NewSpan(
            span.trace_id,
            span.span_id,
            span.name,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            kind=span.kind,
            parent_span_id=span.parent_span_id,
            attributes=read_attributes(span.attributes),
            events=[NewEvent(e.name, e.time_unix_nano, read_attributes(e.attributes)) for e in span.events],
            links=[NewLink(link.trace_id, link.span_id, read_attributes(link.attributes)) for link in span.links],
            status_code=span.status.code,
            status_message=span.status.message,
            trace_state=span.trace_state,
            flags=span.flags,
        )
        for span in of_scope.spans
    ]
    assert read == spans


@given(ATTRIBUTES, st.lists(LOGS, max_size=3))
def test_logs_are_read_as_they_were_given(resource: dict[str, object], logs: list[NewLog]) -> None:
    """The same for log records."""
    request = ExportLogsServiceRequest.FromString(compose_logs(resource, Scope("shop"), logs))
    (of_resource,) = request.resource_logs
    assert read_attributes(of_resource.resource.attributes) == resource
    read = [
        NewLog(
            log.time_unix_nano,
            read_value(log.body),
            read_attributes(log.attributes),
            severity_number=log.severity_number,
            severity_text=log.severity_text,
            observed_time_unix_nano=log.observed_time_unix_nano,
            trace_id=log.trace_id,
            span_id=log.span_id,
            event_name=log.event_name,
        )
        for log in of_resource.scope_logs[0].log_records
    ]
    assert read == logs


def test_requests_joined_are_one() -> None:
    """Bytes of several requests make a batch of all their spans."""
    one = compose_spans({"service.name": "a"}, Scope("s"), [NewSpan(b"t" * 16, b"s" * 8, "first", 1, 2)])
    two = compose_spans({"service.name": "b"}, Scope("s"), [NewSpan(b"t" * 16, b"r" * 8, "second", 1, 2)])
    batch = Batch(Signal.TRACES, one + two)
    batch.validate()
    assert batch.columns([Field(Level.ITEM, "name")])[0] == ["first", "second"]


def test_attributes_without_a_value_are_left_out() -> None:
    """``None`` is no attribute."""
    batch = Batch(
        Signal.TRACES, compose_spans({}, Scope("s"), [NewSpan(b"t" * 16, b"s" * 8, "n", 1, 2, attributes={"a": None})])
    )
    assert batch.columns([attribute("a")])[0] == [None]
    assert list(next(iter(batch.items())).attributes) == []


@pytest.mark.parametrize("time", [-1, 2**64])
def test_times_out_of_range_are_errors(time: int) -> None:
    """A time that OTLP cannot hold is said, not cut."""
    with pytest.raises(ValueError, match="out of range"):
        compose_spans({}, Scope("s"), [NewSpan(b"t" * 16, b"s" * 8, "n", time, 2)])
