"""Inserts, changes, hashes, converts and removes resource attributes, with the actions of ``attributes``.

Costs next to nothing per item: a request has few resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Settings, Stability, TransformFactory
from untrace_plugins.processors.resource.config import ResourceConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.resource.processor import ResourceProcessor

__all__ = ["FACTORY"]


def _create(config: ResourceConfig, settings: Settings) -> ResourceProcessor:
    from untrace_plugins.processors.resource.processor import ResourceProcessor  # noqa: PLC0415  when created

    return ResourceProcessor(config)


FACTORY = TransformFactory(
    type_name="resource",
    config=ResourceConfig,
    create=_create,
    description="edits attributes of resources",
    stability=Stability.BETA,
)
