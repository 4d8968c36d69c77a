"""Spans and log records as rows of Parquet: what LLM calls have in columns of their own, the rest in maps.

Nothing is lost but the types in the maps: an attribute that is not in a column is in ``attributes``, texts as they are
and everything else as JSON. A value that its column cannot hold, tokens that are a text, stays there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_plugins.genai import names

__all__ = ["LOGS", "SPANS", "ParquetWriter"]

TIME = pa.timestamp("ns", tz="UTC")
TEXTS = pa.list_(pa.string())
MAP = pa.map_(pa.string(), pa.string())
EVENTS = pa.list_(pa.struct([("time", TIME), ("name", pa.string()), ("attributes", MAP)]))
LINKS = pa.list_(
    pa.struct([("trace_id", pa.string()), ("span_id", pa.string()), ("trace_state", pa.string()), ("attributes", MAP)])
)

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS = ("UNSET", "OK", "ERROR")
_LARGEST = 2**63 - 1
"""Of a column; a time beyond it is no time."""

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that one field fills."""

    name: str
    type: pa.DataType
    field: Field
    convert: Convert


def _hex(value: bytes) -> str | None:
    return value.hex() if value else None


def _time(value: int) -> int | None:
    return value if 0 < value <= _LARGEST else None


def _number(value: int) -> int | None:
    return min(max(value, -_LARGEST), _LARGEST)


def _text(value: str) -> str | None:
    return value or None


def _words(words: Sequence[str]) -> Convert:
    return lambda value: words[value] if 0 <= value < len(words) else str(value)


def _readable(value: Value) -> str | None:
    """Return any value as a text: JSON, unless it is one."""
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else orjson.dumps(value, default=_hex).decode()


def _item(name: str, kind: pa.DataType, field: str, convert: Convert) -> Column:
    return Column(name, kind, Field(Level.ITEM, field), convert)


_WHERE = (
    Column("scope_name", pa.string(), Field(Level.SCOPE, "name"), _text),
    Column("scope_version", pa.string(), Field(Level.SCOPE, "version"), _text),
)
_IDS = (_item("trace_id", pa.string(), "trace_id", _hex), _item("span_id", pa.string(), "span_id", _hex))

SPANS = (
    *_IDS,
    _item("parent_span_id", pa.string(), "parent_span_id", _hex),
    _item("trace_state", pa.string(), "trace_state", _text),
    _item("flags", pa.int64(), "flags", _number),
    _item("name", pa.string(), "name", str),
    _item("kind", pa.string(), "kind", _words(_KINDS)),
    _item("start_time", TIME, "start_time_unix_nano", _time),
    _item("end_time", TIME, "end_time_unix_nano", _time),
    _item("duration_nanos", pa.int64(), "duration_nanos", _number),
    _item("status_code", pa.string(), "status.code", _words(_STATUS)),
    _item("status_message", pa.string(), "status.message", _text),
    *_WHERE,
)
LOGS = (
    _item("time", TIME, "time_unix_nano", _time),
    _item("observed_time", TIME, "observed_time_unix_nano", _time),
    _item("severity_number", pa.int64(), "severity_number", _number),
    _item("severity_text", pa.string(), "severity_text", _text),
    _item("event_name", pa.string(), "event_name", _text),
    _item("body", pa.string(), "body", _readable),
    *_IDS,
    _item("flags", pa.int64(), "flags", _number),
    *_WHERE,
)
_FIXED = {Signal.TRACES: SPANS, Signal.LOGS: LOGS}

_INT, _FLOAT, _STR = pa.int64(), pa.float64(), pa.string()
PROMOTED: Mapping[str, tuple[str, pa.DataType]] = {
    names.OPERATION: ("operation", _STR),
    names.SPAN_KIND: ("span_kind", _STR),
    names.PROVIDER: ("provider", _STR),
    names.REQUEST_MODEL: ("request_model", _STR),
    names.RESPONSE_MODEL: ("response_model", _STR),
    names.RESPONSE_ID: ("response_id", _STR),
    names.RESPONSE_FINISH_REASONS: ("finish_reasons", TEXTS),
    names.RESPONSE_TIME_TO_FIRST_CHUNK: ("time_to_first_chunk_seconds", _FLOAT),
    names.REQUEST_TEMPERATURE: ("temperature", _FLOAT),
    names.REQUEST_TOP_P: ("top_p", _FLOAT),
    names.REQUEST_MAX_TOKENS: ("max_tokens", _INT),
    names.USAGE_INPUT: ("input_tokens", _INT),
    names.USAGE_OUTPUT: ("output_tokens", _INT),
    names.USAGE_CACHE_READ: ("cache_read_tokens", _INT),
    names.USAGE_CACHE_CREATION: ("cache_creation_tokens", _INT),
    names.USAGE_REASONING: ("reasoning_tokens", _INT),
    names.COST_INPUT: ("cost_input", _FLOAT),
    names.COST_OUTPUT: ("cost_output", _FLOAT),
    names.COST_TOTAL: ("cost_total", _FLOAT),
    names.INPUT_MESSAGES: ("input_messages", _STR),
    names.OUTPUT_MESSAGES: ("output_messages", _STR),
    names.SYSTEM_INSTRUCTIONS: ("system_instructions", _STR),
    names.TOOL_DEFINITIONS: ("tool_definitions", _STR),
    names.TOOL_NAME: ("tool_name", _STR),
    names.TOOL_CALL_ID: ("tool_call_id", _STR),
    names.TOOL_CALL_ARGUMENTS: ("tool_call_arguments", _STR),
    names.TOOL_CALL_RESULT: ("tool_call_result", _STR),
    names.INPUT: ("input", _STR),
    names.OUTPUT: ("output", _STR),
    names.CONVERSATION_ID: ("conversation_id", _STR),
    names.SESSION_ID: ("session_id", _STR),
    names.USER_ID: ("user_id", _STR),
    names.AGENT_NAME: ("agent_name", _STR),
    names.TAGS: ("tags", TEXTS),
    names.METADATA: ("metadata", _STR),
    names.ERROR_TYPE: ("error_type", _STR),
}
"""Attributes of items that have a column, by name."""
SERVICE = ("service.name", "service_name")


