"""Input requests of the differential tests: every OTLP field and value type, with the content of LLM applications."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    ExponentialHistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.support.peers.canonical import SignalName
from untrace_pipeline.testing.generate import to_any_value

START = 1_700_000_000_000_000_000
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "llama-3.3-70b")
PERSONAL = (
    "mail jane.doe@example.com or bob+tag@mail.example.org",
    "card 4111 1111 1111 1111, SSN 078-05-1120",
    "call +1 (415) 555-0132 from 10.0.0.17",
    "key sk-abcdefghijklmnopqrstuvwx",
    "token=deadbeef; https://example.com/users/4711/orders?id=1234#top",
    "nothing to see here, order 12345",
)

Inputs = Mapping[SignalName, list[Message]]


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Turn a mapping into OTLP attributes."""
    return [KeyValue(key=key, value=to_any_value(value)) for key, value in values.items()]


def _resources() -> list[Resource]:
    return [
        Resource(
            attributes=attributes(
                {
                    "service.name": "shop-assistant",
                    "service.namespace": "shop",
                    "deployment.environment": "prod",
                    "host.name": "web-1.example.com",
                    "k8s.pod.name": "shop-7d4f",
                    "process.pid": 4711,
                }
            )
        ),
        Resource(
            attributes=attributes(
                {"service.name": "batch-agent", "deployment.environment": "staging", "team": "a", "debug": True}
            ),
            dropped_attributes_count=2,
        ),
        Resource(),
    ]


def _scopes() -> list[InstrumentationScope]:
    return [
        InstrumentationScope(name="openai", version="1.2.3", attributes=attributes({"library.kind": "llm"})),
        InstrumentationScope(name="langchain"),
    ]


def _content(rng: random.Random, index: int) -> dict[str, Any]:
    """Answer the attributes of one item: all value types, some of them missing in some items."""
    model = MODELS[index % len(MODELS)]
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"Please {rng.choice(PERSONAL)}."}]}]
    content: dict[str, Any] = {
        "gen_ai.operation.name": "chat" if index % 3 else "embeddings",
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": index % 5 / 4,
        "gen_ai.usage.input_tokens": index * 37 % 4000,
        "gen_ai.usage.output_tokens": index * 13 % 900,
        "gen_ai.input.messages": json.dumps(messages),
        "user.email": f"user{index}@example.com",
        "user.id": f"u-{index % 7}",
        "http.url": f"https://api.example.com/v1/users/{index}/chat?session={index * 7}",
        "note": rng.choice(PERSONAL),
        "stream": index % 2 == 0,
    }
    if index % 2:
        content |= {"tags": ["llm", "prod", PERSONAL[1]], "numeric.text": str(index), "float.text": "1.5"}
    if index % 3 == 0:
        content |= {"nested": {"city": "Bern", "card": "4111111111111111", "deep": {"n": 1}}, "secret.token": "t0p"}
    if index % 5 == 0:
        content |= {"raw": b"\x00\x01card 4111", "empty": "", "nothing": None, "bool.text": "true"}
    if index % 7 == 0:
        content |= {"http.status_code": 500, "error.type": "timeout", "account": 4111111111111111}
    return content


def _span(rng: random.Random, index: int) -> Span:
    start = START + index * 1_000_000
    span = Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        parent_span_id=rng.randbytes(8) if index % 4 else b"",
        trace_state="vendor=a" if index % 6 == 0 else "",
        flags=0x101 if index % 2 else 0,
        name=("chat ", "embeddings ", "tool.call ")[index % 3] + MODELS[index % len(MODELS)],
        kind=list(Span.SpanKind.values())[index % 6],
        start_time_unix_nano=start,
        end_time_unix_nano=start + (index % 9) * 250_000_000,
        attributes=attributes(_content(rng, index)),
        dropped_attributes_count=index % 3,
        status=Status(code=list(Status.StatusCode.values())[index % 3], message="boom" if index % 3 == 2 else ""),
    )
    if index % 3 == 1:
        span.events.add(
            time_unix_nano=start + 5,
            name="gen_ai.choice" if index % 2 else "exception",
            attributes=attributes({"index": index, "message": rng.choice(PERSONAL)}),
            dropped_attributes_count=1,
        )
        span.events.add(time_unix_nano=start + 6, name="done")
    if index % 4 == 1:
        span.links.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8), attributes=attributes({"kind": "retry"}))
    return span


