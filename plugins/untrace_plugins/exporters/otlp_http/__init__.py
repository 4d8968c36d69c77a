"""Exporter ``otlp_http`` (also ``otlphttp``): sends OTLP over HTTP, as protobuf or JSON.

Protobuf requests pass through as bytes. What is accepted is delivered at least once, or counted and logged.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.otlp_http.config import OtlpHttpConfig

__all__ = ["FACTORY"]


def _create(config: OtlpHttpConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.otlp_http.exporter import OtlpHttpExporter  # noqa: PLC0415

    return OtlpHttpExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="otlp_http",
    config=OtlpHttpConfig,
    description="sends OTLP over HTTP, as protobuf or JSON",
    aliases=("otlphttp",),
    stability=Stability.BETA,
    about=About(
        title="OTLP over HTTP",
        category="protocols",
        docs="https://opentelemetry.io/docs/specs/otlp/#otlphttp",
        minimal={"endpoint": "https://collector.example.com:4318"},
        options=(
            "endpoint",
            "traces_endpoint",
            "metrics_endpoint",
            "logs_endpoint",
            "encoding",
            "compression",
            "headers",
        ),
        facts=(
            (
                "Where it goes",
                "the endpoint with /v1/traces, /v1/metrics or /v1/logs added, or the whole URL of a signal",
            ),
            ("What is sent", "OTLP as protobuf, passed through as bytes, or as JSON"),
        ),
    ),
    create=_create,
)