def _fits(value: Value, kind: pa.DataType) -> bool:
    if kind == _STR:
        return isinstance(value, str)
    if kind == TEXTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind == _FLOAT and isinstance(value, float))


class ParquetWriter:
    """Makes a file of a batch, with one row group; the same batch makes the same file."""

    def __init__(self, codec: str, level: int | None) -> None:
        self._codec = codec
        self._level = level

    def __call__(self, batch: Batch) -> bytes:
        """Return the file. Raises :class:`DecodeError` for what is no OTLP."""
        sink = pa.BufferOutputStream()
        pq.write_table(_table(batch), sink, compression=self._codec, compression_level=self._level)
        return bytes(sink.getvalue())


def _table(batch: Batch) -> pa.Table:
    fixed = _FIXED[batch.signal]
    read = batch.columns([column.field for column in fixed], Level.ITEM)
    arrays = {
        column.name: pa.array([None if value is None else column.convert(value) for value in values], column.type)
        for column, values in zip(fixed, read, strict=True)
    }
    resources = _maps(batch.column(Field(Level.RESOURCE, ATTRIBUTES), Level.ITEM))
    service, column = SERVICE
    arrays[column] = pa.array([one.get(service) if isinstance(one.get(service), str) else None for one in resources])
    items = _maps(batch.column(Field(Level.ITEM, ATTRIBUTES)))
    taken = {key: pa.array(*_taken(items, key, kind)) for key, (_, kind) in PROMOTED.items()}
    arrays |= {PROMOTED[key][0]: array for key, array in taken.items()}
    arrays["attributes"] = pa.array([_rest(attributes) for attributes in items], MAP)
    arrays["scope_attributes"] = _map_array(_maps(batch.column(Field(Level.SCOPE, ATTRIBUTES), Level.ITEM)))
    arrays["resource_attributes"] = _map_array(resources)
    if batch.signal is Signal.TRACES:
        arrays["events"] = pa.array(_below(batch, Level.EVENT, _event), EVENTS)
        arrays["links"] = pa.array(_below(batch, Level.LINK, _link), LINKS)
    return pa.table(arrays)


def _maps(column: Iterable[Value]) -> list[dict[str, Value]]:
    return [value if isinstance(value, dict) else {} for value in column]


def _taken(items: Sequence[Mapping[str, Value]], key: str, kind: pa.DataType) -> tuple[list[Value], pa.DataType]:
    values = (attributes.get(key) for attributes in items)
    return [value if _fits(value, kind) else None for value in values], kind


def _rest(attributes: Mapping[str, Value]) -> list[tuple[str, str | None]]:
    """Return what has no column, or does not fit into it."""
    return [
        (key, _readable(value))
        for key, value in attributes.items()
        if key not in PROMOTED or not _fits(value, PROMOTED[key][1])
    ]


def _map_array(maps: Iterable[Mapping[str, Value]]) -> pa.Array:
    return pa.array([_pairs(one) for one in maps], MAP)


def _pairs(attributes: Value | Mapping[str, Value]) -> list[tuple[str, str | None]]:
    return [(key, _readable(value)) for key, value in attributes.items()] if isinstance(attributes, Mapping) else []


def _below(batch: Batch, level: Level, make: Callable[..., dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows of a level below the items, for each item."""
    rows: list[list[dict[str, Any]]] = [[] for _ in range(batch.item_count)]
    fields = _EVENT_FIELDS if level is Level.EVENT else _LINK_FIELDS
    columns = batch.columns([Field(level, name) for name in fields], level)
    for parent, *values in zip(batch.parents(level, Level.ITEM), *columns, strict=True):
        rows[parent].append(make(*values))
    return rows


_EVENT_FIELDS = ("time_unix_nano", "name", ATTRIBUTES)
_LINK_FIELDS = ("trace_id", "span_id", "trace_state", ATTRIBUTES)


def _event(time: int, name: str, attributes: Value) -> dict[str, Any]:
    return {"time": _time(time), "name": name, "attributes": _pairs(attributes)}


def _link(trace_id: bytes, span_id: bytes, trace_state: str, attributes: Value) -> dict[str, Any]:
    return {
        "trace_id": trace_id.hex(),
        "span_id": span_id.hex(),
        "trace_state": trace_state,
        "attributes": _pairs(attributes),
    }
