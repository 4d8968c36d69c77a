"""The short form of items in ``tests:`` blocks, to OTLP JSON and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from untrace_pipeline.config.test_blocks import EventItem, Item, LogItem, MetricItem, SpanItem
from untrace_pipeline.data import Signal

__all__ = ["RESOURCES", "items_of", "request_of"]

RESOURCES = {Signal.TRACES: "resourceSpans", Signal.METRICS: "resourceMetrics", Signal.LOGS: "resourceLogs"}
_SCOPES = {Signal.TRACES: "scopeSpans", Signal.METRICS: "scopeMetrics", Signal.LOGS: "scopeLogs"}
_RECORDS = {Signal.TRACES: "spans", Signal.METRICS: "metrics", Signal.LOGS: "logRecords"}
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_START = 1_760_000_000_000_000_000
"""Begin of every made-up item, in nanoseconds since the Unix epoch: fixed, so that tests repeat exactly."""
_NANOS = 1_000_000_000


def request_of(signal: Signal, items: Sequence[Item]) -> dict[str, Any]:
    """Return an OTLP JSON request; neighbours with equal resource and scope share them."""
    numbered = enumerate(items, 1)
    groups = [
        {
            "resource": {"attributes": _attributes(resource)},
            _SCOPES[signal]: [{"scope": {"name": scope}, _RECORDS[signal]: [_record(i, item) for i, item in members]}],
        }
        for (resource, scope), members in groupby(numbered, key=lambda one: (one[1].resource, one[1].scope))
    ]
    return {RESOURCES[signal]: groups}


def _record(number: int, item: Item) -> dict[str, Any]:
    if isinstance(item, SpanItem):
        return _span(number, item)
    if isinstance(item, LogItem):
        return _log(item)
    assert isinstance(item, MetricItem)
    return _metric(item)


def _span(number: int, item: SpanItem) -> dict[str, Any]:
    return {
        "traceId": item.trace_id or f"{number:032x}",
        "spanId": item.span_id or f"{number:016x}",
        "parentSpanId": item.parent_span_id,
        "traceState": item.trace_state,
        "name": item.name,
        "kind": _KINDS.index(item.kind),
        "startTimeUnixNano": str(_START),
        "endTimeUnixNano": str(_START + round(item.duration * _NANOS)),
        "attributes": _attributes(item.attributes),
        "events": [_event(event) for event in item.events],
        "status": {"code": _STATUSES.index(item.status), "message": item.status_message},
    }


def _event(event: EventItem) -> dict[str, Any]:
    return {"name": event.name, "timeUnixNano": str(_START), "attributes": _attributes(event.attributes)}


def _log(item: LogItem) -> dict[str, Any]:
    return {
        "timeUnixNano": str(_START),
        "observedTimeUnixNano": str(_START),
        "severityNumber": item.severity_number,
        "severityText": item.severity_text,
        "body": _value(item.body),
        "eventName": item.event_name,
        "traceId": item.trace_id,
        "spanId": item.span_id,
        "attributes": _attributes(item.attributes),
    }


def _metric(item: MetricItem) -> dict[str, Any]:
    value = {"asDouble": item.value} if isinstance(item.value, float) else {"asInt": str(item.value)}
    point = {"timeUnixNano": str(_START), "attributes": _attributes(item.attributes), **value}
    data: dict[str, Any] = {"dataPoints": [point]}
    if item.type == "sum":
        data |= {"aggregationTemporality": 2, "isMonotonic": True}
    return {"name": item.name, "unit": item.unit, "description": item.description, item.type: data}


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"stringValue": str(value)}


def items_of(signal: Signal, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the items of an OTLP JSON request in short form; of a metric, one per data point."""
    for group in request.get(RESOURCES[signal], ()):
        resource = _plain_attributes(group.get("resource", {}))
        for scope in group.get(_SCOPES[signal], ()):
            common = {"resource": resource, "scope": scope.get("scope", {}).get("name", "")}
            for record in scope.get(_RECORDS[signal], ()):
                for found in _SHORT[signal](record):
                    yield found | common


def _short_span(record: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    status = record.get("status", {})
    yield {
        "name": record.get("name", ""),
        "kind": _KINDS[int(record.get("kind", 0))],
        "trace_id": record.get("traceId", ""),
        "span_id": record.get("spanId", ""),
        "parent_span_id": record.get("parentSpanId", ""),
        "trace_state": record.get("traceState", ""),
        "status": _STATUSES[int(status.get("code", 0))],
        "status_message": status.get("message", ""),
        "duration": (int(record.get("endTimeUnixNano", 0)) - int(record.get("startTimeUnixNano", 0))) / _NANOS,
        "events": [
            {"name": event.get("name", ""), "attributes": _plain_attributes(event)}
            for event in record.get("events", ())
        ],
        "attributes": _plain_attributes(record),
    }


def _short_log(record: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    yield {
        "body": _plain(record.get("body", {})),
        "severity_text": record.get("severityText", ""),
        "severity_number": int(record.get("severityNumber", 0)),
        "event_name": record.get("eventName", ""),
        "trace_id": record.get("traceId", ""),
        "span_id": record.get("spanId", ""),
        "attributes": _plain_attributes(record),
    }


def _short_metric(record: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    types = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
    type_ = next((one for one in types if one in record), "")
    for point in record.get(type_, {}).get("dataPoints", ()):
        number = point.get("asDouble")
        yield {
            "name": record.get("name", ""),
            "unit": record.get("unit", ""),
            "description": record.get("description", ""),
            "type": type_,
            "value": int(point.get("asInt", 0)) if number is None else float(number),
            "attributes": _plain_attributes(point),
        }


_SHORT = {Signal.TRACES: _short_span, Signal.METRICS: _short_metric, Signal.LOGS: _short_log}


def _plain_attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {one["key"]: _plain(one.get("value", {})) for one in holder.get("attributes", ())}


def _plain(value: Mapping[str, Any]) -> Any:
    for kind, one in value.items():
        if kind == "intValue":
            return int(one)
        if kind == "doubleValue":
            return float(one)
        if kind == "arrayValue":
            return [_plain(item) for item in one.get("values", ())]
        if kind == "kvlistValue":
            return {pair["key"]: _plain(pair.get("value", {})) for pair in one.get("values", ())}
        return one
    return None
