"""Verbosity ``detailed``: everything, in the layout of the Collector's debug exporter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from untrace_pipeline.data import Batch, Signal
from untrace_plugins.exporters.debug.messages import Group, parse
from untrace_plugins.exporters.debug.text import readable, show_time, typed

__all__ = ["show_detailed"]

_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_CODES = ("Unset", "Ok", "Error")
_SEVERITIES = ("Trace", "Debug", "Info", "Warn", "Error", "Fatal")
_TEMPORALITIES = ("Unspecified", "Delta", "Cumulative")
_TYPES = {
    "gauge": "Gauge",
    "sum": "Sum",
    "histogram": "Histogram",
    "exponential_histogram": "ExponentialHistogram",
    "summary": "Summary",
}


def show_detailed(batch: Batch) -> str:
    """Return every field of a batch."""
    return "\n".join(_SIGNALS[batch.signal](parse(batch)))


def _traces(groups: list[Group]) -> Iterator[str]:
    return _groups(groups, "ResourceSpans", "ScopeSpans", "Span", _span)


def _metrics(groups: list[Group]) -> Iterator[str]:
    return _groups(groups, "ResourceMetrics", "ScopeMetrics", "Metric", _metric)


def _logs(groups: list[Group]) -> Iterator[str]:
    return _groups(groups, "ResourceLog", "ScopeLogs", "LogRecord", _log)


def _groups(
    groups: list[Group], outer: str, inner: str, item: str, show: Callable[[Any], Iterator[str]]
) -> Iterator[str]:
    for i, group in enumerate(groups):
        yield f"{outer} #{i}"
        yield f"Resource SchemaURL: {readable(group.schema_url)}"
        yield from _attributes("Resource attributes", group.resource)
        for j, scope in enumerate(group.scopes):
            yield f"{inner} #{j}"
            yield f"{inner} SchemaURL: {readable(scope.schema_url)}"
            yield f"InstrumentationScope {readable(scope.scope.name)} {readable(scope.scope.version)}"
            yield from _attributes("InstrumentationScope attributes", scope.scope.attributes)
            for k, one in enumerate(scope.items):
                yield f"{item} #{k}"
                yield from show(one)


def _attributes(header: str, attributes: Any, indent: str = "") -> Iterator[str]:
    if not attributes:
        return
    yield f"{header}:"
    for pair in attributes:
        yield f"{indent}     -> {readable(pair.key)}: {typed(pair.value)}"


def _span(span: Any) -> Iterator[str]:
    yield _row("Trace ID", span.trace_id.hex())
    yield _row("Parent ID", span.parent_span_id.hex())
    yield _row("ID", span.span_id.hex())
    yield _row("Name", readable(span.name))
    yield _row("Kind", _name(_KINDS, span.kind))
    if span.trace_state:
        yield _row("TraceState", readable(span.trace_state))
    yield _row("Start time", show_time(span.start_time_unix_nano))
    yield _row("End time", show_time(span.end_time_unix_nano))
    yield _row("Status code", _name(_CODES, span.status.code))
    yield _row("Status message", readable(span.status.message))
    yield _row("DroppedAttributesCount", span.dropped_attributes_count)
    yield _row("DroppedEventsCount", span.dropped_events_count)
    yield _row("DroppedLinksCount", span.dropped_links_count)
    yield from _attributes("Attributes", span.attributes)
    yield from _children("Events", "SpanEvent", span.events, _event)
    yield from _children("Links", "SpanLink", span.links, _link)


def _row(name: str, value: object) -> str:
    return f"    {name:<15}: {value}"


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _children(header: str, word: str, children: Any, show: Callable[[Any], Iterator[str]]) -> Iterator[str]:
    if children:
        yield f"{header}:"
    for i, child in enumerate(children):
        yield f"{word} #{i}"
        yield from show(child)


def _event(event: Any) -> Iterator[str]:
    yield f"     -> Name: {readable(event.name)}"
    yield f"     -> Timestamp: {show_time(event.time_unix_nano)}"
    yield f"     -> DroppedAttributesCount: {event.dropped_attributes_count}"
    yield from _attributes("     -> Attributes:", event.attributes, "     ")


def _link(link: Any) -> Iterator[str]:
    yield f"     -> Trace ID: {link.trace_id.hex()}"
    yield f"     -> ID: {link.span_id.hex()}"
    yield f"     -> TraceState: {readable(link.trace_state)}"
    yield f"     -> DroppedAttributesCount: {link.dropped_attributes_count}"
    yield from _attributes("     -> Attributes:", link.attributes, "     ")


def _log(record: Any) -> Iterator[str]:
    yield f"ObservedTimestamp: {show_time(record.observed_time_unix_nano)}"
    yield f"Timestamp: {show_time(record.time_unix_nano)}"
    yield f"SeverityText: {readable(record.severity_text)}"
    yield f"SeverityNumber: {_severity(record.severity_number)}({record.severity_number})"
    if record.event_name:
        yield f"EventName: {readable(record.event_name)}"
    yield f"Body: {typed(record.body)}"
    yield from _attributes("Attributes", record.attributes)
    yield f"Trace ID: {record.trace_id.hex()}"
    yield f"Span ID: {record.span_id.hex()}"
    yield f"Flags: {record.flags}"


def _severity(number: int) -> str:
    """Return the name of a severity: four numbers share a word (``Info``, ``Info2`` …)."""
    if not 1 <= number <= 4 * len(_SEVERITIES):
        return "Unspecified" if number == 0 else ""
    word, step = divmod(number - 1, 4)
    return _SEVERITIES[word] + (str(step + 1) if step else "")


def _metric(metric: Any) -> Iterator[str]:
    member = metric.WhichOneof("data")
    yield "Descriptor:"
    yield f"     -> Name: {readable(metric.name)}"
    yield f"     -> Description: {readable(metric.description)}"
    yield f"     -> Unit: {readable(metric.unit)}"
    yield f"     -> DataType: {_TYPES.get(member, 'Empty')}"
    yield from _attributes("     -> Metadata", metric.metadata, "     ")
    if member is None:
        return
    data = getattr(metric, member)
    if member == "sum":
        yield f"     -> IsMonotonic: {str(data.is_monotonic).lower()}"
    if hasattr(data, "aggregation_temporality"):
        yield f"     -> AggregationTemporality: {_name(_TEMPORALITIES, data.aggregation_temporality)}"
    word, show = _POINTS[member]
    for i, point in enumerate(data.data_points):
        yield f"{word} #{i}"
        yield from _attributes("Data point attributes", point.attributes)
        yield f"StartTimestamp: {show_time(point.start_time_unix_nano)}"
        yield f"Timestamp: {show_time(point.time_unix_nano)}"
        yield from show(point)


def _number(point: Any) -> Iterator[str]:
    if text := _value(point):
        yield f"Value: {text}"
    yield from _children("Exemplars", "Exemplar", point.exemplars, _exemplar)


def _value(holder: Any) -> str:
    match holder.WhichOneof("value"):
        case "as_int":
            return str(holder.as_int)
        case "as_double":
            return f"{holder.as_double:f}"
    return ""


def _moments(point: Any) -> Iterator[str]:
    yield f"Count: {point.count}"
    for name in ("sum", "min", "max"):
        if point.HasField(name):
            yield f"{name.capitalize()}: {getattr(point, name):f}"


def _histogram(point: Any) -> Iterator[str]:
    yield from _moments(point)
    for i, bound in enumerate(point.explicit_bounds):
        yield f"ExplicitBounds #{i}: {bound:f}"
    for i, count in enumerate(point.bucket_counts):
        yield f"Buckets #{i}, Count: {count}"
    yield from _children("Exemplars", "Exemplar", point.exemplars, _exemplar)


def _exponential(point: Any) -> Iterator[str]:
    yield from _moments(point)
    for i, count in reversed(list(enumerate(point.negative.bucket_counts, point.negative.offset))):
        yield f"Bucket [{-_bound(i + 1, point.scale):f}, {-_bound(i, point.scale):f}), Count: {count}"
    if point.zero_count:
        yield f"Bucket [0, 0], Count: {point.zero_count}"
    for i, count in enumerate(point.positive.bucket_counts, point.positive.offset):
        yield f"Bucket ({_bound(i, point.scale):f}, {_bound(i + 1, point.scale):f}], Count: {count}"
    yield from _children("Exemplars", "Exemplar", point.exemplars, _exemplar)


def _bound(index: int, scale: int) -> float:
    """Return the bound of a bucket: 2 to the power of ``index / 2**scale`` (OTLP, ExponentialHistogram)."""
    try:
        return math.exp(index * math.ldexp(math.log(2), -scale))
    except OverflowError:
        return math.inf


def _summary(point: Any) -> Iterator[str]:
    yield f"Count: {point.count}"
    yield f"Sum: {point.sum:f}"
    for i, one in enumerate(point.quantile_values):
        yield f"QuantileValue #{i}: Quantile {one.quantile:f}, Value {one.value:f}"


def _exemplar(exemplar: Any) -> Iterator[str]:
    yield f"     -> Trace ID: {exemplar.trace_id.hex()}"
    yield f"     -> Span ID: {exemplar.span_id.hex()}"
    yield f"     -> Timestamp: {show_time(exemplar.time_unix_nano)}"
    if text := _value(exemplar):
        yield f"     -> Value: {text}"
    yield from _attributes("     -> FilteredAttributes", exemplar.filtered_attributes, "     ")


_SIGNALS = {Signal.TRACES: _traces, Signal.METRICS: _metrics, Signal.LOGS: _logs}
_POINTS: dict[str, tuple[str, Callable[[Any], Iterator[str]]]] = {
    "gauge": ("NumberDataPoints", _number),
    "sum": ("NumberDataPoints", _number),
    "histogram": ("HistogramDataPoints", _histogram),
    "exponential_histogram": ("ExponentialHistogramDataPoints", _exponential),
    "summary": ("SummaryDataPoints", _summary),
}
