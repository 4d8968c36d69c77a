"""Hypothesis strategies for OTLP requests of all signals: unknown fields, equal keys, odd values, empty parts."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from untrace_pipeline.data import Signal, Value
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.testing.generate import to_any_value

KEYS = ("a", "b", "service.name", "ключ", "")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats(allow_nan=False).filter(lambda number: str(number) != "-0.0")
trace_ids = st.sampled_from([b"", bytes(range(16)), b"\xff" * 16])
span_ids = st.sampled_from([b"", bytes(range(8)), b"\xff" * 8])
keys = st.sampled_from(KEYS)

scalars: st.SearchStrategy[Value] = st.one_of(texts, st.booleans(), int64, doubles, st.binary(max_size=4))
values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.none(), scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=5,
)
set_values = values.filter(lambda value: value is not None)
unknown_fields = st.sampled_from(
    [
        b"",
        b"",
        b"",
        b"\xfa\x7f\x03new",
        b"\xf8\x7f\x96\x01",
        b"\xfd\x7fabcd",
        b"\xf9\x7fabcdefgh",
        b"\xfb\x7f\x08\x01\xfc\x7f",
    ]
)


M = TypeVar("M", bound=Message)


@st.composite
def key_values(draw: st.DrawFn) -> KeyValue:
    """An attribute; now and then with an empty value or a field of a later version."""
    made = KeyValue(key=draw(keys), value=to_any_value(draw(values)))
    return _with_unknown(draw, made)


def _with_unknown(draw: st.DrawFn, message: M) -> M:
    message.MergeFromString(draw(unknown_fields))
    return message


attributes = st.lists(key_values(), max_size=4)


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a span."""
    span: dict[str, Any] = {
        "trace_id": draw(trace_ids),
        "span_id": draw(span_ids),
        "parent_span_id": draw(span_ids),
        "trace_state": draw(texts),
        "flags": draw(uint32),
        "name": draw(texts),
        "kind": draw(st.integers(0, 5)),
        "start_time_unix_nano": draw(uint64),
        "end_time_unix_nano": draw(uint64),
        "attributes": draw(attributes),
        "events": [
            {"time_unix_nano": draw(uint64), "name": draw(texts), "attributes": draw(attributes)}
            for _ in range(draw(st.integers(0, 2)))
        ],
        "links": [
            {"trace_id": draw(trace_ids), "span_id": draw(span_ids), "attributes": draw(attributes)}
            for _ in range(draw(st.integers(0, 2)))
        ],
    }
    if draw(st.booleans()):
        span["status"] = {"code": draw(st.integers(0, 2)), "message": draw(texts)}
    return span


@st.composite
def log_records(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a log record."""
    record: dict[str, Any] = {
        "time_unix_nano": draw(uint64),
        "severity_number": draw(st.integers(0, 24)),
        "severity_text": draw(texts),
        "attributes": draw(attributes),
        "flags": draw(uint32),
        "trace_id": draw(trace_ids),
        "span_id": draw(span_ids),
        "event_name": draw(texts),
    }
    if draw(st.booleans()):
        record["body"] = to_any_value(draw(values))
    return record


@st.composite
def exemplars(draw: st.DrawFn) -> Exemplar:
    """An exemplar."""
    return Exemplar(
        trace_id=draw(trace_ids), span_id=draw(span_ids), as_int=draw(int64), filtered_attributes=draw(attributes)
    )


@st.composite
def points(draw: st.DrawFn, kind: str) -> Any:
    """A data point of a metric of that type."""
    common: dict[str, Any] = {"attributes": draw(attributes), "time_unix_nano": draw(uint64), "flags": draw(uint32)}
    if kind in ("gauge", "sum"):
        number = draw(
            st.one_of(st.fixed_dictionaries({"as_int": int64}), st.fixed_dictionaries({"as_double": doubles}))
        )
        return NumberDataPoint(
            **common, **draw(st.sampled_from([{}, number])), exemplars=draw(st.lists(exemplars(), max_size=1))
        )
    common["count"] = draw(uint64)
    if kind == "summary":
        return SummaryDataPoint(
            **common,
            sum=draw(doubles),
            quantile_values=[SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=draw(doubles))],
        )
    if draw(st.booleans()):
        common |= {"sum": draw(doubles), "min": draw(doubles)}
    if kind == "histogram":
        return HistogramDataPoint(**common, bucket_counts=[draw(uint64)], explicit_bounds=[draw(doubles)])
    return ExponentialHistogramDataPoint(
        **common, scale=-3, positive=ExponentialHistogramDataPoint.Buckets(offset=1, bucket_counts=[draw(uint64)])
    )


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    """A metric of any type, or of none."""
    kind = draw(st.sampled_from(["gauge", "sum", "histogram", "exponential_histogram", "summary", ""]))
    metric = Metric(name=draw(texts), description=draw(texts), unit=draw(texts), metadata=draw(attributes))
    if kind:
        data = getattr(metric, kind)
        data.SetInParent()
        data.data_points.extend(draw(st.lists(points(kind), max_size=3)))
        if kind in ("sum", "histogram", "exponential_histogram"):
            data.aggregation_temporality = draw(st.integers(0, 2))
        if kind == "sum":
            data.is_monotonic = draw(st.booleans())
        _with_unknown(draw, data)
    return _with_unknown(draw, metric)


_PARTS: dict[Signal, tuple[str, str, str, st.SearchStrategy[Any]]] = {
    Signal.TRACES: ("resource_spans", "scope_spans", "spans", spans()),
    Signal.LOGS: ("resource_logs", "scope_logs", "log_records", log_records()),
    Signal.METRICS: ("resource_metrics", "scope_metrics", "metrics", metrics()),
}


@st.composite
def requests(draw: st.DrawFn, signal: Signal, *, unknown: bool = True) -> Message:
    """An ``Export*ServiceRequest`` with up to three resources of up to two scopes of up to three items or metrics."""
    groups, scopes, items, item = _PARTS[signal]
    request = REQUESTS[signal]()
    for _ in range(draw(st.integers(0, 3))):
        group = getattr(request, groups).add(schema_url=draw(texts))
        if draw(st.booleans()):
            group.resource.attributes.extend(draw(attributes))
            _with_unknown(draw, group.resource)
        for _ in range(draw(st.integers(0, 2))):
            scope = getattr(group, scopes).add(schema_url=draw(texts))
            if draw(st.booleans()):
                scope.scope.name = draw(texts)
                scope.scope.attributes.extend(draw(attributes))
            for made in draw(st.lists(item, max_size=3)):
                if isinstance(made, Message):
                    getattr(scope, items).append(made)
                else:
                    _with_unknown(draw, getattr(scope, items).add(**made))
            _with_unknown(draw, scope)
        _with_unknown(draw, group)
    _with_unknown(draw, request)
    if not unknown:
        request.DiscardUnknownFields()
    return request  # type: ignore[no-any-return]


def any_signal_requests(*, unknown: bool = True) -> st.SearchStrategy[tuple[Signal, Message]]:
    """A signal and a request of it."""
    return st.sampled_from(list(Signal)).flatmap(
        lambda signal: st.tuples(st.just(signal), requests(signal, unknown=unknown))
    )
