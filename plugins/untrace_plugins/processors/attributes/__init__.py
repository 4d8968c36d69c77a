"""Inserts, changes, hashes, converts and removes attributes of spans, log records and data points.

Every action works on whole columns, and only rows that change are rewritten. Costs about 1 µs per action and 100 rows
on top of reading the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Settings, Stability, TransformFactory
from untrace_plugins.processors.attributes.config import AttributesConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.attributes.processor import AttributesProcessor

__all__ = ["FACTORY"]


def _create(config: AttributesConfig, settings: Settings) -> AttributesProcessor:
    from untrace_plugins.processors.attributes.processor import AttributesProcessor  # noqa: PLC0415  when created

    return AttributesProcessor(config, settings)


FACTORY = TransformFactory(
    type_name="attributes",
    config=AttributesConfig,
    create=_create,
    description="edits attributes of spans, log records and data points",
    stability=Stability.BETA,
)
