"""Verbosity ``basic`` and ``normal``: one line per request, one line per item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from untrace_pipeline.api import format_duration
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.exporters.debug.messages import parse, points_of
from untrace_plugins.exporters.debug.text import plain, readable, show_attributes

__all__ = ["show_basic", "show_normal"]

KIB = 1024
BODY_LIMIT = 200
ERROR = 2

# What the GenAI conventions, OpenInference and OpenLLMetry call them; the first one that is there is shown.
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "llm.request.model")
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")


def show_basic(batch: Batch) -> str:
    """Return how much it is: ``traces: 12 spans, 26.4 KiB from 127.0.0.1:51234``."""
    peer = f" from {batch.context.peer}" if batch.context.peer else ""
    return f"{batch.signal}: {batch.signal.counted(batch.item_count)}, {batch.byte_size / KIB:.1f} KiB{peer}"


def show_normal(batch: Batch) -> str:
    """Return the line of :func:`show_basic`, one per service, and one per item."""
    return "\n".join([show_basic(batch), *_lines(batch)])


def _lines(batch: Batch) -> Iterator[str]:
    show = {Signal.TRACES: _span, Signal.LOGS: _log}.get(batch.signal)
    for group in parse(batch):
        yield f"  {show_attributes(group.resource) or 'no resource attributes'}"
        for scope in group.scopes:
            for item in scope.items:
                if show is None:
                    yield from (f"    {line}" for line in _metric(item))
                else:
                    yield f"    {show(item)}"


def _span(span: Any) -> str:
    attributes = {pair.key: pair.value for pair in span.attributes}
    nanoseconds = span.end_time_unix_nano - span.start_time_unix_nano
    parts = [readable(span.name), _first(attributes, _MODEL)]
    tokens_in, tokens_out = _first(attributes, _INPUT), _first(attributes, _OUTPUT)
    if tokens_in or tokens_out:
        parts.append(f"{tokens_in or '?'} → {tokens_out or '?'} tokens")
    parts.append(format_duration(round(nanoseconds / 1e9, 6)) if span.end_time_unix_nano else "unfinished")
    if span.status.code == ERROR:
        parts.append(f"ERROR {readable(span.status.message)}".rstrip())
    parts.append(f"trace={span.trace_id.hex()} span={span.span_id.hex()}")
    return "  ".join(filter(None, parts))


def _log(record: Any) -> str:
    body = plain(record.body)
    text = readable(body if isinstance(body, str) else str(body))
    text = text if len(text) <= BODY_LIMIT else text[: BODY_LIMIT - 1] + "…"
    severity = readable(record.severity_text) or f"severity {record.severity_number}"
    trace = f"trace={record.trace_id.hex()}" if record.trace_id else ""
    return "  ".join(
        filter(None, (severity, readable(record.event_name), text, show_attributes(record.attributes), trace))
    )


def _metric(metric: Any) -> Iterator[str]:
    for point in points_of(metric):
        value = getattr(point, point.WhichOneof("value")) if hasattr(point, "as_int") else f"count={point.count}"
        total = f" sum={point.sum:g}" if hasattr(point, "sum") else ""
        unit = f" {readable(metric.unit)}" if metric.unit else ""
        yield f"{readable(metric.name)}{{{show_attributes(point.attributes)}}}  {value}{total}{unit}"


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((readable(str(plain(attributes[name]))) for name in names if name in attributes), "")
