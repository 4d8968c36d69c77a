"""Servers that take OTLP and give it back: Jaeger, the Collector, Datadog's agent for tests."""

from __future__ import annotations

import base64
import json
from types import TracebackType
from typing import Any, Self

from tests.support.destinations.fields import READS
from tests.support.destinations.native import datadog
from tests.support.llm_calls import SpanView
from tests.support.peers import Collector, DatadogAgent, Jaeger, collector_binary
from tests.support.proofs.place import SpanPlace, Stored, stored
from tests.support.proofs.places.served import ServedPlace, ask, from_json, from_proto_json
from tests.support.proofs.versions import pinned
from untrace_pipeline.data import Batch
from untrace_plugins.genai import names

__all__ = ["COLLECTOR_EXPORTERS", "CollectorPlace", "DatadogAgentPlace", "JaegerPlace", "LlmObservabilityPlace"]

COLLECTOR_EXPORTERS = ("otel_collector", "otlp_grpc", "otlp_http")


class DatadogAgentPlace(ServedPlace[DatadogAgent], SpanPlace):
    """Its limit of 1 MiB is its own."""

    name: str = "datadog_agent"
    reads = READS["datadog"]

    def __init__(self) -> None:
        super().__init__(DatadogAgent())

    @property
    def peer(self) -> str:
        return f"ddapm-test-agent {pinned('ddapm', 'ddapm-test-agent')}"

    @property
    def url(self) -> str:
        return str(self.server.otlp_url)

    def read(self) -> list[Stored]:
        return list(from_proto_json(ask(f"{self.server.otlp_url}/test/session/traces")))


class LlmObservabilityPlace(ServedPlace[DatadogAgent], SpanPlace):
    """What the agent passes on to LLM Observability, read as that would."""

    name: str = "datadog_agent_llm_observability"
    exports = r"/api/v2/llmobs$"
    reads = READS["datadog_agent_llm_observability"]

    def __init__(self) -> None:
        super().__init__(DatadogAgent())

    @property
    def peer(self) -> str:
        return f"ddapm-test-agent {pinned('ddapm', 'ddapm-test-agent')}"

    def takes(self, span: SpanView) -> bool:
        return names.DIALECT in span.attributes

    def read(self) -> list[Stored]:
        requests = ask(f"{self.server.url}/test/session/requests")
        bodies = [base64.b64decode(one["body"]) for one in requests if one["url"].endswith("/api/v2/llmobs")]
        batches = [datadog("", {}, body) for body in bodies]
        return [span for batch in batches if isinstance(batch, Batch) for span in stored(batch)]


class JaegerPlace(ServedPlace[Jaeger], SpanPlace):
    """All in one, with its data in memory."""

    name: str = "jaeger"

    def __init__(self) -> None:
        super().__init__(Jaeger())

    @property
    def peer(self) -> str:
        return f"Jaeger {pinned('jaeger', 'jaegertracing/jaeger')}"

    @property
    def url(self) -> str:
        return str(self.server.otlp_url)

    def read(self) -> list[Stored]:
        """Ask for the traces of each service."""
        services = ask(f"{self.server.url}/api/services")["data"] or []
        found: list[Stored] = []
        for service in services:
            traces = ask(f"{self.server.url}/api/traces?service={service}&limit=1000")["data"]
            for trace in traces:
                found += from_json([ask(f"{self.server.url}/api/v3/traces/{trace['traceID']}")["result"]])
        return found


_COLLECTOR: dict[str, Any] = {
    "receivers": {
        "otlp": {
            "protocols": {
                "http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"},
                "grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"},
            }
        }
    },
    "exporters": {"file": {"path": "spans.jsonl", "flush_interval": "100ms"}},
    "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}},
}


class CollectorPlace(SpanPlace):
    """The OpenTelemetry Collector, which writes to a file."""

    def __init__(self, exporter: str) -> None:
        self.name = exporter
        self._collector = Collector(_COLLECTOR)

    @property
    def peer(self) -> str:
        return f"OpenTelemetry Collector {pinned('collector', 'collector/otelcol')}"

    @property
    def url(self) -> str:
        """Without a gate where it is not HTTP."""
        return "" if self.name == "otlp_grpc" else f"http://{self._collector.endpoint('HTTP_PORT')}"

    def options(self, url: str) -> dict[str, Any]:
        if self.name == "otlp_grpc":
            return {"endpoint": self._collector.endpoint("GRPC_PORT"), "tls": {"insecure": True}}
        return {"endpoint": url}

    def read(self) -> list[Stored]:
        path = self._collector.directory / "spans.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return list(from_json(json.loads(line) for line in lines if line.endswith("\n")))

    def __enter__(self) -> Self:
        collector_binary(build=False)
        self._collector.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collector.__exit__(kind, error, trace)
