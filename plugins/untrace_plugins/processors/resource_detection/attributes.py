"""The attributes of each detector, and which of them are written unless the configuration says otherwise."""

from __future__ import annotations

import enum
from collections.abc import Mapping

__all__ = ["ATTRIBUTES", "DetectorName"]


class DetectorName(enum.StrEnum):
    """Who looks."""

    ENV = "env"
    SYSTEM = "system"
    PROCESS = "process"
    CONTAINER = "container"
    KUBERNETES = "kubernetes"
    K8S_NODE = "k8snode"
    DOCKER = "docker"
    EC2 = "ec2"
    ECS = "ecs"
    LAMBDA = "lambda"
    GCP = "gcp"
    AZURE = "azure"


def _table(on: str, off: str = "") -> dict[str, bool]:
    return {**dict.fromkeys(on.split(), True), **dict.fromkeys(off.split(), False)}


ATTRIBUTES: Mapping[DetectorName, Mapping[str, bool]] = {
    DetectorName.ENV: {},  # whatever the variable holds
    DetectorName.SYSTEM: _table(
        "host.name os.type",
        "host.id host.arch host.ip host.mac host.interface os.description os.name os.version os.build.id "
        "host.cpu.vendor.id host.cpu.family host.cpu.model.id host.cpu.model.name host.cpu.stepping",
    ),
    DetectorName.PROCESS: _table(
        "process.pid process.executable.name process.executable.path process.owner",
        "process.parent_pid process.command_args process.runtime.name process.runtime.version "
        "process.runtime.description",
    ),
    DetectorName.CONTAINER: _table("container.id"),
    DetectorName.KUBERNETES: _table(
        "k8s.pod.name k8s.pod.uid k8s.namespace.name k8s.node.name k8s.container.name", "k8s.pod.ip k8s.cluster.name"
    ),
    DetectorName.K8S_NODE: _table("k8s.node.name k8s.node.uid"),
    DetectorName.DOCKER: _table("host.name os.type", "container.name container.image.name"),
    DetectorName.EC2: _table(
        "cloud.provider cloud.platform cloud.region cloud.account.id cloud.availability_zone host.id host.image.id "
        "host.name host.type"
    ),
    DetectorName.ECS: _table(
        "cloud.provider cloud.platform cloud.region cloud.account.id cloud.availability_zone aws.ecs.cluster.arn "
        "aws.ecs.task.arn aws.ecs.task.family aws.ecs.task.id aws.ecs.task.revision aws.ecs.launchtype "
        "aws.log.group.names aws.log.group.arns aws.log.stream.names aws.log.stream.arns"
    ),
    DetectorName.LAMBDA: _table(
        "cloud.provider cloud.platform cloud.region faas.name faas.version faas.instance faas.max_memory "
        "aws.log.group.names aws.log.stream.names"
    ),
    DetectorName.GCP: _table(
        "cloud.provider cloud.platform cloud.account.id cloud.region cloud.availability_zone host.id host.name "
        "host.type k8s.cluster.name faas.name faas.version faas.instance gcp.cloud_run.job.execution "
        "gcp.cloud_run.job.task_index",
        "gcp.gce.instance.name gcp.gce.instance.hostname",
    ),
    DetectorName.AZURE: _table(
        "cloud.provider cloud.platform cloud.region cloud.account.id host.id host.name azure.resourcegroup.name "
        "azure.vm.name azure.vm.size azure.vm.scaleset.name",
        "cloud.availability_zone",
    ),
}
"""``True``: written by default."""
