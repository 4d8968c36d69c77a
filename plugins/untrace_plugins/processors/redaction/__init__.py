"""Keeps personal data and secrets from leaving: by detectors, and by keys and patterns as the Collector does it.

Detectors look at every text of a request, whatever holds it, and edit JSON in place (``content``). The Collector's part
has its options and results: where only values decide, the native codec names the values that match; elsewhere the raw
request is scanned for possible matches first, and only items that have one are read; RE2 confirms what is found. A
request without a hit costs about a microsecond per span in either part.
"""

from __future__ import annotations

from untrace_pipeline.api import MetricKind, MetricSpec, Settings, Stability, Transform, TransformFactory
from untrace_plugins.processors.redaction.config import RedactionConfig

__all__ = ["FACTORY"]


def _create(config: RedactionConfig, settings: Settings) -> Transform:
    from untrace_plugins.processors.redaction.both import redaction  # noqa: PLC0415  imported when created

    return redaction(config, settings)


FACTORY = TransformFactory(
    type_name="redaction",
    config=RedactionConfig,
    create=_create,
    description="removes or masks personal data, secrets, and attributes that are not allowed",
    stability=Stability.BETA,
    extra="crypto",
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
        MetricSpec(
            "processor_redaction_findings",
            MetricKind.COUNTER,
            "What detectors found, by detector and by what was done with it.",
            ("processor", "detector", "action"),
        ),
        MetricSpec(
            "processor_redaction_detector_failures",
            MetricKind.COUNTER,
            "Texts on which a detector failed or took too long.",
            ("processor", "detector"),
        ),
    ),
)
