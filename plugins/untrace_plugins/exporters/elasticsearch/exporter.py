"""The exporter ``elasticsearch``."""

from __future__ import annotations

from untrace_pipeline.api import Settings
from untrace_plugins.bulk.exporter import BulkExporter, Dialect
from untrace_plugins.bulk.flat import LONGEST_KEYWORD
from untrace_plugins.exporters.elasticsearch.config import ElasticsearchConfig

__all__ = ["make_exporter"]


def make_exporter(config: ElasticsearchConfig, settings: Settings) -> BulkExporter:
    """Return an exporter that speaks as Elasticsearch expects it."""
    whole_object = {"type": "flattened", "ignore_above": LONGEST_KEYWORD}
    dialect = Dialect(whole_object, time_series=True, credentials=config.credentials())
    return BulkExporter(config, settings, dialect)
