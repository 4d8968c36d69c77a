"""Making OTLP requests of new spans and log records: for receivers of what is not OTLP.

A request is the bytes that a :class:`~untrace_pipeline.data.Batch` is made with; requests of one signal, joined, are
one request. Costs about 1 µs per attribute. Attributes without a value (``None``) are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeGuard

from untrace_pipeline.data.codecs.values import encode_attribute, encode_key, encode_value
from untrace_pipeline.data.codecs.wire import varint
from untrace_pipeline.data.fields import Value

__all__ = [
    "NewEvent",
    "NewLink",
    "NewLog",
    "NewSpan",
    "Scope",
    "compose_logs",
    "compose_span",
    "compose_spans",
    "join_spans",
]

# Tags of opentelemetry-proto 1.x, `trace.proto`, `logs.proto`, `common.proto`; two bytes from field 16 on.
_FIELD_1, _FIELD_2, _FIELD_3, _FIELD_4, _FIELD_5, _FIELD_6 = (bytes([number << 3 | 2]) for number in range(1, 7))
_SPAN_ATTRIBUTE, _SPAN_EVENT, _SPAN_LINK, _SPAN_STATUS = b"\x4a", b"\x5a", b"\x6a", b"\x7a"
_TIME, _SPAN_TIMES, _SPAN_FLAGS = struct.Struct("<BQ"), struct.Struct("<BQBQ"), struct.Struct("<HI")
_SPAN_START_TAG, _SPAN_END_TAG, _SPAN_FLAGS_TAG = 0x39, 0x41, 0x0185
_LOG_TRACE_ID, _LOG_SPAN_ID, _LOG_EVENT_NAME = b"\x4a", b"\x52", b"\x62"
_FIRST_TIME, _OBSERVED_TIME = 0x09, 0x59

_REPEATED_LENGTH = 48
_REPEATED_TYPES = frozenset({int, bool, float})

_key = lru_cache(maxsize=4096)(encode_key)


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation scope of what is new: who says it."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event of a span."""

    name: str
    time_unix_nano: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link of a span to another: ids of 16 and 8 bytes."""

    trace_id: bytes
    span_id: bytes
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewSpan:
    """A span: ids of 16 and 8 bytes, times in nanoseconds since 1970, ``kind`` and ``status_code`` as in OTLP."""

    trace_id: bytes
    span_id: bytes
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    kind: int = 1
    """1 internal, 2 server, 3 client, 4 producer, 5 consumer."""
    parent_span_id: bytes = b""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: Sequence[NewEvent] = ()
    links: Sequence[NewLink] = ()
    status_code: int = 0
    """0 unset, 1 ok, 2 error."""
    status_message: str = ""
    trace_state: str = ""
    flags: int = 0


@dataclass(frozen=True, slots=True)
class NewLog:
    """A log record: times in nanoseconds since 1970, 0 = unknown; ids of 16 and 8 bytes, or empty."""

    time_unix_nano: int
    body: Value
    attributes: Mapping[str, Value] = field(default_factory=dict)
    severity_number: int = 0
    severity_text: str = ""
    observed_time_unix_nano: int = 0
    trace_id: bytes = b""
    span_id: bytes = b""
    event_name: str = ""


def compose_spans(resource: Mapping[str, Value], scope: Scope, spans: Iterable[NewSpan]) -> bytes:
    """Return an ``ExportTraceServiceRequest`` of one resource and one scope.

    Raises ``ValueError`` for a value that OTLP has no form for, and for numbers out of range.
    """
    return _request(resource, scope, map(_span, spans))


def compose_span(span: NewSpan) -> bytes:
    """Return one span for :func:`join_spans`: where many at once would take too long. Raises as it does."""
    return _span(span)


def join_spans(resource: Mapping[str, Value], scope: Scope, spans: Iterable[bytes]) -> bytes:
    """Return what :func:`compose_spans` returns, of spans that :func:`compose_span` made."""
    return _request(resource, scope, spans)


def compose_logs(resource: Mapping[str, Value], scope: Scope, logs: Iterable[NewLog]) -> bytes:
    """Return an ``ExportLogsServiceRequest`` of one resource and one scope. Raises as :func:`compose_spans`."""
    return _request(resource, scope, map(_log, logs))


def _request(resource: Mapping[str, Value], scope: Scope, items: Iterable[bytes]) -> bytes:
    who = _text(_FIELD_1, scope.name) + _text(_FIELD_2, scope.version)
    scoped = _bytes(_FIELD_1, who) + b"".join([_message(_FIELD_2, item) for item in items])
    whose = _message(_FIELD_1, b"".join(_attributes(_FIELD_1, resource)))
    return _message(_FIELD_1, whose + _message(_FIELD_2, scoped))


def _span(span: NewSpan) -> bytes:
    fields = [
        _bytes(_FIELD_1, span.trace_id),
        _bytes(_FIELD_2, span.span_id),
        _text(_FIELD_3, span.trace_state),
        _bytes(_FIELD_4, span.parent_span_id),
        _text(_FIELD_5, span.name),
        b"\x30" + varint(span.kind),
        _packed(_SPAN_TIMES, _SPAN_START_TAG, span.start_time_unix_nano, _SPAN_END_TAG, span.end_time_unix_nano),
        *_attributes(_SPAN_ATTRIBUTE, span.attributes),
        *[_message(_SPAN_EVENT, _event(event)) for event in span.events],
        *[_message(_SPAN_LINK, _link(link)) for link in span.links],
    ]
    if span.status_code or span.status_message:
        fields.append(_message(_SPAN_STATUS, _text(_FIELD_2, span.status_message) + b"\x18" + varint(span.status_code)))
    if span.flags:
        fields.append(_packed(_SPAN_FLAGS, _SPAN_FLAGS_TAG, span.flags))
    return b"".join(fields)


def _event(event: NewEvent) -> bytes:
    when = _packed_time(_FIRST_TIME, event.time_unix_nano)
    return b"".join([when, _text(_FIELD_2, event.name), *_attributes(_FIELD_3, event.attributes)])


def _link(link: NewLink) -> bytes:
    ids = [_bytes(_FIELD_1, link.trace_id), _bytes(_FIELD_2, link.span_id)]
    return b"".join([*ids, *_attributes(_FIELD_4, link.attributes)])


def _log(log: NewLog) -> bytes:
    fields = [
        _packed_time(_FIRST_TIME, log.time_unix_nano),
        b"\x10" + varint(log.severity_number) if log.severity_number else b"",
        _text(_FIELD_3, log.severity_text),
        _message(_FIELD_5, encode_value(log.body)) if log.body is not None else b"",
        *_attributes(_FIELD_6, log.attributes),
        _bytes(_LOG_TRACE_ID, log.trace_id),
        _bytes(_LOG_SPAN_ID, log.span_id),
        _packed_time(_OBSERVED_TIME, log.observed_time_unix_nano),
        _text(_LOG_EVENT_NAME, log.event_name),
    ]
    return b"".join(fields)


def _attributes(tag: bytes, attributes: Mapping[str, Value]) -> list[bytes]:
    return [
        _repeated(tag, name, value) if _may_repeat(value) else encode_attribute(tag, _key(name), value)
        for name, value in attributes.items()
        if value is not None
    ]


def _may_repeat(value: Value) -> TypeGuard[str | int | float]:
    """Whether many spans are likely to have this value: names of models, providers and hosts, small numbers."""
    return (type(value) is str and len(value) <= _REPEATED_LENGTH) or type(value) in _REPEATED_TYPES


@lru_cache(maxsize=4096, typed=True)
def _repeated(tag: bytes, name: str, value: Value) -> bytes:
    return encode_attribute(tag, _key(name), value)


def _message(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def _bytes(tag: bytes, value: bytes) -> bytes:
    return _message(tag, value) if value else b""


def _text(tag: bytes, text: str) -> bytes:
    return _message(tag, text.encode("utf-8", "replace")) if text else b""


def _packed_time(tag: int, nanoseconds: int) -> bytes:
    return _packed(_TIME, tag, nanoseconds) if nanoseconds else b""


def _packed(form: struct.Struct, *values: int) -> bytes:
    try:
        return form.pack(*values)
    except struct.error as error:
        msg = f"a time or flags out of range: {values[1::2]}"
        raise ValueError(msg) from error