def _traces(rng: random.Random, count: int, make: Callable[[random.Random, int], Span] = _span) -> list[Message]:
    requests: list[Message] = []
    index = 0
    while index < count:
        request = ExportTraceServiceRequest()
        for resource in _resources():
            group = request.resource_spans.add(resource=resource, schema_url="https://opentelemetry.io/schemas/1.41.0")
            for scope in _scopes():
                inner = group.scope_spans.add(scope=scope, schema_url="")
                inner.spans.extend(make(rng, index + offset) for offset in range(4))
                index += 4
        requests.append(request)
    return requests


BODIES: tuple[Any, ...] = (
    "user jane.doe@example.com asked for card 4111 1111 1111 1111",
    {"role": "assistant", "content": "SSN 078-05-1120", "tokens": 7},
    ["a", 1, "bob@example.org"],
    None,
    42,
)


def _record(rng: random.Random, index: int) -> LogRecord:
    record = LogRecord(
        time_unix_nano=START + index,
        observed_time_unix_nano=START + index + 1,
        severity_number=list(SeverityNumber.values())[index % 25],
        severity_text=("INFO", "ERROR", "")[index % 3],
        attributes=attributes(_content(rng, index)),
        dropped_attributes_count=index % 2,
        flags=index % 2,
        event_name="gen_ai.choice" if index % 4 == 0 else "",
    )
    body = BODIES[index % len(BODIES)]
    if body is not None:
        record.body.CopyFrom(to_any_value(body))
    if index % 3:
        record.trace_id, record.span_id = rng.randbytes(16), rng.randbytes(8)
    return record


def _logs(rng: random.Random, count: int) -> list[Message]:
    requests: list[Message] = []
    index = 0
    while index < count:
        request = ExportLogsServiceRequest()
        for resource in _resources():
            group = request.resource_logs.add(resource=resource)
            for scope in _scopes():
                inner = group.scope_logs.add(scope=scope)
                inner.log_records.extend(_record(rng, index + offset) for offset in range(4))
                index += 4
        requests.append(request)
    return requests


def _exemplar(rng: random.Random, index: int) -> Exemplar:
    return Exemplar(
        time_unix_nano=START + index,
        as_double=index / 2,
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        filtered_attributes=attributes({"user.email": f"user{index}@example.com"}),
    )


def _point(rng: random.Random, index: int) -> dict[str, Any]:
    """Answer what all kinds of data points have."""
    model = MODELS[index % len(MODELS)]
    values = {"gen_ai.request.model": model, "user.email": f"user{index}@example.com", "note": rng.choice(PERSONAL)}
    if index % 2:
        values |= {"http.status_code": "500", "stream": "true"}
    return {
        "attributes": attributes(values),
        "start_time_unix_nano": START,
        "time_unix_nano": START + index * 1_000_000_000,
        "flags": index % 2,
    }


def _metric(rng: random.Random, index: int) -> Metric:
    points = [_point(rng, index + offset) for offset in range(3)]
    names = ("gen_ai.client.token.usage", "http.server.active_requests", "llm.requests", "llm.latency", "llm.cost")
    metric = Metric(
        name=names[index % 5], description="made up", unit=("{token}", "1", "{request}", "s", "USD")[index % 5]
    )
    match index % 5:
        case 0:
            for each in points:
                metric.histogram.data_points.add(
                    **each, count=6, sum=12.5, min=0.5, max=9.0, bucket_counts=[1, 2, 3], explicit_bounds=[1.0, 5.0]
                )
            metric.histogram.data_points[0].exemplars.append(_exemplar(rng, index))
            metric.histogram.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
        case 1:
            metric.gauge.data_points.extend(NumberDataPoint(**each, as_int=index) for each in points)
        case 2:
            metric.sum.data_points.extend(NumberDataPoint(**each, as_double=index / 4) for each in points)
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        case 3:
            for each in points:
                point = ExponentialHistogramDataPoint(**each, count=3, sum=4.0, scale=2, zero_count=1)
                point.positive.offset = 1
                point.positive.bucket_counts.extend([1, 1])
                metric.exponential_histogram.data_points.append(point)
            metric.exponential_histogram.aggregation_temporality = (
                AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
            )
        case _:
            for each in points:
                summary = SummaryDataPoint(**each, count=5, sum=2.5)
                summary.quantile_values.add(quantile=0.5, value=1.0)
                metric.summary.data_points.append(summary)
    return metric


