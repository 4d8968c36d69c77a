"""Send a few realistic LLM traces, metrics and logs with the real OpenTelemetry SDK: ``make demo``.

The endpoint is ``OTEL_EXPORTER_OTLP_ENDPOINT`` (default ``http://localhost:4317``, gRPC).
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

ENDPOINT = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")
RESOURCE = Resource.create({"service.name": "support-agent", "deployment.environment.name": "demo"})


@dataclass(frozen=True)
class Turn:
    """One question of a user, and what the model made of it."""

    session: str
    question: str
    answer: str
    model: str
    provider: str
    tool: str | None = None
    error: str | None = None


TURNS = (
    Turn("s-1", "Where is my order 4711? My mail is jane.roe@example.org.", "It arrives tomorrow.", "gpt-4o", "openai",
         tool="lookup_order"),
    Turn("s-1", "Thanks! And my refund? SSN 078-05-1120.", "It was sent on Monday.", "gpt-4o-mini", "openai"),
    Turn("s-2", "Summarise this contract.", "Three points matter: term, price, liability.", "claude-sonnet-4",
         "anthropic"),
    Turn("s-3", "Translate the manual into Welsh.", "", "gpt-4o", "openai", error="rate_limit_exceeded"),
)  # fmt: skip


def message(role: str, text: str) -> str:
    """Return a message list in the form of the OTel GenAI conventions."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def play(turn: Turn, tracer: trace.Tracer, tokens: Histogram, log: Logger) -> None:
    """Record one agent run: the agent, the model call, the tool call."""
    rng = random.Random(turn.question)  # noqa: S311  made-up token counts
    usage = {"input": rng.randrange(200, 2000), "output": rng.randrange(20, 400)}
    common = {"gen_ai.provider.name": turn.provider, "gen_ai.request.model": turn.model, "session.id": turn.session}
    with tracer.start_as_current_span("invoke_agent support", attributes={"session.id": turn.session}):
        with tracer.start_as_current_span(f"chat {turn.model}", kind=SpanKind.CLIENT, attributes=common) as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.input.messages", message("user", turn.question))
            time.sleep(rng.uniform(0.01, 0.05))
            if turn.error:
                span.set_attribute("error.type", turn.error)
                span.set_status(StatusCode.ERROR, turn.error)
                say(log, SeverityNumber.ERROR, f"model call failed: {turn.error}")
                return
            span.set_attribute("gen_ai.output.messages", message("assistant", turn.answer))
            span.set_attribute("gen_ai.response.finish_reasons", ("stop",))
            for kind, count in usage.items():
                span.set_attribute(f"gen_ai.usage.{kind}_tokens", count)
                tokens.record(count, common | {"gen_ai.token.type": kind})
        if turn.tool:
            with tracer.start_as_current_span(f"execute_tool {turn.tool}", attributes={"gen_ai.tool.name": turn.tool}):
                say(log, SeverityNumber.INFO, f"tool {turn.tool} called")


def say(log: Logger, severity: SeverityNumber, text: str) -> None:
    """Emit one log record."""
    log.emit(timestamp=time.time_ns(), severity_number=severity, severity_text=severity.name, body=text)


def main() -> int:
    """Send everything, wait until the daemon has accepted it, and say where to look."""
    address = urlsplit(ENDPOINT)
    try:
        socket.create_connection((address.hostname or "localhost", address.port or 4317), timeout=3).close()
    except OSError as error:
        print(f"Nothing answers at {ENDPOINT} ({error}). Start the daemon first: make run", file=sys.stderr)
        return 1
    failures: list[str] = []
    watch = logging.getLogger("opentelemetry.exporter")
    watch.addHandler(_Collecting(failures))
    watch.propagate = False

    traces = TracerProvider(resource=RESOURCE)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(ENDPOINT, insecure=True, timeout=5)))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(ENDPOINT, insecure=True, timeout=5))
    metrics = MeterProvider(resource=RESOURCE, metric_readers=[reader])
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(ENDPOINT, insecure=True, timeout=5)))

    log = logs.get_logger("demo")
    tracer = traces.get_tracer("demo")
    tokens = metrics.get_meter("demo").create_histogram("gen_ai.client.token.usage", unit="{token}")

    for turn in TURNS:
        play(turn, tracer, tokens, log)
    for provider in (traces, metrics, logs):
        provider.shutdown()
    unwanted = [text for text in failures if "UNIMPLEMENTED" in text]
    if len(unwanted) < len(failures):
        lost = next(text for text in failures if text not in unwanted)
        print(f"The daemon at {ENDPOINT} did not take everything: {lost}", file=sys.stderr)
        return 1
    print(f"Sent {len(TURNS)} LLM conversations as traces, metrics and logs to {ENDPOINT}.")
    for text in unwanted:  # a configuration for traces alone is none the worse
        print(f"Not wanted there: {text.rpartition('error details: ')[2]}.")
    print("After make run they are on the daemon's console and in out/telemetry.jsonl, with e-mail and SSN masked.")
    return 0


class _Collecting(logging.Handler):
    """Keeps what the SDK only logs: failed exports."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


if __name__ == "__main__":
    sys.exit(main())
