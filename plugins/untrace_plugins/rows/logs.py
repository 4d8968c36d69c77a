"""Log records as rows."""

from __future__ import annotations

from typing import Any, NamedTuple

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value
from untrace_plugins.rows.source import Attributes, Source, read_sources

__all__ = ["LogRow", "read_logs"]

_LOG = [
    Field(Level.ITEM, name)
    for name in (
        "time_unix_nano",
        "observed_time_unix_nano",
        "severity_number",
        "severity_text",
        "body",
        "trace_id",
        "span_id",
        "flags",
        "event_name",
        ATTRIBUTES,
        "dropped_attributes_count",
    )
]


class LogRow(NamedTuple):
    """A log record; times in nanoseconds since the Unix epoch."""

    time: int
    observed: int
    severity_number: int
    severity_text: str
    body: Value
    trace_id: bytes
    span_id: bytes
    flags: int
    event_name: str
    attributes: Attributes
    dropped: int
    source: Source

    @property
    def moment(self) -> int:
        """When it was written, or else observed."""
        return self.time or self.observed


def read_logs(batch: Batch) -> list[LogRow]:
    """Return one row per record, in order."""
    columns: list[list[Any]] = batch.columns(_LOG, Level.ITEM)
    return list(map(LogRow._make, zip(*columns, read_sources(batch), strict=True)))
