"""LLM spans of one batch: read from columns, changed in memory, written back column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names
from untrace_plugins.genai.duplicates import Role, SpanFacts
from untrace_plugins.genai.names import Operation, is_llm_call
from untrace_plugins.genai.values import integer
from untrace_plugins.genai.words import operation

__all__ = ["Event", "Span", "error_type", "events_of", "inherit", "links", "read_spans", "write"]

_FIELDS = [Field(Level.ITEM, ATTRIBUTES)] + [
    Field(Level.ITEM, name)
    for name in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "status.code")
]
_LINKS = [Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id")]
_EVENT = [Field(Level.EVENT, "name"), Field(Level.EVENT, ATTRIBUTES)]
_BORDERS = frozenset(
    {Operation.EXECUTE_TOOL, Operation.INVOKE_AGENT, Operation.CREATE_AGENT, Operation.INVOKE_WORKFLOW}
)
_INHERITED = (names.SESSION_ID, names.USER_ID, names.CONVERSATION_ID, names.TAGS, names.METADATA)
_DECISIVE = frozenset({names.OPERATION, names.USAGE_INPUT, names.USAGE_OUTPUT, names.DUPLICATE, names.RESPONSE_ID})
"""What says whether a span counts."""
ERROR = 2
"""The status code of a span that failed."""


class Span:
    """One span that may be of an LLM, and what is to change on it."""

    __slots__ = ("changes", "dialect", "end", "failed", "given", "parent_id", "row", "span_id", "start", "trace_id")

    def __init__(self, row: int, values: Sequence[Any]) -> None:
        self.row = row
        self.given: Mapping[str, Value] = values[0]
        self.trace_id: bytes = values[1]
        self.span_id: bytes = values[2]
        self.parent_id: bytes = values[3]
        self.start: int = values[4]
        self.end: int = values[5]
        self.failed = values[6] == ERROR
        self.changes: dict[str, Value] = {}
        self.dialect = str(self.given.get(names.DIALECT) or "")
        """The dialect that it is or was written in; empty for spans that are not of an LLM."""

    def get(self, key: str) -> Value:
        """Return an attribute as it will be."""
        return self.changes[key] if key in self.changes else self.given.get(key)

    def operation(self) -> str | None:
        """Return the operation as it came, in the words of the convention."""
        return operation(self.given.get(names.OPERATION) or self.given.get("llm.request.type"))

    def has_answer(self) -> bool:
        """Return whether an answer belongs to it: embeddings and failed calls have none."""
        return not self.failed and self.operation() != Operation.EMBEDDINGS

    def attributes(self) -> dict[str, Value]:
        """Return all attributes as they will be."""
        return {key: value for key, value in {**self.given, **self.changes}.items() if value is not None}

    def facts(self) -> SpanFacts:
        """Return what decides whether it counts."""
        now = self.given if _DECISIVE.isdisjoint(self.changes) else {**self.given, **self.changes}
        called, response = now.get(names.OPERATION), now.get(names.RESPONSE_ID)
        tokens = integer(now.get(names.USAGE_INPUT)), integer(now.get(names.USAGE_OUTPUT))
        role = Role.BETWEEN
        if isinstance(called, str) and called in _BORDERS:
            role = Role.BORDER
        elif tokens != (None, None) and is_llm_call(called) and not now.get(names.DUPLICATE):
            role = Role.CALL
        return SpanFacts(
            self.trace_id,
            self.span_id,
            self.parent_id,
            role,
            str(called) if called == Operation.EMBEDDINGS else "generation",
            (tokens[0] or 0, tokens[1] or 0),
            response if isinstance(response, str) else "",
            (self.start, self.end),
        )


class Event(NamedTuple):
    """An event of a span."""

    name: str
    attributes: Mapping[str, Value]


def read_spans(batch: Batch, rows: Sequence[int]) -> list[Span]:
    """Return the spans of these rows."""
    columns = batch.columns(_FIELDS, rows=rows)
    return [Span(row, values) for row, values in zip(rows, zip(*columns, strict=True), strict=True)]


def links(batch: Batch) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield trace id, span id and parent id of every span of a batch."""
    columns: Any = batch.columns(_LINKS)
    return zip(*columns, strict=True)


def events_of(batch: Batch, rows: set[int]) -> dict[int, list[Event]]:
    """Return the events of the spans in these rows, in order."""
    if not rows or not batch.row_count(Level.EVENT):
        return {}
    parents = batch.parents(Level.EVENT, Level.ITEM)
    wanted = [row for row, parent in enumerate(parents) if parent in rows]
    found: dict[int, list[Event]] = {}
    columns: Any = batch.columns(_EVENT, rows=wanted) if wanted else ([], [])
    for row, name, attributes in zip(wanted, *columns, strict=True):
        found.setdefault(parents[row], []).append(Event(name, attributes))
    return found


def error_type(events: Sequence[Event]) -> str:
    """Return the type of the exception that a span failed with, of the last event that tells one."""
    for event in reversed(events):
        found = event.attributes.get("exception.type")
        if event.name == "exception" and isinstance(found, str) and found:
            return found
    return "_OTHER"


def inherit(spans: Sequence[Span]) -> None:
    """Give LLM spans what the nearest span above them has of session, user, conversation, tags and metadata."""
    contexts = _Contexts(spans)
    for span in spans:
        above = contexts.of((span.trace_id, span.parent_id)) if span.dialect else None
        if above:
            missing = {key for key in above if span.get(key) is None}
            if span.get(names.SESSION_ID) is not None:
                missing.discard(names.CONVERSATION_ID)  # which says no more
            span.changes |= {key: above[key] for key in missing}


class _Contexts:
    """What spans hand down. Each is worked out once: traces may be as deep as they are long."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = {(span.trace_id, span.span_id): span for span in spans}
        self._known: dict[tuple[bytes, bytes], dict[str, Value]] = {}

    def of(self, key: tuple[bytes, bytes]) -> dict[str, Value]:
        """Return what a span and those above it have, the nearest first; nothing of a span that is not there."""
        path: dict[tuple[bytes, bytes], Span] = {}
        while key not in self._known and key not in path and (span := self._spans.get(key)) is not None:
            path[key] = span
            key = (span.trace_id, span.parent_id)
        for _ in range(2 if key in path else 1):  # a circle has no top: once around tells what comes to its first
            self._walk(path, self._known.get(key, {}))
        return self._known.get(next(iter(path), key), {})

    def _walk(self, path: dict[tuple[bytes, bytes], Span], above: dict[str, Value]) -> None:
        for key, span in reversed(path.items()):
            own: dict[str, Value] = {name: value for name in _INHERITED if (value := span.get(name)) is not None}
            above = self._known[key] = above | own if own else above


def write(batch: Batch, spans: Sequence[Span]) -> None:
    """Write all changes, an attribute of all spans at a time."""
    columns: dict[str, tuple[list[int], list[Value]]] = {}
    for span in spans:
        for key, value in span.changes.items():
            rows, values = columns.setdefault(key, ([], []))
            rows.append(span.row)
            values.append(value)
    for key, (rows, values) in columns.items():
        batch.set(attribute(key), values, rows)
