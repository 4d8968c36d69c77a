"""Exporter ``otlp_http`` (also ``otlphttp``): sends OTLP over HTTP, as protobuf or JSON.

Protobuf requests pass through as bytes. What is accepted is delivered at least once, or counted and logged.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
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
    create=_create,
)
