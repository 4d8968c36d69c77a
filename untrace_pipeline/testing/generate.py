"""Realistic OTLP requests, made with the official protobuf classes, not with the codec under test."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal, Value

__all__ = ["make_batch", "make_request", "to_any_value"]

_START = 1_760_000_000_000_000_000


def to_any_value(value: Value) -> AnyValue:
    """Return the protobuf form of a Python value."""
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[to_any_value(v) for v in value]))
    return AnyValue(kvlist_value=KeyValueList(values=_attributes(value)))


def _attributes(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=to_any_value(value)) for key, value in attributes.items()]


def _llm_attributes(rng: random.Random, number: int) -> dict[str, Value]:
    question = " ".join(rng.choice(("please", "summarise", "the", "report", "of", "last", "week")) for _ in range(60))
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": rng.choice(("openai", "anthropic")),
        "gen_ai.request.model": rng.choice(("gpt-4o", "gpt-4o-mini", "claude-sonnet-4")),
        "gen_ai.request.temperature": 0.2,
        "gen_ai.usage.input_tokens": rng.randrange(10, 4000),
        "gen_ai.usage.output_tokens": rng.randrange(1, 900),
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}]),
        "session.id": f"session-{number % 7}",
        "cached": number % 2 == 0,
    }


def make_request(
    signal: Signal = Signal.TRACES,
    items: int = 10,
    *,
    resources: int = 1,
    attributes: Mapping[str, Value] | None = None,
    resource: Mapping[str, Value] | None = None,
    seed: int = 0,
) -> Message:
    """Return an ``Export*ServiceRequest`` of LLM-shaped data, the same for the same arguments.

    ``items`` are spread over ``resources`` resources with one scope each; ``attributes`` and ``resource`` are added to
    every item and every resource.
    """
    rng = random.Random(seed)  # noqa: S311  test data
    requests = {
        Signal.TRACES: ExportTraceServiceRequest,
        Signal.LOGS: ExportLogsServiceRequest,
        Signal.METRICS: ExportMetricsServiceRequest,
    }
    request: Message = requests[signal]()
    for r in range(resources):
        count = items // resources + (1 if r < items % resources else 0)
        name = {"service.name": f"service-{r}", "host.name": "test"} | dict(resource or {})
        _fill(signal, request, count, name, dict(attributes or {}), rng)
    return request


def _fill(
    signal: Signal,
    request: Message,
    count: int,
    resource: Mapping[str, Value],
    extra: Mapping[str, Value],
    rng: random.Random,
) -> None:
    groups = {Signal.TRACES: "resource_spans", Signal.LOGS: "resource_logs", Signal.METRICS: "resource_metrics"}
    scopes = {Signal.TRACES: "scope_spans", Signal.LOGS: "scope_logs", Signal.METRICS: "scope_metrics"}
    group = getattr(request, groups[signal]).add()
    group.resource.attributes.extend(_attributes(resource))
    scope = getattr(group, scopes[signal]).add()
    scope.scope.name, scope.scope.version = "untrace.testing", "1"
    add = {Signal.TRACES: _add_span, Signal.LOGS: _add_log, Signal.METRICS: _add_metric}[signal]
    for number in range(count):
        add(scope, number, extra, rng)


def _add_span(scope: Message, number: int, extra: Mapping[str, Value], rng: random.Random) -> None:
    start = _START + number * 1_000_000
    span = scope.spans.add(  # type: ignore[attr-defined]
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        name=f"chat {number % 3}",
        kind=3,
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(1_000_000, 9_000_000_000),
        attributes=_attributes({**_llm_attributes(rng, number), **extra}),
    )
    span.events.add(name="gen_ai.choice", time_unix_nano=start + 5, attributes=_attributes({"index": number}))
    if number % 5 == 0:
        span.status.code, span.status.message = 2, "rate limited"


def _add_log(scope: Message, number: int, extra: Mapping[str, Value], rng: random.Random) -> None:
    scope.log_records.add(  # type: ignore[attr-defined]
        time_unix_nano=_START + number,
        observed_time_unix_nano=_START + number + 1,
        severity_number=9 + 4 * (number % 3),
        severity_text=("INFO", "WARN", "ERROR")[number % 3],
        body=to_any_value(f"message {number}"),
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        attributes=_attributes({**_llm_attributes(rng, number), **extra}),
    )


def _add_metric(scope: Message, number: int, extra: Mapping[str, Value], rng: random.Random) -> None:
    metric = scope.metrics.add(name=f"gen_ai.metric.{number % 5}", unit="{token}")  # type: ignore[attr-defined]
    common = {
        "attributes": _attributes({"gen_ai.request.model": "gpt-4o", "n": number, **extra}),
        "start_time_unix_nano": _START,
        "time_unix_nano": _START + number,
    }
    match number % 5:
        case 0:
            metric.gauge.data_points.add(as_double=rng.random(), **common)
        case 1:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
            metric.sum.data_points.add(as_int=number, **common)
        case 2:
            metric.histogram.aggregation_temporality = 1
            metric.histogram.data_points.add(count=3, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[1.0], **common)
        case 3:
            metric.exponential_histogram.aggregation_temporality = 1
            point = metric.exponential_histogram.data_points.add(count=2, sum=3.0, scale=2, **common)
            point.positive.bucket_counts.extend([1, 1])
        case _:
            point = metric.summary.data_points.add(count=2, sum=3.0, **common)
            point.quantile_values.add(quantile=0.5, value=1.0)


def make_batch(
    signal: Signal = Signal.TRACES,
    items: int = 10,
    *,
    resources: int = 1,
    attributes: Mapping[str, Value] | None = None,
    resource: Mapping[str, Value] | None = None,
    seed: int = 0,
    context: Context = EMPTY_CONTEXT,
) -> Batch:
    """Return :func:`make_request` as a batch."""
    request = make_request(signal, items, resources=resources, attributes=attributes, resource=resource, seed=seed)
    return Batch(signal, request.SerializeToString(), context)
