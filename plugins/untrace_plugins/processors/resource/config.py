"""Options of the resource processor."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ComponentConfig
from untrace_plugins.processors.attributes.config import ActionConfig

__all__ = ["ResourceConfig"]


class ResourceConfig(ComponentConfig):
    """Edits attributes of every resource."""

    attributes: list[ActionConfig] = Field(min_length=1)
    """What is done, in order; the actions of the ``attributes`` processor."""
