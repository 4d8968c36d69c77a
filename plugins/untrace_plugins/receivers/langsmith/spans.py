"""Runs as spans in the ``langsmith`` dialect."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from untrace_pipeline.data import Value
from untrace_pipeline.data.compose import NewEvent, NewSpan, Scope, compose_spans
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.langsmith import from_run
from untrace_plugins.genai.values import dump
from untrace_plugins.receivers.langsmith.operations import ATTACHMENT, PATCH, POST
from untrace_plugins.runs.held import Held, Part
from untrace_plugins.runs.ids import read_uuid, span_id_of, trace_id_of
from untrace_plugins.runs.times import nanoseconds

__all__ = ["Runs", "merge"]

_CLIENT, _INTERNAL = 3, 1
_OK, _ERROR = 1, 2
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)\(")
_TRACEBACK = "Traceback (most recent call last):"
_MOMENT = re.compile(r"(\d{8})T(\d{6})(\d{6})Z")
_ANCESTOR = re.compile(r"Z([0-9a-f-]{36})$")

_KNOWN = frozenset(
    {
        *("id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type", "start_time", "end_time"),
        *("inputs", "outputs", "error", "events", "extra", "tags", "session_name", "attachments"),
    }
)
"""Fields of a run that have a place of their own in the span."""
_KNOWN_EXTRA = frozenset({"metadata", "invocation_params", "runtime"})


class Runs:
    """Knows when a run is whole, and what span it is."""

    def __init__(self, max_wait: float, reorder_wait: float) -> None:
        """``max_wait`` seconds for the end of a run, ``reorder_wait`` for its begin."""
        self._max_wait = max_wait
        self._reorder_wait = reorder_wait

    def due(self, held: Held) -> float:
        """Return when a run goes on: at once when it has begun and ended, and what comes after it."""
        if held.earlier is not None or self.is_whole(held):
            return held.last
        return held.first + (self._reorder_wait if held.has_ended("") else self._max_wait)

    def is_whole(self, held: Held) -> bool:
        """Return whether begin and end are there."""
        return not held.open

    def remembered(self, _held: Held) -> Sequence[Part]:
        """Return nothing: a run that comes again says itself what it is."""
        return ()

    def compose(self, held: Sequence[Held]) -> bytes:
        """Return a request with a span for each run, by project and program."""
        groups: dict[tuple[str, bytes], list[NewSpan]] = {}
        for one in held:
            run, attachments = merge(one.parts)
            runtime = _object(_object(run.get("extra")).get("runtime"))
            project = run.get("session_name")
            key = (project if isinstance(project, str) else "", orjson.dumps(runtime))
            id = one.key.rpartition("/")[2]  # noqa: A001
            span = _span(id, run, attachments, whole=self.is_whole(one))
            groups.setdefault(key, []).append(span)
        return b"".join(_request(project, orjson.loads(runtime), spans) for (project, runtime), spans in groups.items())


def _request(project: str, runtime: Mapping[str, Any], spans: Sequence[NewSpan]) -> bytes:
    resource: dict[str, Value] = {"service.name": project or "default"}
    for name, value in runtime.items():
        resource[f"langsmith.runtime.{name}"] = _plain(value)
    scope = Scope(str(runtime.get("sdk") or "langsmith"), str(runtime.get("sdk_version") or ""))
    return compose_spans(resource, scope, spans)


def merge(parts: Sequence[Part]) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """Return a run of all that was said about it, and its attachments: changes over the begin, later over earlier."""
    run: dict[str, Any] = {}
    for kind in (POST, PATCH):
        for part in parts:
            if part.kind == kind:
                _change(run, part.read())
    return run, [part.read() for part in parts if part.kind == ATTACHMENT]


def _change(run: dict[str, Any], change: Mapping[str, Any]) -> None:
    extra, before = change.get("extra"), run.get("extra")
    run.update((name, value) for name, value in change.items() if value is not None)
    if isinstance(extra, dict) and isinstance(before, dict):
        run["extra"] = {**before, **extra}
        if isinstance(before.get("metadata"), dict) and isinstance(extra.get("metadata"), dict):
            run["extra"]["metadata"] = {**before["metadata"], **extra["metadata"]}


def _span(id: str, run: Mapping[str, Any], attachments: Sequence[Mapping[str, Any]], *, whole: bool) -> NewSpan:
    order = run.get("dotted_order")
    path = order.split(".") if isinstance(order, str) else []
    start = nanoseconds(run.get("start_time")) or _moment(path) or _time_of(id) or time.time_ns()
    end = nanoseconds(run.get("end_time"))
    events = list(_events(run.get("events")))
    attributes = _attributes(id, run, attachments)
    if not whole:
        attributes[names.INCOMPLETE] = True
    first = next((event.time_unix_nano for event in events if event.name == "new_token"), 0)
    if first > start:
        attributes[names.RESPONSE_TIME_TO_FIRST_CHUNK] = round((first - start) / 1e9, 6)
    error = run.get("error")
    failed = isinstance(error, str) and bool(error)
    if failed:
        events.append(_exception(str(error), end or start))
    return NewSpan(
        trace_id=trace_id_of(str(run.get("trace_id") or _root(path) or id)),
        span_id=span_id_of(id),
        name=str(run.get("name") or run.get("run_type") or "run"),
        start_time_unix_nano=start,
        end_time_unix_nano=end or start,
        kind=_CLIENT if run.get("run_type") in ("llm", "embedding") else _INTERNAL,
        parent_span_id=_parent(run, path),
        attributes=attributes,
        events=events,
        status_code=_ERROR if failed else _OK if end else 0,
        status_message=str(error).partition(_TRACEBACK)[0].strip() if failed else "",
    )


def _attributes(id: str, run: Mapping[str, Any], attachments: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    found = from_run(run)
    found["langsmith.span.id"] = id
    for name, key in (
        ("trace_id", "langsmith.trace.id"),
        ("parent_run_id", "langsmith.span.parent_id"),
        ("dotted_order", "langsmith.span.dotted_order"),
    ):
        if isinstance(run.get(name), str):
            found[key] = run[name]
    if attachments:
        found["langsmith.attachments"] = dump(attachments)
    for name, value in run.items():
        if name not in _KNOWN and value not in (None, [], {}):
            found[f"langsmith.run.{name}"] = _plain(value)
    rest = {name: value for name, value in _object(run.get("extra")).items() if name not in _KNOWN_EXTRA}
    if rest:
        found["langsmith.run.extra"] = dump(rest)
    return found


def _events(given: Any) -> Iterator[NewEvent]:
    """Yield the events of a run; of its tokens only the first, for the output has them all."""
    streaming = False
    for event in given if isinstance(given, list) else ():
        when = nanoseconds(event.get("time")) if isinstance(event, dict) else None
        if when is None:
            continue
        name = str(event.get("name") or "event")
        if name == "new_token":
            if streaming:
                continue
            streaming = True
        attributes = {key: _plain(value) for key, value in event.items() if key not in ("name", "time")}
        yield NewEvent(name, when, attributes)


def _exception(error: str, when: int) -> NewEvent:
    """Return the exception that ended a run: ``repr`` of it, and perhaps its traceback."""
    said, mark, trace = error.partition(_TRACEBACK)
    kind = _EXCEPTION.match(said)
    attributes: dict[str, Value] = {"exception.message": said.strip()}
    if kind is not None:
        attributes["exception.type"] = kind[1]
    if mark:
        attributes["exception.stacktrace"] = mark + trace
    return NewEvent("exception", when, attributes)


def _parent(run: Mapping[str, Any], path: Sequence[str]) -> bytes:
    parent = run.get("parent_run_id")
    if read_uuid(parent) is None:
        found = _ANCESTOR.search(path[-2]) if len(path) > 1 else None
        parent = found[1] if found is not None else None
    return span_id_of(str(parent)) if parent is not None else b""


def _root(path: Sequence[str]) -> str | None:
    found = _ANCESTOR.search(path[0]) if path else None
    return found[1] if found is not None else None


def _moment(path: Sequence[str]) -> int | None:
    """Return when the last of a dotted order began: ``20261121T011121642105Z{uuid}``."""
    found = _MOMENT.match(path[-1]) if path else None
    return nanoseconds(f"{found[1]}T{found[2]}.{found[3]}Z") if found is not None else None


def _time_of(id: str) -> int | None:
    """Return when a UUID of version 7 was made."""
    known = read_uuid(id)
    return (known.int >> 80) * 1_000_000 if known is not None and known.version == 7 else None  # noqa: PLR2004


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Value:
    if isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) else dump(value)
