"""The detectors, by name: each finds attributes, or raises :class:`NotHereError`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.attributes import DetectorName
from untrace_plugins.processors.resource_detection.detectors import aws, azure, gcp, kubernetes, local
from untrace_plugins.processors.resource_detection.machine_facts import Facts

__all__ = ["DETECTORS", "Detect"]

Detect: TypeAlias = Callable[[Facts, Any], Awaitable[Mapping[str, Value]]]
"""Finds attributes, given the machine and the options of the detector; ``None`` values are left out."""

DETECTORS: Mapping[DetectorName, Detect] = {
    DetectorName.ENV: local.env,
    DetectorName.SYSTEM: local.system,
    DetectorName.PROCESS: local.process,
    DetectorName.CONTAINER: local.container,
    DetectorName.DOCKER: local.docker,
    DetectorName.KUBERNETES: kubernetes.pod,
    DetectorName.K8S_NODE: kubernetes.node,
    DetectorName.EC2: aws.ec2,
    DetectorName.ECS: aws.ecs,
    DetectorName.LAMBDA: aws.lambda_function,
    DetectorName.GCP: gcp.gcp,
    DetectorName.AZURE: azure.azure,
}
