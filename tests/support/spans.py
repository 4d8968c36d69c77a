"""Small requests of traces, span by span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Field, Level, Signal, Value
from untrace_pipeline.testing import Sink
from untrace_pipeline.testing.generate import to_any_value

__all__ = ["SpanOf", "names_of", "spans_batch", "trace_id"]

SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND


def trace_id(number: int) -> bytes:
    """Return the id of a trace: its number, and the rest made so that chance does not depend on it alone."""
    return number.to_bytes(4, "big") + (number * 0x9E3779B97F4A7C15 % 2**96).to_bytes(12, "big")


@dataclass
class SpanOf:
    """A span: of which trace, and what is special about it."""

    trace: int
    name: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    seconds: float = 1.0
    start: float = 0.0
    error: bool = False
    root: bool = False
    trace_state: str = ""

    def message(self, number: int) -> Span:
        """Return the span."""
        start = START + int(self.start * SECOND)
        return Span(
            trace_id=trace_id(self.trace),
            span_id=(number + 1).to_bytes(8, "big"),
            parent_span_id=b"" if self.root else b"\x01" * 8,
            trace_state=self.trace_state,
            name=self.name or f"{self.trace}",
            start_time_unix_nano=start,
            end_time_unix_nano=start + int(self.seconds * SECOND),
            status=Status(code=Status.STATUS_CODE_ERROR if self.error else Status.STATUS_CODE_UNSET),
            attributes=[KeyValue(key=key, value=to_any_value(value)) for key, value in self.attributes.items()],
        )


def spans_batch(
    spans: Sequence[SpanOf], *, resource: Mapping[str, Value] | None = None, context: Context = EMPTY_CONTEXT
) -> Batch:
    """Return a request of one resource."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in (resource or {}).items():
        group.resource.attributes.add(key=key, value=to_any_value(value))
    group.scope_spans.add().spans.extend(span.message(number) for number, span in enumerate(spans))
    return Batch(Signal.TRACES, request.SerializeToString(), context)


def names_of(sink: Sink) -> list[str]:
    """Return the names of the spans that arrived, sorted."""
    return sorted(str(name) for name in sink.column(Field(Level.ITEM, "name")))
