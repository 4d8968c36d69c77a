"""The ``k8s`` resolver: watches the EndpointSlices of a service at the API server.

With the service account of the own pod, which must be allowed to ``list`` and ``watch`` ``endpointslices`` of
``discovery.k8s.io`` in the namespace of the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from untrace_pipeline.api import StartError
from untrace_plugins.exporters.load_balancing.config import KubernetesConfig
from untrace_plugins.exporters.load_balancing.endpoint import joined
from untrace_plugins.exporters.load_balancing.resolvers import Report
from untrace_plugins.kubernetes.cluster import Cluster
from untrace_plugins.kubernetes.watch import Resource, Watch

__all__ = ["KubernetesResolver"]


class KubernetesResolver:
    """Lists the slices once, then follows their changes. Raises :class:`StartError` outside of a cluster."""

    kind = "k8s"

    def __init__(self, config: KubernetesConfig, cluster: Cluster | None = None) -> None:
        cluster = cluster or _own_cluster()
        service, _, rest = config.service.partition(".")
        namespace = rest.partition(".")[0] or cluster.namespace()
        self._slices = _Slices(config, service, namespace)
        resource = Resource(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            f"endpointslices of {service} in namespace {namespace}",
            "endpointslices",
            {"labelSelector": f"kubernetes.io/service-name={service}"},
        )
        self._watch = Watch(cluster, resource, config.timeout)

    async def run(self, report: Report) -> None:
        """Report the addresses of endpoints that are ready, and whenever they change."""
        self._slices.report = report
        await self._watch.run(self._slices)


def _own_cluster() -> Cluster:
    try:
        return Cluster.own()
    except StartError as error:
        msg = f"resolver k8s: {error}; elsewhere use static or dns"
        raise StartError(msg) from error


class _Slices:
    """The slices of a service, by name: hosts, or names, of what is ready."""

    def __init__(self, config: KubernetesConfig, service: str, namespace: str) -> None:
        self.report: Report | None = None
        self._config = config
        self._suffix = f"{service}.{namespace}"
        self._hosts: dict[str, frozenset[str]] = {}

    async def listed(self, objects: list[Mapping[str, Any]]) -> None:
        """Take all slices."""
        self._hosts = {one["metadata"]["name"]: self._ready(one) for one in objects}
        await self._tell()

    async def changed(self, found: Mapping[str, Any], *, deleted: bool) -> None:
        """Take a change."""
        name = found["metadata"]["name"]
        if deleted:
            self._hosts.pop(name, None)
        else:
            self._hosts[name] = self._ready(found)
        await self._tell()

    def failed(self, why: str) -> None:
        """Say so."""
        assert self.report is not None
        self.report.failed(why)

    def _ready(self, found: Mapping[str, Any]) -> frozenset[str]:
        """Return addresses, or names, of the endpoints of a slice that are ready.

        Differs from the Collector, which takes those that are not ready too: a request to them fails.
        """
        hosts: set[str] = set()
        for endpoint in found.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            name = endpoint.get("hostname")
            if not self._config.return_hostnames:
                hosts.update(endpoint.get("addresses") or ())
            elif name:  # it may come a moment later, with another event
                hosts.add(f"{name}.{self._suffix}")
        return frozenset(hosts)

    async def _tell(self) -> None:
        assert self.report is not None
        hosts = frozenset().union(*self._hosts.values())
        ports: Sequence[int | None] = self._config.ports or [None]
        await self.report.found([joined(host, port) for host in sorted(hosts) for port in ports])
