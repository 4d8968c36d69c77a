"""The names of conditions: contexts, paths and constants, as OTTL and the data model know them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from untrace_pipeline.conditions.expression import Kind
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Level, Signal, Value

__all__ = ["CONTEXTS", "ENUMERATORS", "PATHS", "Leaf", "context_levels", "own_context", "suggestion"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A path that can be read: the fixed field, the zero value that stands for absent, and what is made of it."""

    field: str
    default: Value = None
    kind: Kind = Kind.VALUE
    convert: Callable[[Any], Value] | None = None


CONTEXTS: dict[str, tuple[Level, Signal | None]] = {
    "resource": (Level.RESOURCE, None),
    "scope": (Level.SCOPE, None),
    "instrumentation_scope": (Level.SCOPE, None),
    "metric": (Level.METRIC, Signal.METRICS),
    "span": (Level.ITEM, Signal.TRACES),
    "log": (Level.ITEM, Signal.LOGS),
    "datapoint": (Level.ITEM, Signal.METRICS),
    "spanevent": (Level.EVENT, Signal.TRACES),
    "spanlink": (Level.LINK, Signal.TRACES),
}
"""Level and signal (``None`` = all) of each context. ``spanlink`` is ours."""

_OWN = {
    (Level.ITEM, Signal.TRACES): "span",
    (Level.ITEM, Signal.LOGS): "log",
    (Level.ITEM, Signal.METRICS): "datapoint",
    (Level.METRIC, Signal.METRICS): "metric",
    (Level.EVENT, Signal.TRACES): "spanevent",
    (Level.LINK, Signal.TRACES): "spanlink",
}


def own_context(signal: Signal, level: Level) -> str:
    """Return the context whose name may be left out at a level. Raises ``ValueError`` if the signal lacks the level."""
    if level <= Level.SCOPE:
        return "resource" if level is Level.RESOURCE else "scope"
    try:
        return _OWN[level, signal]
    except KeyError:
        msg = f"{signal} have no {level.name.lower()} level"
        raise ValueError(msg) from None


def context_levels(signal: Signal, level: Level) -> dict[str, Level]:
    """Return the contexts that can be read at a level: its own and those around it."""
    return {
        name: outer
        for name, (outer, only) in CONTEXTS.items()
        if only in {None, signal} and (outer is level or (outer < level and outer <= Level.ITEM))
    }


_TRACE_ID = bytes(16)
_SPAN_ID = bytes(8)
_METRIC_TYPES: dict[Value, int] = {
    None: 0,
    "gauge": 1,
    "sum": 2,
    "histogram": 3,
    "exponential_histogram": 4,
    "summary": 5,
}


def _kind_name(value: int) -> str:
    return _KINDS[value] if 0 <= value < len(_KINDS) else ""


def _kind_symbol(value: int) -> str:
    return f"SPAN_KIND_{_KINDS[value].upper()}" if 0 <= value < len(_KINDS) else ""


def _number(type_: type, other: type, zero: float) -> Callable[[Any], Any]:
    """Return what a point's value is as one type: a value of the other type counts as zero, as in the Collector."""
    return lambda value: value if type(value) is type_ else zero if type(value) is other else None


_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_IDS = {
    "trace_id": Leaf("trace_id", _TRACE_ID, Kind.ID),
    "trace_id.string": Leaf("trace_id", _TRACE_ID, convert=bytes.hex),
    "span_id": Leaf("span_id", _SPAN_ID, Kind.ID),
    "span_id.string": Leaf("span_id", _SPAN_ID, convert=bytes.hex),
}
_DROPPED = {"dropped_attributes_count": Leaf("dropped_attributes_count", 0)}


def _time(name: str) -> dict[str, Leaf]:
    return {
        f"{name}_unix_nano": Leaf(f"{name}_unix_nano", 0),
        name: Leaf(f"{name}_unix_nano", 0, Kind.TIME),
    }


