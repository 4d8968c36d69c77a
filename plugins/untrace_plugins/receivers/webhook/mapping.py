"""Events as spans and log records."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from untrace_pipeline.data.compose import NewEvent, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_pipeline.data.fields import Value
from untrace_plugins.core_trace.checking import InvalidError
from untrace_plugins.core_trace.ids import span_id, trace_id
from untrace_plugins.core_trace.model import read_trace
from untrace_plugins.core_trace.spans import Origin, resource_of, span_of, trace_ids
from untrace_plugins.receivers.webhook.config import LogMapping, SourceConfig, SpanMapping
from untrace_plugins.runs.times import nanoseconds
from untrace_plugins.shaping.expressions import Evaluate, View, compile_expression, compile_structure, text_of

__all__ = ["Compose", "compile_mapping"]

Compose = Callable[[Sequence[View], int], bytes]
"""Makes one request of events that came now, in nanoseconds. Raises :class:`InvalidError` where one makes no sense."""

_SCOPE = Scope("untrace-pipeline/webhook", version("untrace-pipeline"))
_ERROR = 2
_INT64 = 1 << 63
_SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "warning": 13, "error": 17, "fatal": 21, "critical": 21}


def compile_mapping(name: str, config: SourceConfig) -> Compose:
    """Return what makes requests of a source's events."""
    if config.log is not None:
        return _logs(name, config.log)
    return _spans(name, config.span) if config.span is not None else _traces(name, config.trace)


def _logs(name: str, mapping: LogMapping) -> Compose:
    fields = _compiled(mapping)
    attributes, resource = _all_compiled(mapping.attributes), _all_compiled(mapping.resource)

    def one(view: View, now: int) -> NewLog:
        severity = text_of(fields["severity"](view))
        return NewLog(
            time_unix_nano=_time(fields, "time", view) or now,
            observed_time_unix_nano=now,
            body=_value(fields["body"](view)),
            attributes=_values(attributes, view),
            severity_number=_SEVERITIES.get(severity.lower(), 0),
            severity_text=severity,
            event_name=text_of(fields["event_name"](view)),
            trace_id=_id(trace_id, fields["trace_id"](view)),
            span_id=_id(span_id, fields["span_id"](view)),
        )

    def compose(views: Sequence[View], now: int) -> bytes:
        return compose_logs(_resource(name, resource, views), _SCOPE, [one(view, now) for view in views])

    return compose


def _spans(name: str, mapping: SpanMapping) -> Compose:
    fields = _compiled(mapping)
    attributes, resource = _all_compiled(mapping.attributes), _all_compiled(mapping.resource)

    def one(view: View, now: int) -> NewSpan:
        own = text_of(fields["span_id"](view)) or os.urandom(8).hex()
        parent = text_of(fields["parent_id"](view))
        start, end = _interval(fields, view, now)
        error = text_of(fields["error"](view))
        return NewSpan(
            trace_id=trace_id(text_of(fields["trace_id"](view)) or parent or own),
            span_id=span_id(own),
            parent_span_id=_id(span_id, parent),
            name=text_of(fields["name"](view)) or name,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            attributes=_values(attributes, view),
            events=[NewEvent("exception", end, {"exception.message": error})] if error else (),
            status_code=_ERROR if error else 0,
            status_message=error,
        )

    def compose(views: Sequence[View], now: int) -> bytes:
        return compose_spans(_resource(name, resource, views), _SCOPE, [one(view, now) for view in views])

    return compose


def _traces(name: str, structure: Any) -> Compose:
    made = compile_structure(structure)

    def compose(views: Sequence[View], now: int) -> bytes:
        traces = [read_trace(made(view), f"events[{place}]") for place, view in enumerate(views)]
        roots = trace_ids(traces)
        requests = []
        for trace in traces:
            origin = Origin(os.urandom(16).hex(), now, {})
            resource = {"service.name": name, **resource_of(trace, origin)}
            requests.append(compose_spans(resource, _SCOPE, [span_of(trace, origin, roots)]))
        return b"".join(requests)

    return compose


def _compiled(mapping: LogMapping | SpanMapping) -> dict[str, Evaluate]:
    fields = {field: value for field, value in mapping if isinstance(value, str)}
    return {field: compile_expression(text) if text else _absent for field, text in fields.items()}


def _all_compiled(texts: Mapping[str, str]) -> dict[str, Evaluate]:
    return {key: compile_expression(text) for key, text in texts.items()}


def _absent(_view: View) -> None:
    return None


def _resource(name: str, resource: Mapping[str, Evaluate], views: Sequence[View]) -> dict[str, Value]:
    """Return the resource of a request, which its first event speaks for."""
    return {"service.name": name, **(_values(resource, views[0]) if views else {})}


def _values(expressions: Mapping[str, Evaluate], view: View) -> dict[str, Value]:
    found = {key: _attribute(read(view)) for key, read in expressions.items()}
    return {key: value for key, value in found.items() if value is not None}


def _attribute(value: Any) -> Value:
    """Return what an attribute can hold: scalars and lists of strings as they are, anything else as JSON."""
    if isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
        return text_of(value)
    return _value(value)


def _value(value: Any) -> Value:
    """Return a value with the integers that have no room in 64 bits as text."""
    if isinstance(value, dict):
        return {str(key): _value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return str(value)
    return value  # type: ignore[no-any-return]


def _id(make: Callable[[str], bytes], value: Any) -> bytes:
    text = text_of(value)
    return make(text) if text else b""


def _time(fields: Mapping[str, Evaluate], field: str, view: View) -> int | None:
    value = fields[field](view)
    if value is None or value == "":
        return None
    found = nanoseconds(value)
    if found is None:
        raise InvalidError.of(field, "a time: ISO 8601, or seconds or milliseconds since 1970")
    return found


def _interval(fields: Mapping[str, Evaluate], view: View, now: int) -> tuple[int, int]:
    start, end = _time(fields, "start_time", view), _time(fields, "end_time", view)
    duration = fields["duration_ms"](view)
    length = int(duration * 1e6) if isinstance(duration, int | float) and 0 <= duration < 1e12 else 0  # noqa: PLR2004
    if start is None:
        end = now if end is None else end
        return max(0, end - length), end
    return start, start + length if end is None else max(start, end)
