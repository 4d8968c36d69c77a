"""Sends one span, one log record and one metric with the real OpenTelemetry SDK of Python.

python python_sdk.py <grpc|proto> <endpoint>
"""

from __future__ import annotations

import sys
from importlib import import_module

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

ATTRIBUTES = {
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1234,
    "gen_ai.request.temperature": 0.25,
    "gen_ai.response.finish_reasons": ("stop", "length"),
    "gen_ai.input.messages": '[{"role":"user","content":"Grüße, 世界 🌍"}]',
    "cached": True,
}


def exporters(protocol: str, endpoint: str) -> list:
    """Return the exporters of traces, logs and metrics."""
    package = "opentelemetry.exporter.otlp.proto." + {"grpc": "grpc", "proto": "http"}[protocol]
    made = []
    for module, name, signal in (
        ("trace_exporter", "OTLPSpanExporter", "traces"),
        ("_log_exporter", "OTLPLogExporter", "logs"),
        ("metric_exporter", "OTLPMetricExporter", "metrics"),
    ):
        exporter = getattr(import_module(f"{package}.{module}"), name)
        url = (
            {"endpoint": endpoint, "insecure": True} if protocol == "grpc" else {"endpoint": f"{endpoint}/v1/{signal}"}
        )
        made.append(exporter(**url))
    return made


def main(protocol: str, endpoint: str) -> None:
    """Send everything and wait until it was accepted."""
    resource = Resource.create({"service.name": f"python-{protocol}"})
    to_traces, to_logs, to_metrics = exporters(protocol, endpoint)

    traces = TracerProvider(resource=resource)
    traces.add_span_processor(SimpleSpanProcessor(to_traces))
    span = traces.get_tracer("e2e", "1.2.3").start_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=ATTRIBUTES)
    span.add_event("gen_ai.choice", {"index": 0})
    span.set_status(StatusCode.ERROR, "rate limited")
    span.end()

    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(SimpleLogRecordProcessor(to_logs))
    logs.get_logger("e2e").emit(
        body="model called", severity_number=SeverityNumber.INFO, severity_text="INFO", attributes=ATTRIBUTES
    )

    metrics = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(to_metrics)])
    usage = metrics.get_meter("e2e").create_histogram("gen_ai.client.token.usage", unit="{token}")
    usage.record(1234, {"cached": True})

    for provider in (traces, logs, metrics):
        provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
