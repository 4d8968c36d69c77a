"""The Collector's form ``otel``: data streams of Elasticsearch's OTel templates.

Differs from the Collector: fractions of milliseconds are written with all their digits (it leaves out zeros, which
moves times by up to a millisecond), attributes of places are not joined into points, and old metric points are sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Signal, Value
from untrace_plugins.bulk.index import DATASET, INDEX, NAMESPACE, Index, Router
from untrace_plugins.bulk.metrics import template_of, value_of
from untrace_plugins.bulk.sketch import Fields, Sketch, without_empty
from untrace_plugins.rows import (
    EventRow,
    LinkRow,
    PointRow,
    Source,
    SpanRow,
    hex_id,
    read_logs,
    read_points,
    read_spans,
)
from untrace_plugins.rows.source import Attributes

__all__ = ["OtelForm"]

_ELSEWHERE = frozenset({"data_stream.type", DATASET, NAMESPACE, INDEX})
"""Attributes that say where a document goes: they stand at its top, or nowhere."""


class OtelForm:
    """Makes documents with attributes as objects; events of spans are documents of their own."""

    def __init__(self, router: Router, *, time_series: bool) -> None:
        self._router = router
        self._time_series = time_series

    def spans(self, batch: Batch) -> Iterator[Sketch]:
        """Yield the documents of spans, each followed by those of its events."""
        origins = _Origins()
        for item, span in enumerate(read_spans(batch)):
            origin = origins[span.source]
            index = self._router.of(Signal.TRACES, span.source, span.attributes, span.start)
            fields = {
                "@timestamp": _time(span.start),
                **_stream(index),
                **_ids(span.trace_id, span.span_id),
                "trace_state": span.trace_state,
                "parent_span_id": hex_id(span.parent_span_id),
                "name": span.name,
                "kind": span.kind_name,
                "attributes": _attributes(span.attributes),
                "dropped_attributes_count": span.dropped,
                "links": [_link(link) for link in span.links],
            }
            always = {"duration": span.duration, "status": _status(span), **origin}
            id_ = f"{span.trace_id.hex()}:{span.span_id.hex()}" if any(span.trace_id) and any(span.span_id) else ""
            yield Sketch(index, {**without_empty(fields), **always}, (item,), id_)
            for number, event in enumerate(span.events):
                yield self._event(item, span, event, origin, f"{id_}:{number}" if id_ else "")

    def logs(self, batch: Batch) -> Iterator[Sketch]:
        """Yield the documents of log records."""
        origins = _Origins()
        for item, log in enumerate(read_logs(batch)):
            index = self._router.of(Signal.LOGS, log.source, log.attributes, log.moment)
            event = log.event_name or log.attributes.get("event.name")
            fields = {
                **_stream(index),
                "severity_text": log.severity_text,
                "severity_number": log.severity_number,
                **_ids(log.trace_id, log.span_id),
                "attributes": _attributes(log.attributes),
                "dropped_attributes_count": log.dropped,
                "event_name": event if isinstance(event, str) else "",
                "body": _body(log.body),
            }
            times = {"@timestamp": _time(log.moment), "observed_timestamp": _time(log.observed)}
            yield Sketch(index, {**times, **without_empty(fields), **origins[log.source]}, (item,))

    def points(self, batch: Batch) -> Iterator[Sketch]:
        """Yield the documents of metric points: those of one resource, scope, time and attributes are one document."""
        for index, rows in _grouped(read_points(batch), self._router):
            first = rows[0][1]
            fields = {
                "start_timestamp": first.data.start_time_unix_nano // 1_000_000,
                "unit": first.metric.unit,
                **_stream(index),
                "attributes": _attributes(first.attributes, flat=True),
            }
            metrics = {row.metric.name: value_of(row) for _, row in rows}
            always = {
                "@timestamp": first.data.time_unix_nano // 1_000_000,
                **_origin(first.source, flat=True),
                "metrics": metrics,
            }
            series = self._time_series and bool(index.type)
            templates = {f"metrics.{row.metric.name}": template_of(row.metric) for _, row in rows} if series else None
            items = [item for item, _ in rows]
            yield Sketch(index, {**without_empty(fields), **always}, items, takes_id=not series, templates=templates)

    def _event(self, item: int, span: SpanRow, event: EventRow, origin: Fields, id_: str) -> Sketch:
        index = self._router.of(Signal.LOGS, span.source, event.attributes, event.time)
        named = {**event.attributes, "event.name": event.name} if event.name else event.attributes
        fields = {
            **_stream(index),
            **_ids(span.trace_id, span.span_id),
            "dropped_attributes_count": event.dropped,
            "event_name": event.name,
            "attributes": _attributes(named),
        }
        return Sketch(index, {"@timestamp": _time(event.time), **without_empty(fields), **origin}, (item,), id_)


class _Origins:
    """What the documents of one source have in common, made once."""

    def __init__(self) -> None:
        self._made: dict[int, Fields] = {}

    def __getitem__(self, source: Source) -> Fields:
        found = self._made.get(id(source))
        if found is None:
            found = self._made[id(source)] = _origin(source)
        return found


def _grouped(rows: Sequence[PointRow], router: Router) -> Iterator[tuple[Index, list[tuple[int, PointRow]]]]:
    """Yield points that make one document, with their numbers; a name occurs once in each."""
    groups: dict[Any, dict[str, tuple[int, PointRow]]] = {}
    order: list[tuple[Index, dict[str, tuple[int, PointRow]]]] = []
    for item, row in enumerate(rows):
        point = row.data
        index = router.of(Signal.METRICS, row.source, row.attributes, point.time_unix_nano)
        same = (index, id(row.source), point.time_unix_nano, point.start_time_unix_nano, row.metric.unit)
        key = (*same, tuple(sorted((name, as_string(value)) for name, value in row.attributes.items())))
        group = groups.get(key)
        if group is None or row.metric.name in group:
            group = groups[key] = {}
            order.append((index, group))
        group[row.metric.name] = (item, row)
    for index, group in order:
        yield index, list(group.values())


def _time(nanos: int) -> str:
    """Return milliseconds since the epoch as text, with the nanoseconds as their fraction."""
    return f"{nanos // 1_000_000}.{nanos % 1_000_000:06}"


def _stream(index: Index) -> Fields:
    if not index.type:
        return {}
    return {"data_stream": {"type": index.type, "dataset": index.dataset, "namespace": index.namespace}}


def _ids(trace_id: bytes, span_id: bytes) -> Fields:
    return {"trace_id": hex_id(trace_id), "span_id": hex_id(span_id)}


def _status(span: SpanRow) -> Fields:
    return without_empty({"message": span.status_message, "code": span.status})


def _origin(source: Source, *, flat: bool = False) -> Fields:
    resource = {
        "schema_url": source.resource_schema_url,
        "attributes": _attributes(source.resource, flat=flat),
        "dropped_attributes_count": source.resource_dropped,
    }
    scope = {
        "schema_url": source.scope_schema_url,
        "name": source.scope_name,
        "version": source.scope_version,
        "attributes": _attributes(source.scope, flat=flat),
        "dropped_attributes_count": source.scope_dropped,
    }
    return {"resource": without_empty(resource), "scope": without_empty(scope)}


def _attributes(attributes: Attributes, *, flat: bool = False) -> Mapping[str, Value]:
    """Return attributes as they stand in a document; ``flat`` makes maps texts, because dimensions are scalars."""
    if not flat and _ELSEWHERE.isdisjoint(attributes):
        return attributes
    kept = {name: value for name, value in attributes.items() if name not in _ELSEWHERE}
    return (
        {name: as_string(value) if isinstance(value, dict) else value for name, value in kept.items()} if flat else kept
    )


def _link(link: LinkRow) -> Fields:
    return without_empty(
        {
            **_ids(link.trace_id, link.span_id),
            "trace_state": link.trace_state,
            "attributes": _attributes(link.attributes),
        }
    )


def _body(body: Value) -> Fields:
    """Return the body as text or as an object; lists of anything but objects are wrapped, as servers want it."""
    if body is None:
        return {}
    if isinstance(body, dict):
        return {"structured": body}
    if isinstance(body, list):
        objects = all(isinstance(one, dict) for one in body)
        return {"structured": body if objects else {"value": body}}
    return {"text": body}
