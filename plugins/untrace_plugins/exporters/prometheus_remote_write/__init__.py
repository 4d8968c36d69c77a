"""Exporter ``prometheus_remote_write`` (also ``prometheusremotewrite``): writes metrics to Prometheus and its kin.

Speaks Remote-Write 1.0, and 2.0 to who takes it. What is accepted is written in order; points that Prometheus has no
form for go to the dead letters. Costs about 30 µs per sample.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_pipeline.data import Signal
from untrace_plugins.exporters.prometheus_remote_write.config import RemoteWriteConfig

__all__ = ["FACTORY"]


def _create(config: RemoteWriteConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.prometheus_remote_write.exporter import RemoteWriteExporter  # noqa: PLC0415

    return RemoteWriteExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="prometheus_remote_write",
    config=RemoteWriteConfig,
    description="writes metrics to Prometheus, Mimir, Thanos or VictoriaMetrics",
    aliases=("prometheusremotewrite",),
    stability=Stability.BETA,
    signals=frozenset({Signal.METRICS}),
    extra="remote-write",
    about=About(
        title="Prometheus Remote-Write",
        category="observability",
        docs="https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/",
        minimal={"endpoint": "http://localhost:9090/api/v1/write"},
        options=("protobuf_message", "namespace", "external_labels", "resource_to_telemetry_conversion", "target_info"),
        facts=(
            ("What is sent", "series of Remote-Write 1.0 or 2.0, with native histograms and exemplars"),
            ("Order", "one request at a time; samples of a series by time"),
            ("Points without a form", "deltas: dead letters, the others are written"),
        ),
        look="a query for the metric, or for `target_info`",
        notes=("Prometheus takes it with `--web.enable-remote-write-receiver`; Mimir and VictoriaMetrics always do.",),
    ),
    create=_create,
)
