"""The form ``flat``: one document per item, and few fields whatever attributes come.

Attributes lie in one field of the server's type for whole objects (``flattened``, ``flat_object``), with texts for
values, so that no attribute adds a field or disagrees with another one's type. Texts that are too long for keywords lie
in ``texts``, which is for searching words. What one searches and computes LLM calls by has fields of its own, ``llm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.bulk.index import Router
from untrace_plugins.bulk.metrics import value_of
from untrace_plugins.bulk.sketch import Fields, Sketch, without_empty
from untrace_plugins.rows import LogRow, PointRow, Source, SpanRow, hex_id, iso_time, read_logs, read_points, read_spans
from untrace_plugins.rows.source import Attributes

__all__ = ["LONGEST_KEYWORD", "FlatForm"]

LONGEST_KEYWORD = 8000
"""Characters: Lucene takes terms of 32,766 bytes, with the name of the attribute before them, and a character has at
most four bytes."""
_WORDS = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "request_model",
    "gen_ai.response.model": "response_model",
    "gen_ai.conversation.id": "conversation_id",
}
_NUMBERS = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cost": "cost",
}
"""Attributes that have fields of their own besides, where their type is what it should be."""


class FlatForm:
    """Makes documents with attributes in one field."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def spans(self, batch: Batch) -> Iterator[Sketch]:
        """Yield one document per span, with its events and links in it."""
        for item, span in enumerate(read_spans(batch)):
            index = self._router.of(Signal.TRACES, span.source, span.attributes, span.start)
            id_ = f"{span.trace_id.hex()}:{span.span_id.hex()}" if any(span.trace_id) and any(span.span_id) else ""
            yield Sketch(index, _span(span), (item,), id_)

    def logs(self, batch: Batch) -> Iterator[Sketch]:
        """Yield one document per log record."""
        for item, log in enumerate(read_logs(batch)):
            yield Sketch(self._router.of(Signal.LOGS, log.source, log.attributes, log.moment), _log(log), (item,))

    def points(self, batch: Batch) -> Iterator[Sketch]:
        """Yield one document per point."""
        for item, row in enumerate(read_points(batch)):
            index = self._router.of(Signal.METRICS, row.source, row.attributes, row.data.time_unix_nano)
            yield Sketch(index, _point(row), (item,))


def _span(span: SpanRow) -> Fields:
    events = [
        {"name": event.name, "@timestamp": iso_time(event.time), "attributes": as_string(dict(event.attributes))}
        for event in span.events
    ]
    links = [{"trace_id": hex_id(link.trace_id), "span_id": hex_id(link.span_id)} for link in span.links]
    fields = {
        "trace_id": hex_id(span.trace_id),
        "span_id": hex_id(span.span_id),
        "parent_span_id": hex_id(span.parent_span_id),
        "trace_state": span.trace_state,
        "name": span.name,
        "kind": span.kind_name,
        "status_code": span.status,
        "status_message": span.status_message,
        **_origin(span.source),
        **_attributes(span.attributes),
        "events": events,
        "links": links,
    }
    times = {"@timestamp": iso_time(span.start), "end": iso_time(span.end), "duration": span.duration}
    return {**times, **without_empty(fields)}


def _log(log: LogRow) -> Fields:
    fields = {
        "severity_text": log.severity_text,
        "severity_number": log.severity_number,
        "body": as_string(log.body),
        "trace_id": hex_id(log.trace_id),
        "span_id": hex_id(log.span_id),
        "event_name": log.event_name,
        **_origin(log.source),
        **_attributes(log.attributes),
    }
    return {"@timestamp": iso_time(log.moment), **without_empty(fields)}


def _point(row: PointRow) -> Fields:
    value = value_of(row)
    own: Fields = {"value": value} if isinstance(value, int | float) else {"distribution": as_string(value)}
    fields = {
        "metric": row.metric.name,
        "unit": row.metric.unit,
        "type": row.metric.kind,
        **_origin(row.source),
        **_attributes(row.attributes),
    }
    return {"@timestamp": iso_time(row.data.time_unix_nano), **own, **without_empty(fields)}


def _origin(source: Source) -> Fields:
    return {
        "service": source.service,
        "scope": source.scope_name,
        "scope_version": source.scope_version,
        "resource": {name: as_string(value) for name, value in source.resource.items()},
    }


def _attributes(attributes: Attributes) -> Fields:
    """Return the fields that attributes make."""
    short: dict[str, str] = {}
    long: dict[str, str] = {}
    llm: dict[str, Any] = {}
    for name, value in attributes.items():
        text = as_string(value)
        (long if len(text) > LONGEST_KEYWORD else short)[name] = text
        if name in _WORDS and isinstance(value, str):
            llm[_WORDS[name]] = value
        elif name in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
            llm[_NUMBERS[name]] = value
    texts = [{"name": name, "text": text} for name, text in long.items()]
    return {"attributes": short, "texts": texts, "llm": llm}