def _metrics(rng: random.Random, count: int) -> list[Message]:
    requests: list[Message] = []
    index = 0
    while index < count:
        request = ExportMetricsServiceRequest()
        for resource in _resources():
            group = request.resource_metrics.add(resource=resource)
            for scope in _scopes():
                inner = group.scope_metrics.add(scope=scope)
                inner.metrics.extend(_metric(rng, index + offset) for offset in range(5))
                index += 5
        requests.append(request)
    return requests


TRACE_STATES = (
    "",
    "",
    "ot=th:8",
    "ot=th:c;rv:d29d6a7215ced0",
    "ot=rv:abcdefabcdefab",
    "vendor=a,ot=th:fd70a4;x:y",
    "ot=th:0",
    "vendor=b",
)
PRIORITIES: tuple[Any, ...] = (None, None, None, None, 0, 1, "0", "2", 0.0, "no number", 100, True)


def _sampled_span(rng: random.Random, index: int) -> Span:
    """Answer a small span for samplers: random ids with the random flag, tracestates, sampling priorities."""
    span = Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        trace_state=TRACE_STATES[index % len(TRACE_STATES)],
        flags=(0x0, 0x1, 0x3)[index % 3],
        name="chat",
        start_time_unix_nano=START + index,
        end_time_unix_nano=START + index + 1,
        attributes=attributes({"user.id": f"u-{rng.randint(0, 10_000)}"}),
    )
    priority = PRIORITIES[index % len(PRIORITIES)]
    if priority is not None:
        span.attributes.extend(attributes({"sampling.priority": priority}))
    return span


def _sampled_record(rng: random.Random, index: int) -> LogRecord:
    record = _record(rng, index)
    record.attributes.extend(attributes({"sampling.key": f"k-{rng.randint(0, 10_000)}"}))
    if index % 5 == 0:
        record.attributes.extend(attributes({"priority": rng.choice((0, 25, 50.5, "75", 100))}))
    return record


def _sampled_logs(rng: random.Random, count: int) -> list[Message]:
    request = ExportLogsServiceRequest()
    inner = request.resource_logs.add(resource=_resources()[0]).scope_logs.add()
    inner.log_records.extend(_sampled_record(rng, index) for index in range(count))
    return [request]


NUMBERS: tuple[Any, ...] = (None, None, 0, 50, 75, 100, 101, -5, 2**63 - 1, 60.5, "75", True, [75])
TEXTS: tuple[Any, ...] = (None, None, None, "value1", "value2", "a value", "", "VALUE1", 7, True, ["value1"], "välue1")
TRUTHS: tuple[Any, ...] = (None, None, None, True, False, "true", 1)
WAYS = (
    "",
    "",
    "key3=value1",
    "key3=value2,other=1",
    "other=1, key3=value1 ",
    "KEY3=value1",
    "key3=value1,key3=value1",
    "key3=value1,,",
    "key3=value1=2",
    "t1@key3=value1",
    "ot=th:8",
    "ot=th:8;rv:f29d6a7215ced0",
    "ot=rv:100d6a7215ced0",
    "key3=value1,ot=th:c",
    "ot=zz:9,key3=value2",
)
LARGE = 26
"""Traces whose id begins with a smaller byte have a long text."""
TIMES = (0, 0, 1, START, START + 5_000_000_000, 2**63 + 5, 2**64 - 1)


