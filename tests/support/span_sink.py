"""An OTLP/HTTP destination that keeps the spans it takes, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.destination import Destination
from tests.support.wait import HasLog, wait_until
from untrace_pipeline.data import Signal

__all__ = ["SeenSpan", "SpanSink", "spans_of"]


@dataclass(frozen=True)
class SeenSpan:
    """A span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: bool
    message: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: list[tuple[str, Mapping[str, Any]]]


class SpanSink(Destination):
    """`with SpanSink() as sink:` and an `otlp_http` exporter to `sink.url`; `sink.raw` has the bodies."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(status)
        self.raw: list[bytes] = []
        self._spans: list[SeenSpan] = []

    def answer(self, signal: Signal, data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Keep what is taken."""
        answered = super().answer(signal, data, headers)
        if answered[0] == 200:
            with self._lock:
                self.raw.append(data)
                self._spans += spans_of(data)
        return answered

    @property
    def spans(self) -> list[SeenSpan]:
        """All so far, in order of arrival."""
        with self._lock:
            return list(self._spans)

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self.raw.clear()
            self._spans.clear()

    def wait(self, count: int, process: HasLog, *, seconds: float = 20.0) -> list[SeenSpan]:
        """Return the spans when at least so many have come."""
        return self.wait_for(lambda found: len(found) >= count, process, seconds=seconds)

    def wait_for(
        self, complete: Callable[[list[SeenSpan]], bool], process: HasLog, *, seconds: float = 20.0
    ) -> list[SeenSpan]:
        """Return the spans when they are complete."""
        wait_until(lambda: complete(self.spans), process, seconds=seconds)
        return self.spans


def spans_of(data: bytes) -> list[SeenSpan]:
    """Return the spans of a request."""
    request = ExportTraceServiceRequest.FromString(data)
    return [
        _seen(span, _attributes(group.resource.attributes))
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _seen(span: Span, resource: Mapping[str, Any]) -> SeenSpan:
    return SeenSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code == 2,
        span.status.message,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        resource,
        [(event.name, _attributes(event.attributes)) for event in span.events],
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case _:
            return getattr(value, kind)
