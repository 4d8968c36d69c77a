"""Runs of LangSmith's own API, as a form: ids that follow from those of OTLP, and the path from the root in each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from untrace_pipeline.data import Batch, Value
from untrace_pipeline.delivery import DELIVERED, Outcome
from untrace_pipeline.net.http_answer import Answer
from untrace_plugins.exporters.platform.encoders.encoder import Body
from untrace_plugins.exporters.platform.encoders.lineage import Lineage
from untrace_plugins.exporters.platform.encoders.run_content import content
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import as_text, to_json
from untrace_plugins.genai.emit.span import Span
from untrace_plugins.rows import EventRow, SpanRow, read_spans
from untrace_plugins.runs.ids import read_uuid

__all__ = ["LangSmithRuns"]

BOUNDARY: Final = "untrace-pipeline-5d1e8f0b7c2a4e63"
"""No JSON of ours has it: it would be part of a line of its own, and compact JSON has one line."""
_ERROR = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_APART: Final = ("inputs", "outputs", "events", "extra", "error")
"""Fields that are parts of the form themselves: they may be large."""


class LangSmithRuns:
    """Writes spans as runs that are whole: begun and ended. The same span always makes the same run."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._lineage = Lineage()

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Remember the spans: a run says where it is in its trace."""
        self._lineage.learn(batch, rows)

    def encode(self, batch: Batch) -> Body:
        """Return the form."""
        parts = [part for row in read_spans(batch) for part in self._parts(row)]
        return Body(_form(parts), f"multipart/form-data; boundary={BOUNDARY}")

    def read(self, batch: Batch, answer: Answer) -> Outcome:
        """All runs were taken."""
        return DELIVERED

    def _parts(self, row: SpanRow) -> Iterator[tuple[str, bytes]]:
        run = self.run(row)
        apart = {name: run.pop(name) for name in _APART if name in run}
        yield f"post.{run['id']}", to_json(run).encode()
        for name, value in apart.items():
            yield f"post.{run['id']}.{name}", to_json(value).encode()

    def run(self, row: SpanRow) -> dict[str, Any]:
        """Return a run, with all its fields."""
        place = self._place(row)
        found: dict[str, Any] = {
            "id": place.id,
            "trace_id": place.trace_id,
            "parent_run_id": place.parent_id,
            "dotted_order": place.order,
            "name": row.name or "span",
            "start_time": _moment(row.start).isoformat(),
            "end_time": _moment(max(row.start, row.end)).isoformat(),
            "session_name": self._project or row.attributes.get("langsmith.trace.session_name"),
            "events": list(_events(row)),
            "error": _error(row) if row.status_code == _ERROR else None,
            **content(Span(row.attributes, row.start, row.end), row.source),
        }
        found["extra"]["metadata"] |= {"OTEL_TRACE_ID": row.trace_id.hex(), "OTEL_SPAN_ID": row.span_id.hex()}
        return {name: value for name, value in found.items() if value not in (None, [])}

    def _place(self, row: SpanRow) -> _Place:
        """Return where a run is in its trace: what it was there before, or by the ids of OTLP."""
        given = row.attributes
        own, order = given.get("langsmith.span.id"), given.get("langsmith.span.dotted_order")
        trace = given.get("langsmith.trace.id")
        if read_uuid(own) and read_uuid(trace) and isinstance(order, str):
            parent = given.get("langsmith.span.parent_id")
            return _Place(str(own), str(trace), str(parent) if read_uuid(parent) else None, order)
        return self._path(row)

    def _path(self, row: SpanRow) -> _Place:
        """Return the path from the root, whose id is that of the trace, as LangSmith wants it.

        What is below a span that never came, and a second root, are below the root: LangSmith shows no others.
        """
        trace_id, root = row.trace_id, self._lineage.root(row.trace_id)
        trace = str(uuid.UUID(bytes=trace_id))
        if not any(row.parent_span_id) and (root is None or root.span_id == row.span_id):
            return _Place(trace, trace, None, _step(row.start, trace))
        above = list(self._lineage.above(trace_id, row.parent_span_id))
        ends = {row.span_id, root.span_id if root is not None else b""}
        between = [one for one in reversed(above) if one.span_id not in ends]
        first = root.start if root is not None else min([row.start, *(one.start for one in above)])
        own = _run_id(trace_id, row.span_id)
        steps = [(one.start, _run_id(trace_id, one.span_id)) for one in between]
        path = [(first, trace), *steps, (row.start, own)]
        return _Place(own, trace, path[-2][1], ".".join(_step(*step) for step in path))


class _Place(NamedTuple):
    """Ids of a run, and its path."""

    id: str
    trace_id: str
    parent_id: str | None
    order: str


def _run_id(trace_id: bytes, span_id: bytes) -> str:
    """Return the id of a run below the root; its last 8 bytes are the span's own."""
    return str(uuid.UUID(bytes=trace_id[:8] + span_id))


def _step(start: int, run_id: str) -> str:
    return f"{_moment(start):%Y%m%dT%H%M%S%fZ}{run_id}"


def _moment(nanos: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanos // 1000)


def _events(row: SpanRow) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a run: of a stream its first token, too; an exception that ended it is its error."""
    first = row.attributes.get(names.RESPONSE_TIME_TO_FIRST_CHUNK)
    if isinstance(first, int | float) and not any(event.name == "new_token" for event in row.events):
        yield {"name": "new_token", "time": _moment(row.start + int(first * 1e9)).isoformat()}
    fatal = _fatal(row)
    for event in row.events:
        if event is not fatal:
            yield {**event.attributes, "name": event.name, "time": _moment(event.time).isoformat()}


def _fatal(row: SpanRow) -> EventRow | None:
    if row.status_code != _ERROR:
        return None
    return next((event for event in reversed(row.events) if event.name == "exception"), None)


def _error(row: SpanRow) -> str:
    """Return an error as Python writes one, ``Type('message')``, and its traceback."""
    event = _fatal(row)
    told: Mapping[str, Value] = event.attributes if event is not None else {}
    kind = told.get("exception.type") or row.attributes.get(names.ERROR_TYPE)
    said = told.get("exception.message") or row.status_message
    trace = told.get("exception.stacktrace")
    text = as_text(said or "")
    if kind and not text.startswith(f"{as_text(kind)}("):
        text = f"{as_text(kind)}({text!r})"
    text = text or "error"
    return f"{text}\n\n{as_text(trace)}" if trace else text


def _form(parts: Sequence[tuple[str, bytes]]) -> bytes:
    pieces = []
    for name, data in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n'
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        pieces += [f"{head}{kind}".encode(), data, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])
