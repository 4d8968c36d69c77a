"""Removes attributes that are not allowed and masks what must not leave: the Collector's options and results.

Where only values decide, the native codec names the values that match. Elsewhere, where only values and key patterns
decide, the raw request is scanned for possible matches first, and only items that have one are read; what is found is
confirmed with RE2, so results are exact. A request without a hit costs about a microsecond per span either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import MetricKind, MetricSpec, Settings, Stability, TransformFactory
from untrace_plugins.processors.redaction.config import RedactionConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.redaction.processor import Redaction

__all__ = ["FACTORY"]


def _create(config: RedactionConfig, settings: Settings) -> Redaction:
    from untrace_plugins.processors.redaction.processor import Redaction  # noqa: PLC0415  imported when created

    return Redaction(config, settings)


FACTORY = TransformFactory(
    type_name="redaction",
    config=RedactionConfig,
    create=_create,
    description="removes attributes that are not allowed, masks or hashes blocked values",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "processor_redaction_suspect_items",
            MetricKind.COUNTER,
            "Items that were looked at closely, because something in them may have to go.",
            ("processor",),
        ),
        MetricSpec(
            "processor_redaction_masked_values",
            MetricKind.COUNTER,
            "Values in which something was masked or hashed.",
            ("processor",),
        ),
        MetricSpec(
            "processor_redaction_removed_attributes",
            MetricKind.COUNTER,
            "Attributes that were removed because their key is not allowed.",
            ("processor",),
        ),
    ),
)