PATHS: dict[str, dict[str, Leaf]] = {
    "resource": {"schema_url": Leaf("schema_url", ""), **_DROPPED},
    "scope": {
        "name": Leaf("name", ""),
        "version": Leaf("version", ""),
        "schema_url": Leaf("schema_url", ""),
        **_DROPPED,
    },
    "metric": {
        "name": Leaf("name", ""),
        "description": Leaf("description", ""),
        "unit": Leaf("unit", ""),
        "type": Leaf("type", convert=_METRIC_TYPES.get),
        "aggregation_temporality": Leaf("aggregation_temporality"),
        "is_monotonic": Leaf("is_monotonic"),
    },
    "span": {
        **_IDS,
        "parent_span_id": Leaf("parent_span_id", _SPAN_ID, Kind.ID),
        "parent_span_id.string": Leaf("parent_span_id", _SPAN_ID, convert=bytes.hex),
        "trace_state": Leaf("trace_state", ""),
        "name": Leaf("name", ""),
        "kind": Leaf("kind", 0),
        "kind.string": Leaf("kind", 0, convert=_kind_name),
        "kind.deprecated_string": Leaf("kind", 0, convert=_kind_symbol),
        **_time("start_time"),
        **_time("end_time"),
        "duration_nanos": Leaf("duration_nanos", 0),
        "status.code": Leaf("status.code", 0),
        "status.message": Leaf("status.message", ""),
        "flags": Leaf("flags", 0),
        **_DROPPED,
    },
    "log": {
        **_IDS,
        **_time("time"),
        **_time("observed_time"),
        "severity_number": Leaf("severity_number", 0),
        "severity_text": Leaf("severity_text", ""),
        "body": Leaf("body"),
        "body.string": Leaf("body", convert=as_string),
        "flags": Leaf("flags", 0),
        "event_name": Leaf("event_name", ""),
        **_DROPPED,
    },
    "datapoint": {
        **_time("start_time"),
        **_time("time"),
        "value": Leaf("value"),
        "value_double": Leaf("value", convert=_number(float, int, 0.0)),
        "value_int": Leaf("value", convert=_number(int, float, 0)),
        "count": Leaf("count"),
        "sum": Leaf("sum"),
        "flags": Leaf("flags", 0),
    },
    "spanevent": {"name": Leaf("name", ""), **_time("time"), **_DROPPED},
    "spanlink": {**_IDS, "trace_state": Leaf("trace_state", ""), "flags": Leaf("flags", 0)},
}
"""Readable paths by context, besides ``attributes`` and (of a metric) ``metadata``. ``value``, ``duration_nanos`` and
``spanlink`` are ours."""
PATHS["instrumentation_scope"] = PATHS["scope"]

_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")

ENUMERATORS: dict[str, int] = {
    **{f"SPAN_KIND_{name.upper()}": number for number, name in enumerate(_KINDS)},
    **{f"STATUS_CODE_{name}": number for number, name in enumerate(("UNSET", "OK", "ERROR"))},
    "SEVERITY_NUMBER_UNSPECIFIED": 0,
    **{
        f"SEVERITY_NUMBER_{name}{step + 1 if step else ''}": 1 + 4 * place + step
        for place, name in enumerate(_SEVERITIES)
        for step in range(4)
    },
    **{
        f"METRIC_DATA_TYPE_{name}": number
        for number, name in enumerate(("NONE", "GAUGE", "SUM", "HISTOGRAM", "EXPONENTIAL_HISTOGRAM", "SUMMARY"))
    },
    **{f"AGGREGATION_TEMPORALITY_{name}": number for number, name in enumerate(("UNSPECIFIED", "DELTA", "CUMULATIVE"))},
    "FLAG_NONE": 0,
    "FLAG_NO_RECORDED_VALUE": 1,
}
"""The constants of OTTL."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` for the known name that looks most alike, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
