"""Reading and writing the fixed fields of ``data/fields.py`` on protobuf messages.

The message of a row: ``ResourceSpans`` (or logs, metrics), ``ScopeSpans``, ``Metric``, the item, ``Event``, ``Link``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from untrace_pipeline.data.codecs.upb_schema import ID_SIZES
from untrace_pipeline.data.codecs.values import encode_value, read_value
from untrace_pipeline.data.fields import Field, Level, Value
from untrace_pipeline.data.signal import Signal

__all__ = ["FIELDS", "Accessor", "accessor"]


@dataclass(frozen=True, slots=True)
class Accessor:
    """How one field of a row's message is read and written; ``write`` gets ``None`` to remove."""

    read: Callable[[Any], Value]
    write: Callable[[Any, Value], None]


def accessor(signal: Signal, field: Field) -> Accessor:
    """Return the accessor of a fixed field. Raises ``KeyError`` where the signal does not have it at that level."""
    found = FIELDS.get((signal, field.level), {}).get(field.name)
    if found is None:
        msg = f"{signal} have no field {field}"
        raise KeyError(msg)
    return found


def _scalar(path: str) -> Accessor:
    """Return the accessor of a field without presence: it reads as its zero value, and removing sets that."""
    holder, _, name = path.rpartition(".")
    reach: Callable[[Any], Any] = attrgetter(holder) if holder else _itself

    def write(message: Any, value: Value) -> None:
        if value is None:
            reach(message).ClearField(name)
        else:
            setattr(reach(message), name, value)

    return Accessor(attrgetter(path), write)


def _itself(message: Any) -> Any:
    return message


def _id(name: str) -> Accessor:
    size = ID_SIZES[name]

    def write(message: Any, value: Value) -> None:
        if value is None:
            value = b""
        if not isinstance(value, bytes) or len(value) not in (0, size):
            msg = f"an id of {size} bytes is needed"
            raise ValueError(msg)
        setattr(message, name, value)

    return Accessor(attrgetter(name), write)


def _read_only(message: Any, value: Value) -> None:
    msg = "cannot be set"
    raise ValueError(msg)


def _read_body(record: Any) -> Value:
    return read_value(record.body)


def _write_body(record: Any, value: Value) -> None:
    record.ClearField("body")
    if value is not None:
        record.body.ParseFromString(encode_value(value))


def _read_duration(span: Any) -> Value:
    return span.end_time_unix_nano - span.start_time_unix_nano  # type: ignore[no-any-return]


def _read_type(metric: Any) -> Value:
    return metric.WhichOneof("data")  # type: ignore[no-any-return]


def _of_data(name: str) -> Accessor:
    """Return the accessor of a field that only some types of metrics have."""

    def read(metric: Any) -> Value:
        member = metric.WhichOneof("data")
        return getattr(getattr(metric, member), name, None) if member else None

    def write(metric: Any, value: Value) -> None:
        member = metric.WhichOneof("data")
        data = getattr(metric, member) if member else None
        _write_optional(data, name, value)

    return Accessor(read, write)


def _write_optional(message: Any, name: str, value: Value) -> None:
    """Write a field that messages of this kind may lack: fine as long as there is nothing to write."""
    if hasattr(message, name):
        if value is None:
            message.ClearField(name)
        else:
            setattr(message, name, value)
    elif value is not None:
        msg = "this kind of metric does not have it"
        raise ValueError(msg)


def _read_number(point: Any) -> Value:
    if not hasattr(point, "as_int"):
        return None
    member = point.WhichOneof("value")
    return getattr(point, member) if member else None


def _write_number(point: Any, value: Value) -> None:
    if value is None and hasattr(point, "as_int"):
        point.ClearField("value")
    else:
        _write_optional(point, "as_int" if isinstance(value, int) else "as_double", value)


def _read_count(point: Any) -> Value:
    return getattr(point, "count", None)


def _write_count(point: Any, value: Value) -> None:
    _write_optional(point, "count", value)


def _read_sum(point: Any) -> Value:
    if not hasattr(point, "sum"):
        return None
    if point.DESCRIPTOR.fields_by_name["sum"].has_presence and not point.HasField("sum"):
        return None
    return point.sum  # type: ignore[no-any-return]


def _write_sum(point: Any, value: Value) -> None:
    _write_optional(point, "sum", value)


def _scalars(*names: str) -> dict[str, Accessor]:
    return {name: _scalar(name) for name in names}


def _within(holder: str, *names: str) -> dict[str, Accessor]:
    return {name: _scalar(f"{holder}.{name}") for name in names}


_TRACE_ID, _SPAN_ID, _PARENT = _id("trace_id"), _id("span_id"), _id("parent_span_id")
_RESOURCE = {**_scalars("schema_url"), **_within("resource", "dropped_attributes_count")}
_SCOPE = {**_scalars("schema_url"), **_within("scope", "name", "version", "dropped_attributes_count")}

FIELDS: Mapping[tuple[Signal, Level], Mapping[str, Accessor]] = {
    **{(signal, Level.RESOURCE): _RESOURCE for signal in Signal},
    **{(signal, Level.SCOPE): _SCOPE for signal in Signal},
    (Signal.METRICS, Level.METRIC): {
        **_scalars("name", "description", "unit"),
        "type": Accessor(_read_type, _read_only),
        "aggregation_temporality": _of_data("aggregation_temporality"),
        "is_monotonic": _of_data("is_monotonic"),
    },
    (Signal.TRACES, Level.ITEM): {
        "trace_id": _TRACE_ID,
        "span_id": _SPAN_ID,
        "parent_span_id": _PARENT,
        "duration_nanos": Accessor(_read_duration, _read_only),
        **_scalars("trace_state", "flags", "name", "kind", "start_time_unix_nano", "end_time_unix_nano"),
        **_scalars("status.code", "status.message", "dropped_attributes_count"),
    },
    (Signal.LOGS, Level.ITEM): {
        "trace_id": _TRACE_ID,
        "span_id": _SPAN_ID,
        "body": Accessor(_read_body, _write_body),
        **_scalars("time_unix_nano", "observed_time_unix_nano", "severity_number", "severity_text", "flags"),
        **_scalars("event_name", "dropped_attributes_count"),
    },
    (Signal.METRICS, Level.ITEM): {
        **_scalars("time_unix_nano", "start_time_unix_nano", "flags"),
        "value": Accessor(_read_number, _write_number),
        "count": Accessor(_read_count, _write_count),
        "sum": Accessor(_read_sum, _write_sum),
    },
    (Signal.TRACES, Level.EVENT): _scalars("name", "time_unix_nano", "dropped_attributes_count"),
    (Signal.TRACES, Level.LINK): {
        "trace_id": _TRACE_ID,
        "span_id": _SPAN_ID,
        **_scalars("trace_state", "flags"),
    },
}
