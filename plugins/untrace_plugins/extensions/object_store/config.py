"""Options of the extension ``object_store``."""

from __future__ import annotations

from untrace_pipeline.api import ComponentConfig
from untrace_plugins.stores import StoreConfig

__all__ = ["ContentStoreConfig"]


class ContentStoreConfig(StoreConfig, ComponentConfig):
    """Where contents are kept."""
