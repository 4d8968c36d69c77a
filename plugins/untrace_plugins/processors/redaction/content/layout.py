"""Where texts stand in OTLP requests: the fields of the ``.proto`` files of opentelemetry-proto.

Left out is what identifies and holds no content: ids, schema URLs, names of scopes and metrics, units, severities,
names of log events, and the trace state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from untrace_pipeline.data import Signal

__all__ = ["REQUESTS", "Part", "What"]


class What(enum.Enum):
    """What a field holds."""

    MESSAGE = enum.auto()
    """A message with fields of its own."""
    ITEM = enum.auto()
    """A message that is one item: a span, a log record, a data point."""
    EVENT = enum.auto()
    """A message that is an event of a span."""
    ATTRIBUTE = enum.auto()
    """A ``KeyValue``."""
    VALUE = enum.auto()
    """An ``AnyValue``."""
    TEXT = enum.auto()
    """A string."""


class Part(NamedTuple):
    """A field that may hold texts."""

    what: What
    name: str = ""
    """Of a text or value: how policies and audits call it."""
    fields: Mapping[int, Part] = {}
    """Of a message: its fields by tag."""


def _tagged(parts: Mapping[int, Part]) -> dict[int, Part]:
    """Return fields by tag: all of them have a length, which is wire type 2."""
    return {number << 3 | 2: part for number, part in parts.items()}


def _message(parts: Mapping[int, Part], what: What = What.MESSAGE) -> Part:
    return Part(what, fields=_tagged(parts))


_ATTRIBUTE = Part(What.ATTRIBUTE)
_RESOURCE = _message({1: _ATTRIBUTE})
_SCOPE = _message({3: _ATTRIBUTE})
_EXEMPLAR = _message({7: _ATTRIBUTE})
_STATUS = _message({2: Part(What.TEXT, "status.message")})
_EVENT = _message({2: Part(What.TEXT, "event.name"), 3: _ATTRIBUTE}, What.EVENT)
_LINK = _message({4: _ATTRIBUTE})
_SPAN = _message({5: Part(What.TEXT, "name"), 9: _ATTRIBUTE, 11: _EVENT, 13: _LINK, 15: _STATUS}, What.ITEM)
_LOG_RECORD = _message({5: Part(What.VALUE, "body"), 6: _ATTRIBUTE}, What.ITEM)


def _points(attributes: int, exemplars: int | None) -> Part:
    """Return the data of a metric: a message whose field 1 is its points."""
    parts = {attributes: _ATTRIBUTE} | ({exemplars: _EXEMPLAR} if exemplars else {})
    return _message({1: _message(parts, What.ITEM)})


_METRIC = _message(
    {
        5: _points(7, 5),  # gauge
        7: _points(7, 5),  # sum
        9: _points(9, 8),  # histogram
        10: _points(1, 11),  # exponential histogram
        11: _points(7, None),  # summary
        12: _ATTRIBUTE,  # metadata
    }
)


def _request(item: Part) -> Mapping[int, Part]:
    return _tagged({1: _message({1: _RESOURCE, 2: _message({1: _SCOPE, 2: item})})})


REQUESTS: Mapping[Signal, Mapping[int, Part]] = {
    Signal.TRACES: _request(_SPAN),
    Signal.LOGS: _request(_LOG_RECORD),
    Signal.METRICS: _request(_METRIC),
}
"""Fields of an ``Export…ServiceRequest`` by tag."""
