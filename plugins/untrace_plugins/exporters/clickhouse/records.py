"""Rows of the tables as JSON. Pure.

Times are text with nine digits: as numbers they would be read as seconds, and lose digits. Nested columns are arrays of
equal length, one for each of their fields: as lists of objects the server would take and forget them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.codecs.values import read_attributes
from untrace_plugins.rows import (
    LogRow,
    PointRow,
    Source,
    SpanRow,
    hex_id,
    iso_time,
    read_logs,
    read_points,
    read_spans,
)
from untrace_plugins.rows.points import number_of
from untrace_plugins.rows.source import Attributes

__all__ = ["Record", "Records"]

Fields = dict[str, Any]


class Record(NamedTuple):
    """A row as it is inserted."""

    kind: str
    """``traces``, ``logs`` or a kind of metrics: which table it goes to."""
    line: bytes


class Records:
    """Makes rows, with attributes as maps of texts or as they are."""

    def __init__(self, *, json_columns: bool) -> None:
        self._attributes: Callable[[Attributes], Any] = _as_they_are if json_columns else _as_texts
        self._sources: dict[int, Fields] = {}

    def of(self, batch: Batch) -> list[Record]:
        """Return one row per item, in order. Raises :class:`DecodeError`."""
        if batch.signal is Signal.TRACES:
            return self._lines("traces", map(self._span, read_spans(batch)))
        if batch.signal is Signal.LOGS:
            return self._lines("logs", map(self._log, read_logs(batch)))
        return [Record(row.metric.kind, _line(self._point(row))) for row in read_points(batch)]

    def _lines(self, kind: str, rows: Iterable[Fields]) -> list[Record]:
        return [Record(kind, _line(row)) for row in rows]

    def _span(self, span: SpanRow) -> Fields:
        source = span.source
        return {
            "Timestamp": iso_time(span.start),
            "TraceId": hex_id(span.trace_id),
            "SpanId": hex_id(span.span_id),
            "ParentSpanId": hex_id(span.parent_span_id),
            "TraceState": span.trace_state,
            "SpanName": span.name,
            "SpanKind": span.kind_name,
            "ServiceName": source.service,
            "ResourceAttributes": self._attributes(source.resource),
            "ScopeName": source.scope_name,
            "ScopeVersion": source.scope_version,
            "SpanAttributes": self._attributes(span.attributes),
            "Duration": span.duration,
            "StatusCode": span.status,
            "StatusMessage": span.status_message,
            "Events.Timestamp": [iso_time(event.time) for event in span.events],
            "Events.Name": [event.name for event in span.events],
            "Events.Attributes": [self._attributes(event.attributes) for event in span.events],
            "Links.TraceId": [hex_id(link.trace_id) for link in span.links],
            "Links.SpanId": [hex_id(link.span_id) for link in span.links],
            "Links.TraceState": [link.trace_state for link in span.links],
            "Links.Attributes": [self._attributes(link.attributes) for link in span.links],
        }

    def _log(self, log: LogRow) -> Fields:
        source = log.source
        return {
            "Timestamp": iso_time(log.moment),
            "TraceId": hex_id(log.trace_id),
            "SpanId": hex_id(log.span_id),
            "TraceFlags": log.flags & 0xFF,
            "SeverityText": log.severity_text,
            "SeverityNumber": log.severity_number & 0xFF,
            "ServiceName": source.service,
            "Body": as_string(log.body),
            "ResourceSchemaUrl": source.resource_schema_url,
            "ResourceAttributes": self._attributes(source.resource),
            "ScopeSchemaUrl": source.scope_schema_url,
            "ScopeName": source.scope_name,
            "ScopeVersion": source.scope_version,
            "ScopeAttributes": self._attributes(source.scope),
            "LogAttributes": self._attributes(log.attributes),
            "EventName": log.event_name,
        }

    def _point(self, row: PointRow) -> Fields:
        source, point = row.source, row.data
        common = {
            **self._origin(source),
            "MetricName": row.metric.name,
            "MetricDescription": row.metric.description,
            "MetricUnit": row.metric.unit,
            "Attributes": self._attributes(row.attributes),
            "StartTimeUnix": iso_time(point.start_time_unix_nano),
            "TimeUnix": iso_time(point.time_unix_nano),
            "Flags": point.flags,
        }
        return {**common, **self._value(row), **({} if row.metric.kind == "summary" else self._exemplars(point))}

    def _value(self, row: PointRow) -> Fields:
        point, kind = row.data, row.metric.kind
        temporality = {"AggregationTemporality": row.metric.temporality}
        if kind == "gauge":
            return {"Value": _number(number_of(point))}
        if kind == "sum":
            return {"Value": _number(number_of(point)), **temporality, "IsMonotonic": row.metric.monotonic}
        if kind == "summary":
            return {
                "Count": point.count,
                "Sum": _number(point.sum),
                "ValueAtQuantiles.Quantile": [_number(one.quantile) for one in point.quantile_values],
                "ValueAtQuantiles.Value": [_number(one.value) for one in point.quantile_values],
            }
        spread = {name: _number(getattr(point, name.lower())) for name in ("Sum", "Min", "Max")}
        shared = {"Count": point.count, **spread, **temporality}
        return {**shared, **(_buckets(point) if kind == "histogram" else _exponential(point))}

    def _origin(self, source: Source) -> Fields:
        return {
            "ResourceAttributes": self._attributes(source.resource),
            "ResourceSchemaUrl": source.resource_schema_url,
            "ScopeName": source.scope_name,
            "ScopeVersion": source.scope_version,
            "ScopeAttributes": self._attributes(source.scope),
            "ScopeDroppedAttrCount": source.scope_dropped,
            "ScopeSchemaUrl": source.scope_schema_url,
            "ServiceName": source.service,
        }

    def _exemplars(self, point: Any) -> Fields:
        exemplars: Sequence[Any] = point.exemplars
        return {
            "Exemplars.FilteredAttributes": [
                self._attributes(read_attributes(one.filtered_attributes)) for one in exemplars
            ],
            "Exemplars.TimeUnix": [iso_time(one.time_unix_nano) for one in exemplars],
            "Exemplars.Value": [_number(number_of(one)) for one in exemplars],
            "Exemplars.SpanId": [hex_id(one.span_id) for one in exemplars],
            "Exemplars.TraceId": [hex_id(one.trace_id) for one in exemplars],
        }


def _buckets(point: Any) -> Fields:
    return {"BucketCounts": list(point.bucket_counts), "ExplicitBounds": list(point.explicit_bounds)}


def _exponential(point: Any) -> Fields:
    return {
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "PositiveOffset": point.positive.offset,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def _number(value: float) -> float | str:
    """Return a number as JSON can hold it; those that it cannot are texts that the server reads."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _as_texts(attributes: Attributes) -> Fields:
    return {name: as_string(value) for name, value in attributes.items()}


def _as_they_are(attributes: Attributes) -> Attributes:
    return attributes


def _line(row: Fields) -> bytes:
    return orjson.dumps(row, default=as_string)