def _tail_content(rng: random.Random) -> dict[str, Any]:
    chosen = {"key1": rng.choice(NUMBERS), "key2": rng.choice(TEXTS), "key4": rng.choice(TRUTHS)}
    return {key: value for key, value in chosen.items() if value is not None and rng.random() < 0.6}


def _tail_times(rng: random.Random) -> tuple[int, int]:
    """Answer start and end: mostly within ten seconds, sometimes backwards, without a value, or beyond 63 bits."""
    if rng.random() < 0.1:
        return rng.choice(TIMES), rng.choice(TIMES)
    start = START + rng.randrange(8_000) * 1_000_000
    return start, start + rng.choice((-1, 0, 1, 999_999, 1_000_000, 499_999_999, 1_000_000_000, 4_000_000_000))


def _tail_span(rng: random.Random, trace_id: bytes, index: int) -> Span:
    """Answer a span for policies of tail sampling: what each of them looks at, in all its types."""
    start, end = _tail_times(rng)
    span = Span(
        trace_id=trace_id,
        span_id=(index + 1).to_bytes(8, "big"),
        parent_span_id=rng.randbytes(8) if rng.random() < 0.7 else b"",
        trace_state=rng.choice(WAYS),
        flags=rng.choice((0, 0, 0, 1, 0x101, 0x100, 0xFE)),
        name=rng.choice(("chat", "tool", "health")),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=attributes(_tail_content(rng) | {"index": index}),
        status=Status(code=rng.choice(list(Status.StatusCode.values()) if rng.random() < 0.3 else [0])),
    )
    for number in range(rng.choice((0, 0, 0, 1, 2))):
        span.events.add(
            time_unix_nano=number, name=rng.choice(("exception", "choice")), attributes=attributes(_tail_content(rng))
        )
    if trace_id[0] < LARGE:
        span.attributes.extend(attributes({"text": "x" * 5000}))
    return span


def _tail() -> Inputs:
    """Answer 400 traces of one to eight spans, which come in any order, over many requests and resources.

    A tenth of them is larger than 5000 bytes, the others are smaller than 4000.
    """
    rng = random.Random(6)
    traces = [rng.randbytes(16) for _ in range(400)]
    spans = [trace_id for trace_id in traces for _ in range(rng.choice((1, 1, 2, 3, 5, 8)))]
    rng.shuffle(spans)
    requests: list[Message] = []
    while spans:
        request = ExportTraceServiceRequest()
        for _ in range(rng.randrange(1, 4)):
            group = request.resource_spans.add(
                resource=Resource(
                    attributes=attributes(_tail_content(rng) if rng.random() < 0.05 else {"service": "a"})
                )
            )
            for scope in _scopes()[: rng.randrange(1, 3)]:
                taken, spans = spans[:10], spans[10:]
                inner = group.scope_spans.add(scope=scope)
                inner.spans.extend(_tail_span(rng, one, len(spans) + place) for place, one in enumerate(taken))
        requests.append(request)
    return {"traces": requests, "metrics": [], "logs": []}


def _odd() -> Inputs:
    """Answer requests without items or with empty groups."""
    span, metric, record = Span(name="bare"), Metric(name="bare"), LogRecord()
    return {
        "traces": [
            ExportTraceServiceRequest(),
            ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=_resources()[0])]),
            ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]),
        ],
        "metrics": [
            ExportMetricsServiceRequest(
                resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])]
            )
        ],
        "logs": [ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])],
    }


def _varied() -> Inputs:
    return {
        "traces": _traces(random.Random(1), 120),
        "metrics": _metrics(random.Random(2), 60),
        "logs": _logs(random.Random(3), 120),
    }


def _sampling() -> Inputs:
    return {
        "traces": _traces(random.Random(4), 1200, _sampled_span),
        "metrics": [],
        "logs": _sampled_logs(random.Random(5), 600),
    }


INPUTS: Mapping[str, Callable[[], Inputs]] = {"varied": _varied, "sampling": _sampling, "tail": _tail, "odd": _odd}
