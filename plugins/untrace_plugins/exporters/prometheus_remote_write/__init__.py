"""Exporter ``prometheus_remote_write`` (also ``prometheusremotewrite``): writes metrics to Prometheus and its kin.

Speaks Remote-Write 1.0, and 2.0 to who takes it. What is accepted is written in order; points that Prometheus has no
form for go to the dead letters. Costs about 30 µs per sample.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
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
    create=_create,
)
