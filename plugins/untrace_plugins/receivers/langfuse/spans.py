"""Traces of events as spans in the ``langfuse`` dialect."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from untrace_pipeline.data import Value
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.langfuse import from_observation, from_trace
from untrace_plugins.receivers.langfuse.events import CREATE
from untrace_plugins.runs.held import Held, Part
from untrace_plugins.runs.ids import is_readable, span_id_of, trace_id_of
from untrace_plugins.runs.times import nanoseconds

__all__ = ["Traces"]

_CLIENT, _INTERNAL = 3, 1
_ERROR = 2
_TRACE = frozenset({""})
"""What a part is about that is about no observation: that has no end."""
_CALLS = ("generation", "embedding")
REMEMBERED_BYTES, LARGEST_REMEMBERED_BYTES = 16 * 1024, 4 * 1024
"""Of a trace that went on, together and each: without inputs and outputs, what applications say of a trace is short."""


class Traces:
    """Knows when a trace is quiet, and what spans it is."""

    def __init__(self, settle_wait: float, idle_wait: float, max_wait: float) -> None:
        """Seconds of silence when everything has ended, and when it has not; seconds in all."""
        self._settle_wait = settle_wait
        self._idle_wait = idle_wait
        self._max_wait = max_wait

    def due(self, held: Held) -> float:
        """Return when a trace goes on if nothing more comes."""
        silence = self._settle_wait if self.is_whole(held) else self._idle_wait
        return min(held.last + silence, held.first + self._max_wait)

    def is_whole(self, held: Held) -> bool:
        """Return whether every observation has begun and ended."""
        return held.open <= _TRACE

    def remembered(self, held: Held) -> Sequence[Part]:
        """Return what is said about the trace, and about observations that have not ended."""
        found: list[Part] = []
        room = REMEMBERED_BYTES
        for part in reversed(_all(held)):
            if (not part.about or part.about in held.open) and part.size <= min(room, LARGEST_REMEMBERED_BYTES):
                room -= part.size
                part.value = None
                found.append(part)
        return found[::-1]

    def compose(self, held: Sequence[Held]) -> bytes:
        """Return a request with the spans of some traces, for each project by itself."""
        groups: dict[str | None, list[NewSpan]] = {}
        for one in held:
            groups.setdefault(one.context.tenant, []).extend(_spans(one))
        scope = Scope("langfuse")
        return b"".join(
            compose_spans({"service.name": tenant or "default"}, scope, spans) for tenant, spans in groups.items()
        )


def _all(held: Held) -> list[Part]:
    return [*(held.earlier or ()), *held.parts]


def _spans(held: Held) -> Iterator[NewSpan]:
    id = held.key.partition("/")[2]  # noqa: A001
    parts = _all(held)
    trace = _merge(part for part in parts if not part.about)
    new = list(dict.fromkeys(part.about for part in held.parts if part.about))
    about: dict[str, list[Part]] = {one: [] for one in new}
    for part in parts:
        if part.about in about:
            about[part.about].append(part)
    for one in new:
        yield _observation(id, one, about[one], trace, whole=one not in held.open)
    if not new:
        yield _trace(id, trace, held.parts)


def _observation(trace_id: str, id: str, parts: Sequence[Part], trace: Mapping[str, Any], *, whole: bool) -> NewSpan:
    body = _merge(parts)
    kind = _kind(parts, body)
    parent = body.get("parentObservationId")
    attributes = from_trace(trace, root=not parent) | from_observation(kind, body)
    attributes |= _unreadable(trace_id, id)
    if not whole:
        attributes[names.INCOMPLETE] = True
    start = nanoseconds(body.get("startTime")) or _first_time(parts)
    failed = body.get("level") == "ERROR"
    return NewSpan(
        trace_id=trace_id_of(trace_id),
        span_id=span_id_of(id),
        name=str(body.get("name") or kind),
        start_time_unix_nano=start,
        end_time_unix_nano=nanoseconds(body.get("endTime")) or start,
        kind=_CLIENT if kind in _CALLS else _INTERNAL,
        parent_span_id=span_id_of(str(parent)) if parent else b"",
        attributes=attributes,
        status_code=_ERROR if failed else 0,
        status_message=str(body.get("statusMessage") or "") if failed else "",
    )


def _trace(id: str, trace: Mapping[str, Any], parts: Sequence[Part]) -> NewSpan:
    """Return the span of a trace about which nothing else is said."""
    start = nanoseconds(trace.get("timestamp")) or _first_time(parts)
    return NewSpan(
        trace_id=trace_id_of(id),
        span_id=span_id_of(id),
        name=str(trace.get("name") or "trace"),
        start_time_unix_nano=start,
        end_time_unix_nano=start,
        attributes={"langfuse.observation.type": "span"} | from_trace(trace, root=True) | _unreadable(id, id),
    )


def _unreadable(trace: str, observation: str) -> dict[str, Value]:
    """Return the ids of which only a hash is in the span."""
    found = {"langfuse.trace.id": trace, "langfuse.observation.id": observation}
    return {key: id for key, id in found.items() if not is_readable(id)}  # noqa: A001


def _merge(parts: Iterable[Part]) -> dict[str, Any]:
    """Return all that was said: changes over the begin, later over earlier; metadata and tags add up."""
    messages = [(part.kind != CREATE, part.read()) for part in parts]
    messages.sort(key=lambda one: (one[0], nanoseconds(one[1].get("timestamp")) or 0))
    found: dict[str, Any] = {}
    for _, message in messages:
        body = message["body"]
        before = {name: found.get(name) for name in ("metadata", "tags")}
        found.update((name, value) for name, value in body.items() if value is not None)
        if isinstance(before["metadata"], dict) and isinstance(body.get("metadata"), dict):
            found["metadata"] = before["metadata"] | body["metadata"]
        if isinstance(before["tags"], list) and isinstance(body.get("tags"), list):
            found["tags"] = list(dict.fromkeys(map(str, before["tags"] + body["tags"])))
    return found


def _kind(parts: Sequence[Part], body: Mapping[str, Any]) -> str:
    words = [part.read()["word"] for part in parts]
    word = next((one for one in words if one != "observation"), None)
    return str(word or body.get("type") or "span").lower()


def _first_time(parts: Sequence[Part]) -> int:
    times = [nanoseconds(part.read().get("timestamp")) for part in parts]
    return min((one for one in times if one), default=0) or time.time_ns()
