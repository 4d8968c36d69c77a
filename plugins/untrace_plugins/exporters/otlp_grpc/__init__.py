"""Exporter ``otlp_grpc`` (also ``otlp``): sends OTLP over gRPC.

Requests pass through as bytes; nothing is decoded. What is accepted is delivered at least once, or counted and logged.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.otlp_grpc.config import OtlpGrpcConfig

__all__ = ["FACTORY"]


def _create(config: OtlpGrpcConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.otlp_grpc.exporter import OtlpGrpcExporter  # noqa: PLC0415

    return OtlpGrpcExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="otlp_grpc",
    config=OtlpGrpcConfig,
    description="sends OTLP over gRPC",
    aliases=("otlp",),
    stability=Stability.BETA,
    about=About(
        title="OTLP over gRPC",
        category="protocols",
        docs="https://opentelemetry.io/docs/specs/otlp/#otlpgrpc",
        minimal={"endpoint": "collector.example.com:4317"},
        options=("endpoint", "tls", "compression", "headers", "keepalive", "balancer_name"),
        facts=(
            ("Where it goes", "to all addresses of the name in turn, unless balancer_name says otherwise"),
            ("What is sent", "OTLP as protobuf, passed through as bytes"),
        ),
        notes=("TLS is on unless `tls.insecure` is true.",),
    ),
    create=_create,
)
