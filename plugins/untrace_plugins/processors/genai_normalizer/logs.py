"""The log form: canonical names on records of LLM calls, and their content kept for the spans that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names
from untrace_plugins.genai.events import CONTENT_EVENTS, event_content
from untrace_plugins.genai.normalise import Manner, normalise
from untrace_plugins.processors.genai_normalizer.events import EventStore

__all__ = ["normalise_logs", "store_content"]

_ATTRIBUTES = Field(Level.ITEM, ATTRIBUTES)
_RECORD = [Field(Level.ITEM, name) for name in ("event_name", "body", "trace_id", "span_id")] + [_ATTRIBUTES]
_STRUCTURED = frozenset(
    {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS, names.TOOL_DEFINITIONS}
)
"""Content that on log records is structured, as the convention wants it there."""


def store_content(batch: Batch, rows: Sequence[int], store: EventStore) -> None:
    """Keep the content of the events among these records for their spans."""
    columns: Any = batch.columns(_RECORD, rows=rows)
    for event_name, body, trace_id, span_id, attributes in zip(*columns, strict=True):
        name = event_name or attributes.get("event.name")
        if name in CONTENT_EVENTS and trace_id and span_id:
            content = event_content(name, body, attributes)
            if content:
                store.put((trace_id, span_id), content)


def normalise_logs(batch: Batch, rows: Sequence[int], manner: Manner) -> None:
    """Give the records canonical attributes; structured content stays structured, bodies stay as they are."""
    found: Any = batch.columns([_ATTRIBUTES], rows=rows)[0]
    columns: dict[str, tuple[list[int], list[Value]]] = {}
    for row, attributes in zip(rows, found, strict=True):
        plain = {key: value for key, value in attributes.items() if key not in _STRUCTURED}
        for key, value in normalise(plain, manner).values.items():
            if key not in (names.DIALECT, names.DUPLICATE, *_STRUCTURED):
                places, values = columns.setdefault(key, ([], []))
                places.append(row)
                values.append(value)
    for key, (places, values) in columns.items():
        batch.set(attribute(key), values, places)
