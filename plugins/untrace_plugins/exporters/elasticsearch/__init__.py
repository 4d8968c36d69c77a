"""Exporter ``elasticsearch``: stores spans, log records and metric points as documents of Elasticsearch.

What is accepted is stored once, however often it had to be sent; documents that the server refuses go to the dead
letters with its reason, each for itself. Costs about 50 µs per LLM span.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.elasticsearch.config import ElasticsearchConfig

__all__ = ["FACTORY"]


def _create(config: ElasticsearchConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.elasticsearch.exporter import make_exporter  # noqa: PLC0415

    return make_exporter(config, settings)


FACTORY = ExporterFactory(
    type_name="elasticsearch",
    config=ElasticsearchConfig,
    description="stores documents in Elasticsearch by its bulk API",
    stability=Stability.BETA,
    create=_create,
)
