"""Exporter ``opensearch``: stores spans, log records and metric points as documents of OpenSearch.

What is accepted is stored once, however often it had to be sent; documents that the server refuses go to the dead
letters with its reason, each for itself. Costs about 50 µs per LLM span.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.opensearch.config import OpensearchConfig

__all__ = ["FACTORY"]


def _create(config: OpensearchConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.opensearch.exporter import make_exporter  # noqa: PLC0415

    return make_exporter(config, settings)


FACTORY = ExporterFactory(
    type_name="opensearch",
    config=OpensearchConfig,
    description="stores documents in OpenSearch by its bulk API",
    stability=Stability.BETA,
    create=_create,
)
