"""Log records and spans as entries of Loki's streams. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Signal, Value
from untrace_plugins.exporters.loki_push.config import LineFormat, LokiPushConfig
from untrace_plugins.rows import LogRow, Source, SpanRow, hex_id, read_logs, read_spans
from untrace_plugins.rows.source import Attributes

__all__ = ["Entries", "Entry", "Labels"]

Labels = tuple[tuple[str, str], ...]

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
LONGEST_LABEL = 2048
"""Loki's default ``max_label_value_length``, in bytes."""
MOST_METADATA = 120
"""Loki's default ``max_structured_metadata_entries_count`` is 128; it adds some itself."""
_LEVELS = ((21, "fatal"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))
"""First severity number of each level (OTLP logs, "Field: SeverityNumber")."""


class Entry(NamedTuple):
    """A line of a stream."""

    labels: Labels
    nanos: int
    line: str
    metadata: Mapping[str, str]


class Entries:
    """Makes entries as the options say."""

    def __init__(self, config: LokiPushConfig) -> None:
        self._config = config
        self._constant = {_name(name): value for name, value in config.labels.items()}
        self._whole = config.line_format is LineFormat.JSON

    def of(self, batch: Batch) -> list[Entry]:
        """Return one entry per item, in order. Raises :class:`DecodeError`."""
        return list(self._spans(batch) if batch.signal is Signal.TRACES else self._logs(batch))

    def _logs(self, batch: Batch) -> Iterator[Entry]:
        for log in read_logs(batch):
            labels = self._labels(log.source, log.attributes, _level(log), Signal.LOGS)
            known = {
                "trace_id": hex_id(log.trace_id),
                "span_id": hex_id(log.span_id),
                "severity_text": log.severity_text,
                "severity_number": str(log.severity_number or ""),
                "event_name": log.event_name,
            }
            line = self._line(_log_fields(log)) if self._whole else as_string(log.body)
            yield Entry(labels, log.moment, line, self._metadata(known, log.source, log.attributes, labels))

    def _spans(self, batch: Batch) -> Iterator[Entry]:
        for span in read_spans(batch):
            level = "error" if span.status == "Error" else "info"
            labels = self._labels(span.source, span.attributes, level, Signal.TRACES)
            known = {
                "trace_id": hex_id(span.trace_id),
                "span_id": hex_id(span.span_id),
                "parent_span_id": hex_id(span.parent_span_id),
                "span_name": span.name,
                "status": span.status,
                "duration_ms": f"{span.duration / 1e6:.3f}",
            }
            line = self._line(_span_fields(span)) if self._whole else span.name
            yield Entry(
                labels, span.end or span.start, line, self._metadata(known, span.source, span.attributes, labels)
            )

    def _line(self, fields: Mapping[str, Any]) -> str:
        return orjson.dumps({name: value for name, value in fields.items() if value}, default=as_string).decode()

    def _labels(self, source: Source, attributes: Attributes, level: str, signal: Signal) -> Labels:
        config = self._config
        found = dict(self._constant)
        for names, held in ((config.resource_labels, source.resource), (config.attribute_labels, attributes)):
            found |= {_name(name): _cut(as_string(held[name])) for name in names if name in held}
        if config.level_label and level:
            found["level"] = level
        if signal is Signal.TRACES:
            found["signal"] = "traces"
        return tuple(sorted([(name, value) for name, value in found.items() if value]))

    def _metadata(
        self, known: Mapping[str, str], source: Source, attributes: Attributes, labels: Labels
    ) -> Mapping[str, str]:
        if not self._config.structured_metadata:
            return {}
        found = {name: value for name, value in known.items() if value}
        scope = {"scope_name": source.scope_name, "scope_version": source.scope_version}
        found |= {name: value for name, value in scope.items() if value}
        taken = {name for name, _ in labels}
        for held in (attributes, source.resource):
            for key, value in held.items():
                name = _name(key)
                if name not in found and name not in taken and len(found) < MOST_METADATA:
                    found[name] = self._short(value)
        return found

    def _short(self, value: Value) -> str:
        text, longest = as_string(value), self._config.max_metadata_value
        return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _log_fields(log: LogRow) -> Mapping[str, Any]:
    """Return the fields of a line, by the names of the Collector's exporter ``loki``."""
    return {
        "body": log.body,
        "traceid": hex_id(log.trace_id),
        "spanid": hex_id(log.span_id),
        "severity": log.severity_text,
        "flags": log.flags,
        "event_name": log.event_name,
        "attributes": log.attributes,
        **_origin(log.source),
    }


def _span_fields(span: SpanRow) -> Mapping[str, Any]:
    return {
        "name": span.name,
        "kind": span.kind_name,
        "traceid": hex_id(span.trace_id),
        "spanid": hex_id(span.span_id),
        "parentspanid": hex_id(span.parent_span_id),
        "start": str(span.start),
        "end": str(span.end),
        "duration_ms": span.duration / 1e6,
        "status": span.status,
        "status_message": span.status_message,
        "attributes": span.attributes,
        "events": [{"name": one.name, "time": str(one.time), "attributes": one.attributes} for one in span.events],
        "links": [{"traceid": hex_id(one.trace_id), "spanid": hex_id(one.span_id)} for one in span.links],
        **_origin(span.source),
    }


def _origin(source: Source) -> Mapping[str, Any]:
    scope = {"name": source.scope_name, "version": source.scope_version}
    return {"resources": source.resource, "instrumentation_scope": {k: v for k, v in scope.items() if v}}


def _level(log: LogRow) -> str:
    known = next((level for first, level in _LEVELS if log.severity_number >= first), "")
    return known or log.severity_text.lower()


def _cut(value: str) -> str:
    if len(value) * 4 <= LONGEST_LABEL:
        return value
    data = value.encode()
    return value if len(data) <= LONGEST_LABEL else data[:LONGEST_LABEL].decode(errors="ignore")


@lru_cache(maxsize=4096)
def _name(key: str) -> str:
    """Return a name that Loki takes."""
    name = _NOT_IN_NAMES.sub("_", key)
    return f"_{name}" if name[:1].isdigit() else name or "_"
