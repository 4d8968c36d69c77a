"""The exporter ``opensearch``."""

from __future__ import annotations

from untrace_pipeline.api import Settings
from untrace_plugins.bulk.exporter import BulkExporter, Dialect
from untrace_plugins.exporters.opensearch.config import OpensearchConfig

__all__ = ["make_exporter"]


def make_exporter(config: OpensearchConfig, settings: Settings) -> BulkExporter:
    """Return an exporter that speaks as OpenSearch expects it."""
    dialect = Dialect({"type": "flat_object"}, time_series=False, credentials=config.credentials())
    return BulkExporter(config, settings, dialect)
