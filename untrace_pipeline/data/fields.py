"""Fields: parsed paths to a value of an item, its ancestors or its children.

The rows of a request form levels. A resource has scopes, a scope has items; for metrics a scope has metrics and a
metric has data points, which are the items; a span has events and links.

=========  =======================  ============================================================================
level      signals                  names (besides ``attributes`` and ``attributes["key"]``)
=========  =======================  ============================================================================
RESOURCE   all                      ``schema_url``, ``dropped_attributes_count``
SCOPE      all                      ``name``, ``version``, ``schema_url``, ``dropped_attributes_count``
METRIC     metrics                  ``name``, ``description``, ``unit``, ``type``, ``aggregation_temporality``,
                                    ``is_monotonic`` (``metadata`` is its attribute map)
ITEM       traces                   ``trace_id``, ``span_id``, ``parent_span_id``, ``trace_state``, ``flags``,
                                    ``name``, ``kind``, ``start_time_unix_nano``, ``end_time_unix_nano``,
                                    ``duration_nanos``, ``status.code``, ``status.message``,
                                    ``dropped_attributes_count``
ITEM       logs                     ``time_unix_nano``, ``observed_time_unix_nano``, ``severity_number``,
                                    ``severity_text``, ``body``, ``trace_id``, ``span_id``, ``flags``,
                                    ``event_name``, ``dropped_attributes_count``
ITEM       metrics                  ``time_unix_nano``, ``start_time_unix_nano``, ``value`` (number points),
                                    ``count``, ``sum`` (histogram and summary points), ``flags``
EVENT      traces                   ``name``, ``time_unix_nano``, ``dropped_attributes_count``
LINK       traces                   ``trace_id``, ``span_id``, ``trace_state``, ``flags``
=========  =======================  ============================================================================

Values are Python's own: ``str, int, float, bool, bytes, list, dict`` and ``None`` for absent. Ids are ``bytes``; kinds,
status codes and severities are the integers of the protocol; times are integer nanoseconds since the Unix epoch;
``type`` is ``"gauge"``, ``"sum"``, ``"histogram"``, ``"exponential_histogram"`` or ``"summary"``.

Most fixed fields cannot be absent in the protocol: they read as ``""``, ``b""`` or ``0``, and removing them sets that.
``None`` where there is none: ``body``, ``value``, ``count``, ``sum``, ``type``, ``aggregation_temporality`` and
``is_monotonic``. An attribute whose value is empty reads as ``None`` too, but stays a key of the whole map.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

__all__ = ["ATTRIBUTES", "READ_ONLY", "ZERO_VALUES", "Field", "Level", "Value", "attribute"]

Value: TypeAlias = Union[str, int, float, bool, bytes, "list[Value]", "dict[str, Value]", None]

ATTRIBUTES = "attributes"

READ_ONLY = frozenset({"duration_nanos", "type"})
"""Fixed fields that follow from others and cannot be set."""

ZERO_VALUES: Mapping[str, Value] = {
    **dict.fromkeys(("schema_url", "name", "version", "description", "unit", "trace_state", "event_name"), ""),
    **dict.fromkeys(("severity_text", "status.message"), ""),
    **dict.fromkeys(("trace_id", "span_id", "parent_span_id"), b""),
    **dict.fromkeys(("dropped_attributes_count", "flags", "kind", "severity_number", "status.code"), 0),
    **dict.fromkeys(("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano", "observed_time_unix_nano"), 0),
}
"""What fixed fields that cannot be absent read as when nothing was sent; removing them sets it."""


class Level(enum.IntEnum):
    """Rows that a field can belong to, from the outside in."""

    RESOURCE = 0
    SCOPE = 1
    METRIC = 2
    ITEM = 3
    EVENT = 4
    LINK = 5


@dataclass(frozen=True, slots=True)
class Field:
    """One value per row of ``level``: a fixed field (``name``), one attribute (``attributes`` + ``key``), or all.

    ``Field(Level.ITEM, "attributes")`` without a key is the whole attribute map, a ``dict`` per row in wire order.
    """

    level: Level
    name: str
    key: str | None = None

    def __str__(self) -> str:
        path = self.name if self.key is None else f'{self.name}["{self.key}"]'
        return f"{self.level.name.lower()}.{path}"


def attribute(key: str, level: Level = Level.ITEM) -> Field:
    """Return the field of one attribute, on the item unless another level is named."""
    return Field(level, ATTRIBUTES, key)
