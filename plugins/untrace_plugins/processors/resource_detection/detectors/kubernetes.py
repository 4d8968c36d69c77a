"""The own pod, as the downward API tells it; the own node, as the API server knows it."""

from __future__ import annotations

from collections.abc import Mapping

from untrace_pipeline.api import StartError
from untrace_pipeline.data import Value
from untrace_plugins.kubernetes.cluster import Cluster
from untrace_plugins.kubernetes.watch import RefusedError, read_object
from untrace_plugins.processors.resource_detection.config import DetectorConfig, K8sNodeConfig
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

__all__ = ["node", "pod"]

_VARIABLES = {
    "k8s.pod.name": ("K8S_POD_NAME", "POD_NAME"),
    "k8s.pod.uid": ("K8S_POD_UID", "POD_UID"),
    "k8s.pod.ip": ("K8S_POD_IP", "POD_IP"),
    "k8s.namespace.name": ("K8S_NAMESPACE", "K8S_POD_NAMESPACE", "POD_NAMESPACE", "NAMESPACE"),
    "k8s.node.name": ("K8S_NODE_NAME", "NODE_NAME"),
    "k8s.container.name": ("K8S_CONTAINER_NAME", "CONTAINER_NAME"),
    "k8s.cluster.name": ("K8S_CLUSTER_NAME", "CLUSTER_NAME"),
}
"""Variables that manifests fill from the downward API, by usual names."""
_FILES = {"k8s.pod.name": "name", "k8s.pod.uid": "uid", "k8s.namespace.name": "namespace"}
"""Files of a downward volume, in ``/etc/podinfo``."""
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


async def pod(facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Read variables and files of the downward API, and what Kubernetes gives every pod."""
    if "KUBERNETES_SERVICE_HOST" not in facts.environ and facts.read(_ACCOUNT) is None:
        msg = "KUBERNETES_SERVICE_HOST is not set, and there is no service account"
        raise NotHereError(msg)
    found: dict[str, Value] = {
        name: next((facts.environ[one] for one in variables if facts.environ.get(one)), None)
        for name, variables in _VARIABLES.items()
    }
    for name, file in _FILES.items():
        found[name] = found[name] or facts.read(f"/etc/podinfo/{file}")
    found["k8s.namespace.name"] = found["k8s.namespace.name"] or facts.read(_ACCOUNT)
    found["k8s.pod.name"] = found["k8s.pod.name"] or facts.environ.get("HOSTNAME")
    return found


async def node(facts: Facts, config: K8sNodeConfig) -> Mapping[str, Value]:
    """Ask the API server for the node."""
    name = facts.environ.get(config.node_from_env_var)
    if not name:
        msg = f"{config.node_from_env_var} is not set"
        raise NotHereError(msg)
    try:
        cluster = Cluster.own(facts.environ, facts.root / "var/run/secrets/kubernetes.io/serviceaccount")
        found = await read_object(cluster, f"/api/v1/nodes/{name}", "nodes")
    except (StartError, RefusedError) as error:
        raise NotHereError(str(error)) from error
    metadata = found.get("metadata")
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    return {"k8s.node.name": name, "k8s.node.uid": uid if isinstance(uid, str) else None}
