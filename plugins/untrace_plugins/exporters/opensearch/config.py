"""Options of the exporter ``opensearch``."""

from __future__ import annotations

from untrace_plugins.bulk.config import BulkConfig

__all__ = ["OpensearchConfig"]


class OpensearchConfig(BulkConfig):
    """Those of ``elasticsearch`` without what only Elastic has."""
