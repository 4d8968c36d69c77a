"""Spans as rows, with their events and links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level
from untrace_plugins.rows.source import Attributes, Source, read_sources

__all__ = ["KINDS", "STATUSES", "EventRow", "LinkRow", "SpanRow", "read_spans"]

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
"""Words of the Collector for ``kind``."""
STATUSES = ("Unset", "Ok", "Error")
"""Words of the Collector for ``status_code``."""

_SPAN = [
    Field(Level.ITEM, name)
    for name in (
        "trace_id",
        "span_id",
        "parent_span_id",
        "trace_state",
        "name",
        "kind",
        "start_time_unix_nano",
        "end_time_unix_nano",
        "status.code",
        "status.message",
        "flags",
        ATTRIBUTES,
        "dropped_attributes_count",
    )
]
_EVENT = [Field(Level.EVENT, name) for name in ("name", "time_unix_nano", ATTRIBUTES, "dropped_attributes_count")]
_LINK = [Field(Level.LINK, name) for name in ("trace_id", "span_id", "trace_state", "flags", ATTRIBUTES)]


class EventRow(NamedTuple):
    """An event of a span."""

    name: str
    time: int
    """Nanoseconds since the Unix epoch."""
    attributes: Attributes
    dropped: int


class LinkRow(NamedTuple):
    """A link of a span."""

    trace_id: bytes
    span_id: bytes
    trace_state: str
    flags: int
    attributes: Attributes


class SpanRow(NamedTuple):
    """A span; times in nanoseconds since the Unix epoch."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: str
    name: str
    kind: int
    start: int
    end: int
    status_code: int
    status_message: str
    flags: int
    attributes: Attributes
    dropped: int
    source: Source
    events: Sequence[EventRow]
    links: Sequence[LinkRow]

    @property
    def kind_name(self) -> str:
        """The kind as a word: ``Client``."""
        return KINDS[self.kind] if 0 <= self.kind < len(KINDS) else ""

    @property
    def status(self) -> str:
        """The status as a word: ``Error``."""
        return STATUSES[self.status_code] if 0 <= self.status_code < len(STATUSES) else ""

    @property
    def duration(self) -> int:
        """Nanoseconds; 0 for a span that ends before it begins."""
        return max(0, self.end - self.start)


def read_spans(batch: Batch) -> list[SpanRow]:
    """Return one row per span, in order."""
    columns: list[list[Any]] = batch.columns(_SPAN, Level.ITEM)
    events = _below(batch, Level.EVENT, _EVENT, EventRow)
    links = _below(batch, Level.LINK, _LINK, LinkRow)
    return list(map(SpanRow._make, zip(*columns, read_sources(batch), events, links, strict=True)))


def _below(batch: Batch, level: Level, fields: list[Field], row: type[Any]) -> Sequence[Sequence[Any]]:
    """Return the rows of a level below the items, for each item."""
    items = batch.row_count(Level.ITEM)
    if not batch.row_count(level):
        return ((),) * items
    found: list[list[Any]] = [[] for _ in range(items)]
    for item, values in zip(
        batch.parents(level, Level.ITEM), zip(*batch.columns(fields, level), strict=True), strict=True
    ):
        found[item].append(row(*values))
    return found
