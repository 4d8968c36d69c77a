"""Changes telemetry by OTTL statements, as the Collector's transform processor does, and by operations of our own.

Both are compiled when the configuration is checked and run on whole columns; only what changed is written, once.
What has no answer for an item leaves it alone, and is counted. Custom functions run in processes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Consumer, MetricKind, MetricSpec, ProcessorFactory, Settings, Stability
from untrace_plugins.processors.transform.config import TransformConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.transform.processor import TransformProcessor

__all__ = ["FACTORY"]


def _create(config: TransformConfig, settings: Settings, next: Consumer) -> TransformProcessor:
    from untrace_plugins.processors.transform.processor import TransformProcessor  # noqa: PLC0415  when created

    return TransformProcessor(config, settings, next)


FACTORY = ProcessorFactory(
    type_name="transform",
    config=TransformConfig,
    create=_create,
    description="changes telemetry by OTTL statements, operations and Python functions",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "processor_transform_errors",
            MetricKind.COUNTER,
            "Times that a statement had no answer for an item and left it alone, or refused the request.",
            ("processor",),
        ),
        MetricSpec(
            "processor_transform_function_calls",
            MetricKind.COUNTER,
            "Calls of custom functions; outcome: success, raised, timeout, died (its process), paused (not called).",
            ("processor", "outcome"),
        ),
    ),
)
