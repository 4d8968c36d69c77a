"""Merges small requests into larger ones, and keeps acknowledgement.

Callers wait until the merged batch that holds their items was accepted; a refusal reaches exactly them. Merging joins
bytes, so nothing is decoded unless a request must be split. Costs one future per request and one task per merged batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Consumer, ProcessorFactory, Settings, Stability
from untrace_plugins.processors.batch.config import BatchConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.batch.processor import BatchProcessor

__all__ = ["FACTORY"]


def _create(config: BatchConfig, settings: Settings, next: Consumer) -> BatchProcessor:
    from untrace_plugins.processors.batch.processor import BatchProcessor  # noqa: PLC0415  imported when created

    return BatchProcessor(config, settings, next)


FACTORY = ProcessorFactory(
    type_name="batch",
    config=BatchConfig,
    create=_create,
    description="merges requests by bytes, items and time, and keeps acknowledgement",
    stability=Stability.BETA,
)
