"""The real OpenTelemetry SDK sends into the receiver over each transport, and what arrives is what it sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.integration.hostile.harness import receiver
from tests.support.transports import served_by
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal

__all__ = ["served_by"]

ATTRIBUTE_MAP = Field(Level.ITEM, ATTRIBUTES)
VALUES: dict[str, Any] = {
    "gen_ai.request.model": "gpt-4o",
    "text": "Grüße 👋\n\u0000",
    "count": -(2**63),
    "share": 0.1,
    "flag": False,
    "tags": ["a", "b"],
    "empty": "",
}
RESOURCE = Resource({"service.name": "sdk", "host.name": "here"})


def send_spans(exporter: Any) -> None:
    """Record three spans and flush them."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    for number in range(3):
        with provider.get_tracer("test").start_as_current_span(f"chat {number}", attributes=VALUES):
            pass
    provider.shutdown()


def send_metrics(exporter: Any) -> None:
    """Record one counter and flush it."""
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 1e6)], resource=RESOURCE)
    provider.get_meter("test").create_counter("tokens").add(7, VALUES)
    provider.shutdown()


def send_logs(exporter: Any) -> None:
    """Emit one record and flush it."""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    record = LogRecord(body="hello", severity_number=SeverityNumber.INFO, attributes=VALUES)
    provider.get_logger("test").emit(record)
    provider.shutdown()


SENDERS: dict[Signal, tuple[Callable[[Any], None], Any, Any, int]] = {
    Signal.TRACES: (send_spans, GrpcSpans, HttpSpans, 3),
    Signal.METRICS: (send_metrics, GrpcMetrics, HttpMetrics, 1),
    Signal.LOGS: (send_logs, GrpcLogs, HttpLogs, 1),
}


@pytest.mark.parametrize("transport", ["grpc", "http", "http-gzip"])
@pytest.mark.parametrize("signal", Signal)
async def test_attributes_arrive_as_they_were_set(signal: Signal, transport: str) -> None:
    """Every attribute value of every kind is the same at the other end."""
    send, over_grpc, over_http, count = SENDERS[signal]
    async with receiver(grpc={}, http={}) as running:
        if transport == "grpc":
            exporter = over_grpc(endpoint=running.grpc_target, insecure=True)
        else:
            compression = Compression.Gzip if transport == "http-gzip" else Compression.NoCompression
            endpoint = f"http://127.0.0.1:{running.http_port}/v1/{signal}"
            exporter = over_http(endpoint=endpoint, compression=compression)
        await asyncio.to_thread(send, exporter)
        assert running.sink.item_count == count
        assert running.sink.column(ATTRIBUTE_MAP) == [VALUES] * count
        name = Field(Level.RESOURCE, ATTRIBUTES, "service.name")
        assert running.sink.column(name, Level.ITEM) == ["sdk"] * count
