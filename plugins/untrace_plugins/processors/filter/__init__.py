"""Drops what satisfies a condition: whole resources and scopes, metrics, spans, log records, data points, span events.

A pure step: conditions are compiled when the configuration is checked, and each list of them reads its columns once.
What is dropped is counted as ``dropped_items{reason="filtered"}``; containers left empty vanish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Settings, Stability, TransformFactory
from untrace_plugins.processors.filter.config import FilterConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.filter.processor import FilterProcessor

__all__ = ["FACTORY"]


def _create(config: FilterConfig, settings: Settings) -> FilterProcessor:
    from untrace_plugins.processors.filter.processor import FilterProcessor  # noqa: PLC0415  imported when created

    return FilterProcessor(config, settings)


FACTORY = TransformFactory(
    type_name="filter",
    config=FilterConfig,
    create=_create,
    description="drops items that satisfy a condition",
    drop_reason="filtered",
    stability=Stability.BETA,
)
