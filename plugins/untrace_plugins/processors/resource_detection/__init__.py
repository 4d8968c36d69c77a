"""Finds out where the daemon runs, once at start, and writes that onto every resource: host, container, pod, cloud.

Detection is bounded in time and never keeps the daemon from starting. Costs next to nothing per item: a request has few
resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import MetricKind, MetricSpec, Settings, Stability, TransformFactory
from untrace_plugins.processors.resource_detection.config import ResourceDetectionConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.resource_detection.processor import ResourceDetection

__all__ = ["FACTORY"]


def _create(config: ResourceDetectionConfig, settings: Settings) -> ResourceDetection:
    from untrace_plugins.processors.resource_detection.processor import ResourceDetection  # noqa: PLC0415  when created

    return ResourceDetection(config, settings)


FACTORY = TransformFactory(
    type_name="resource_detection",
    aliases=("resourcedetection",),
    config=ResourceDetectionConfig,
    create=_create,
    description="adds what is known of the host, container, pod and cloud to resources",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "processor_resource_detection_runs",
            MetricKind.COUNTER,
            "Runs of a detector; outcome: found, nothing (this is no such place), failed.",
            ("processor", "detector", "outcome"),
        ),
    ),
)
