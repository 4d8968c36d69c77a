"""What a request holds, as batches: one trace, many, or spans."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic.alias_generators import to_camel

from untrace_pipeline.api import DecodeError
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, Value, attribute
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_plugins.core_trace.checking import FieldError, InvalidError, load
from untrace_plugins.core_trace.model import CoreTrace, read_trace
from untrace_plugins.core_trace.spans import Origin, resource_of, span_of, trace_ids
from untrace_plugins.genai import names
from untrace_plugins.genai.values import dump
from untrace_plugins.genai.values import load as load_value
from untrace_plugins.receivers.untrace.bodies import MAX_TRACES

__all__ = ["Many", "Rejection", "read_many", "read_one", "read_spans"]

_SCOPE = Scope("untrace-pipeline/untrace", version("untrace-pipeline"))
_TRACE_ID, _SPAN_ID = (Field(Level.ITEM, name) for name in ("trace_id", "span_id"))
_FIELD = re.compile(r"(resourceSpans[^\s:]*): (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A trace of a batch that is not what it should be."""

    index: int
    id: str | None
    message: str
    details: Sequence[FieldError]


@dataclass(frozen=True, slots=True)
class Many:
    """The traces of a batch."""

    batch: Batch | None
    """``None`` where all are rejected."""
    accepted: int
    rejected: Sequence[Rejection]


def read_one(
    body: bytes, metadata: Mapping[str, Any], context: Context, now: Callable[[], int] = time.time_ns
) -> tuple[str, Batch]:
    """Return a trace's id, and the trace as a batch. Raises :class:`InvalidError`."""
    trace = read_trace(load(body))
    origin = Origin(str(uuid.uuid4()), now(), metadata)
    span = span_of(trace, origin, {})
    payload = compose_spans(resource_of(trace, origin), _SCOPE, [span])
    return trace.id or origin.id, Batch(Signal.TRACES, payload, context)


def read_many(
    body: bytes, metadata: Mapping[str, Any], context: Context, now: Callable[[], int] = time.time_ns
) -> Many:
    """Return the traces of a batch, each checked by itself. Raises :class:`InvalidError`."""
    given = load(body)
    listed = given.get("traces") if isinstance(given, dict) else None
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_TRACES:
        raise InvalidError.of("traces", f"a list of 1 to {MAX_TRACES} traces is expected")
    traces, rejected = _checked(listed)
    if not traces:
        return Many(None, 0, rejected)
    roots = trace_ids(traces)
    moment = now()
    by_resource: dict[tuple[tuple[str, Value], ...], list[NewSpan]] = {}
    for trace in traces:
        origin = Origin(str(uuid.uuid4()), moment, metadata)
        key = tuple(resource_of(trace, origin).items())
        by_resource.setdefault(key, []).append(span_of(trace, origin, roots))
    payload = b"".join([compose_spans(dict(key), _SCOPE, spans) for key, spans in by_resource.items()])
    return Many(Batch(Signal.TRACES, payload, context), len(traces), rejected)


def _checked(given: Sequence[Any]) -> tuple[list[CoreTrace], list[Rejection]]:
    traces: list[CoreTrace] = []
    rejected: list[Rejection] = []
    seen: set[str] = set()
    for index, one in enumerate(given):
        own = one.get("id") if isinstance(one, dict) else None
        try:
            trace = read_trace(one, f"traces[{index}]")
            if trace.id in seen:
                raise InvalidError.of(f"traces[{index}].id", "an id that no other trace of the batch has")
        except InvalidError as error:
            rejected.append(Rejection(index, own if isinstance(own, str) else None, str(error), error.fields))
        else:
            traces.append(trace)
            seen.update([trace.id] if trace.id is not None else ())
    return traces, rejected


def read_spans(body: bytes, metadata: Mapping[str, Any], context: Context) -> Batch:
    """Return spans in the ingest form as a batch. Raises :class:`InvalidError`."""
    try:
        batch = Batch.from_json(Signal.TRACES, body, context)
    except DecodeError as error:
        found = _FIELD.match(str(error))
        raise (InvalidError.of(found[1], found[2]) if found else InvalidError(str(error))) from None
    if not batch.item_count and not isinstance(load(body).get("resourceSpans"), list):
        raise InvalidError.of("resourceSpans", "Field required")
    for field in (_TRACE_ID, _SPAN_ID):
        if b"" in batch.column(field):
            raise InvalidError.of(*_without(field.name, load(body)))
    if metadata and batch.item_count:
        field = attribute(names.METADATA)
        batch.set(field, [dump({**metadata, **_map(text)}) for text in batch.column(field)])
    return batch


def _without(name: str, given: Any) -> tuple[str, str]:
    """Return the path of the first span that lacks an id, and what is expected of it."""
    key = to_camel(name)
    for r, resource in enumerate(_listed(given, "resource_spans")):
        for s, scope in enumerate(_listed(resource, "scope_spans")):
            for place, span in enumerate(_listed(scope, "spans")):
                if not span.get(key, span.get(name)):
                    return f"resourceSpans[{r}].scopeSpans[{s}].spans[{place}].{key}", "Field required"
    return "resourceSpans", f"a span has no {key}"


def _listed(given: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Return a list by its name in JSON, or by that in the schema, which is as good."""
    return given.get(to_camel(name)) or given.get(name) or ()


def _map(text: Value) -> dict[str, Any]:
    found = load_value(text)
    return found if isinstance(found, dict) else {}
