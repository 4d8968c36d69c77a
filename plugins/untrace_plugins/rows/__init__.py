"""Requests as flat rows, for destinations that store one record per item: each row knows its resource and scope.

Pure: knows no destination. Reading costs about 5 µs per span of an LLM call, besides decoding.
"""

from untrace_plugins.rows.logs import LogRow, read_logs
from untrace_plugins.rows.points import Metric, PointRow, read_points
from untrace_plugins.rows.source import Source, hex_id
from untrace_plugins.rows.spans import EventRow, LinkRow, SpanRow, read_spans
from untrace_plugins.rows.times import iso_time

__all__ = [
    "EventRow",
    "LinkRow",
    "LogRow",
    "Metric",
    "PointRow",
    "Source",
    "SpanRow",
    "hex_id",
    "iso_time",
    "read_logs",
    "read_points",
    "read_spans",
]
