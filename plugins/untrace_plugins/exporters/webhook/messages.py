"""What is sent: ids, bodies and content types of events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from untrace_pipeline.api import PermanentError
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.core_trace.traces import trace_of
from untrace_plugins.exporters.webhook.config import Form, WebhookConfig
from untrace_plugins.rows.logs import LogRow, read_logs
from untrace_plugins.rows.source import hex_id
from untrace_plugins.rows.spans import read_spans
from untrace_plugins.rows.times import iso_time
from untrace_plugins.shaping.expressions import View, compile_structure

__all__ = ["Message", "Write", "writer"]

JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json"
_PLURAL = {Signal.TRACES: "traces", Signal.LOGS: "logs"}


@dataclass(frozen=True, slots=True)
class Message:
    """One request."""

    id: str
    """The same for the same items, whenever and by whichever process they are sent."""
    body: bytes
    content_type: str


Write = Callable[[Batch], Message]
"""Makes one message of a batch. Raises :class:`PermanentError` where a template has nothing to say."""


@dataclass(frozen=True, slots=True)
class _Item:
    key: bytes
    """What tells it from others."""
    time: int
    data: dict[str, Any]


def writer(config: WebhookConfig) -> Write:
    """Return what makes messages as the options say."""
    if config.form is Form.OTLP_JSON:
        return lambda batch: Message(_id(batch.to_otlp()), batch.to_json(), JSON)
    if config.form is Form.TEMPLATE:
        return _template(config)
    enclose = _cloud_event if config.form is Form.CLOUD_EVENTS else _event

    def write(batch: Batch) -> Message:
        items = _items(batch)
        id, time = _id(*[item.key for item in items]), max(item.time for item in items)  # noqa: A001
        return enclose(config, config.type_of(batch.signal), id, time, _data(config, batch.signal, items))

    return write


def _template(config: WebhookConfig) -> Write:
    made = compile_structure(config.template)

    def write(batch: Batch) -> Message:
        items = _items(batch)
        data = _data(config, batch.signal, items)
        body = made(View(data, data))
        if body is None:
            raise PermanentError("the template finds nothing in these items")
        return Message(_id(*[item.key for item in items]), _dump(body), JSON)

    return write


def _event(_config: WebhookConfig, type: str, id: str, time: int, data: Any) -> Message:
    return Message(id, _dump({"type": type, "timestamp": iso_time(time), "data": data}), JSON)


def _cloud_event(config: WebhookConfig, type: str, id: str, time: int, data: Any) -> Message:
    event = {
        "specversion": "1.0",
        "id": id,
        "source": config.source,
        "type": type,
        "time": iso_time(time),
        "datacontenttype": JSON,
        "data": data,
    }
    return Message(id, _dump(event), CLOUD_EVENT)


def _data(config: WebhookConfig, signal: Signal, items: Sequence[_Item]) -> dict[str, Any]:
    return items[0].data if config.one_per_item else {_PLURAL[signal]: [item.data for item in items]}


def _items(batch: Batch) -> list[_Item]:
    if batch.signal is Signal.TRACES:
        return [_Item(row.trace_id + row.span_id, row.end or row.start, trace_of(row)) for row in read_spans(batch)]
    return [_log(row) for row in read_logs(batch)]


def _log(row: LogRow) -> _Item:
    data = {
        "time": iso_time(row.moment),
        "eventName": row.event_name,
        "severity": row.severity_text,
        "severityNumber": row.severity_number,
        "body": row.body,
        "attributes": row.attributes,
        "resource": row.source.resource,
        "traceId": hex_id(row.trace_id),
        "spanId": hex_id(row.span_id),
    }
    told = {key: value for key, value in data.items() if value not in (None, "", 0, {})}
    return _Item(_dump(told), row.moment, told)


def _id(*keys: bytes) -> str:
    return f"msg_{hashlib.blake2b(b''.join(keys), digest_size=16).hexdigest()}"


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, default=_readable, option=orjson.OPT_NON_STR_KEYS)


def _readable(value: Any) -> Any:
    """Return bytes as text; ``Mapping`` as a dict."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
