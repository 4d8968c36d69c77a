"""Adds what the API server knows of the pod that a resource comes from: workload, node, images, labels, annotations.

Pods are followed with a watch that goes on after whatever happens; a request is joined with what is known at that
moment, without waiting for anybody. Costs a few microseconds per resource, nothing per item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Aggregation, MetricKind, MetricSpec, Settings, Stability, TransformFactory
from untrace_plugins.processors.k8s_attributes.config import K8sAttributesConfig

if TYPE_CHECKING:
    from untrace_plugins.processors.k8s_attributes.processor import K8sAttributes

__all__ = ["FACTORY"]


def _create(config: K8sAttributesConfig, settings: Settings) -> K8sAttributes:
    from untrace_plugins.processors.k8s_attributes.processor import K8sAttributes  # noqa: PLC0415  when created

    return K8sAttributes(config, settings)


FACTORY = TransformFactory(
    type_name="k8s_attributes",
    aliases=("k8sattributes",),
    config=K8sAttributesConfig,
    create=_create,
    description="adds metadata of the Kubernetes pod that data comes from",
    stability=Stability.BETA,
    metrics=(
        MetricSpec(
            "processor_k8s_attributes_objects",
            MetricKind.GAUGE,
            "Objects of the API server that are known, by kind: pods, namespaces, nodes, replicasets.",
            ("processor", "kind"),
            aggregation=Aggregation.MAX,
        ),
        MetricSpec(
            "processor_k8s_attributes_resources",
            MetricKind.COUNTER,
            "Resources by whether their pod was known; outcome: found, unknown.",
            ("processor", "outcome"),
        ),
        MetricSpec(
            "processor_k8s_attributes_watch_failures",
            MetricKind.COUNTER,
            "Failures to list or follow objects of the API server; it is tried again.",
            ("processor", "kind"),
        ),
    ),
)
