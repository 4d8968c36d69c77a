"""The Kubernetes attributes processor."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from untrace_pipeline.api import Host, Settings, StartError, Status
from untrace_pipeline.conditions.requests import client_address
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value, attribute
from untrace_plugins.kubernetes.cluster import Cluster
from untrace_plugins.kubernetes.watch import Resource, Watch
from untrace_plugins.processors.k8s_attributes.catalogue import Named, Pods, reader
from untrace_plugins.processors.k8s_attributes.config import K8sAttributesConfig, Origin
from untrace_plugins.processors.k8s_attributes.objects import Extractor, Pod

__all__ = ["K8sAttributes"]

LOG_SECONDS = 30.0
"""A line about a failing watch at most this often."""
_RESOURCE = Field(Level.RESOURCE, ATTRIBUTES)
_CONNECTION = "connection"
_CONTAINER = ("k8s.container.name", "container.id", "k8s.container.restart_count")


class K8sAttributes:
    """Joins resources with what is known of their pods. A pure step, beside watches that keep that up to date."""

    def __init__(self, config: K8sAttributesConfig, settings: Settings, cluster: Cluster | None = None) -> None:
        self._config = config
        self._logger = settings.logger
        self._cluster = cluster
        self._extractor = Extractor(config)
        self._associations = _associations(config)
        self._pods = Pods(self._extractor, self._associations, partial(self._tell, "pods"))
        self._others = dict(self._needed())
        self._tasks: list[asyncio.Task[None]] = []
        self._host: Host | None = None
        self._quiet_until = float("-inf")
        self._failing: set[str] = set()
        meter = settings.meter
        self._meter = meter
        self._outcomes = {
            known: meter.counter("processor_k8s_attributes_resources", outcome="found" if known else "unknown")
            for known in (True, False)
        }

    async def start(self, host: Host) -> None:
        """Follow the API server.

        Raises :class:`StartError` outside of a cluster, and after ``wait_for_metadata`` in vain.
        """
        if self._config.passthrough:
            return
        self._host = host
        cluster = self._cluster or Cluster.own()
        followed: dict[str, Pods | Named] = {"pods": self._pods, **self._others}
        for kind, follower in followed.items():
            watch = Watch(cluster, self._resource(kind))
            self._meter.gauge("processor_k8s_attributes_objects", kind=kind).observe_with(partial(len, follower))
            self._tasks.append(host.spawn(watch.run(follower), name=f"watch {kind}"))
        if self._config.wait_for_metadata:
            await self._wait(list(followed.values()))

    async def shutdown(self) -> None:
        """Follow it no longer."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with its resources completed; no item is ever dropped."""
        if not batch.row_count(Level.RESOURCE):
            return batch
        address = client_address(batch.context)
        additions: dict[str, dict[int, Value]] = {}
        for row, own in enumerate(batch.column(_RESOURCE)):
            known = own if isinstance(own, dict) else {}
            for name, value in self._found(known, address).items():
                if value not in (None, "") and known.get(name) is None:
                    additions.setdefault(name, {})[row] = value
        for name, values in additions.items():
            batch.set(attribute(name, Level.RESOURCE), list(values.values()), list(values))
        return batch

    # --------------------------------------------------------------- joining

    def _found(self, own: Mapping[str, Value], address: str) -> Mapping[str, Value]:
        """Return the attributes for a resource."""
        if self._config.passthrough:
            return {"k8s.pod.ip": address} if _is_address(address) else {}
        pod = self._pod(own, address)
        self._outcomes[pod is not None].add()
        found: dict[str, Value] = {}
        if pod is not None:
            found |= pod.attributes
            container = pod.of_container(*[own.get(name) for name in _CONTAINER])
            found |= {name: value for name, value in container.items() if name in self._extractor.wanted}
            found |= self._other("replicasets", f"{pod.namespace}/{pod.replicaset}")
        namespace, node = own.get("k8s.namespace.name"), own.get("k8s.node.name")
        found |= self._other("namespaces", namespace or (pod.namespace if pod else None))
        found |= self._other("nodes", node or (pod.node if pod else None))
        if "k8s.cluster.uid" in self._extractor.wanted:
            found["k8s.cluster.uid"] = self._other("namespaces", "kube-system").get("k8s.cluster.uid")
        return found

    def _pod(self, own: Mapping[str, Value], address: str) -> Pod | None:
        for number, names in enumerate(self._associations):
            values = [address if name == _CONNECTION else own.get(name) for name in names]
            if all(isinstance(value, str) and value for value in values):
                pod = self._pods.find(number, values)  # type: ignore[arg-type]
                if pod is not None:
                    return pod
        return None

    def _other(self, kind: str, name: Value) -> Mapping[str, Value]:
        follower = self._others.get(kind)
        return follower.get(name) if follower is not None and isinstance(name, str) else {}

    # -------------------------------------------------------------- following

    def _needed(self) -> Iterator[tuple[str, Named]]:
        """Yield what has to be followed besides pods."""
        extractor, wanted = self._extractor, self._extractor.wanted
        if extractor.needs(Origin.NAMESPACE) or "k8s.cluster.uid" in wanted:
            read = reader(extractor, Origin.NAMESPACE, "k8s.cluster.uid")
            yield "namespaces", Named(_only_of("kube-system", read), partial(self._tell, "namespaces"))
        if extractor.needs(Origin.NODE) or "k8s.node.uid" in wanted:
            yield "nodes", Named(reader(extractor, Origin.NODE, "k8s.node.uid"), partial(self._tell, "nodes"))
        if "k8s.deployment.uid" in wanted:
            yield "replicasets", Named(_deployment, partial(self._tell, "replicasets"), by_namespace=True)

    def _resource(self, kind: str) -> Resource:
        namespace = self._config.filter.namespace
        group = "/apis/apps/v1" if kind == "replicasets" else "/api/v1"
        within = f"/namespaces/{namespace}" if namespace and kind in {"pods", "replicasets"} else ""
        what = f"{kind} of namespace {namespace}" if within else kind
        return Resource(
            f"{group}{within}/{kind}", what, kind, self._config.filter.selectors() if kind == "pods" else {}
        )

    async def _wait(self, followers: Sequence[Pods | Named]) -> None:
        timeout = self._config.wait_for_metadata_timeout
        try:
            async with asyncio.timeout(timeout):
                for follower in followers:
                    await follower.complete.wait()
        except TimeoutError:
            msg = f"the API server did not tell of all pods within {timeout:g} s (wait_for_metadata)"
            raise StartError(msg) from None

    def _tell(self, kind: str, why: str) -> None:
        """Take what a watch says: why it fails, or nothing if all is well."""
        if not why:
            self._failing.discard(kind)
            if self._host is not None and not self._failing:
                self._host.report(Status.OK)
            return
        self._failing.add(kind)
        self._meter.counter("processor_k8s_attributes_watch_failures", kind=kind).add()
        if self._host is not None:
            self._host.report(Status.RECOVERABLE_ERROR, why)
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + LOG_SECONDS
            self._logger.warning("%s; what is known stays in use, and it is tried again", why)


def _associations(config: K8sAttributesConfig) -> list[tuple[str, ...]]:
    own = [tuple([one.name or _CONNECTION for one in association.sources]) for association in config.pod_association]
    return own or [("k8s.pod.ip",), ("k8s.pod.uid",), (_CONNECTION,), ("host.name",)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _only_of(
    name: str, read: Callable[[Mapping[str, Any]], dict[str, Value]]
) -> Callable[[Mapping[str, Any]], dict[str, Value]]:
    """Let the uid of one namespace stand for the cluster; those of the others are nothing."""

    def only(metadata: Mapping[str, Any]) -> dict[str, Value]:
        found = read(metadata)
        if metadata["name"] != name:
            found.pop("k8s.cluster.uid", None)
        return found

    return only


def _deployment(metadata: Mapping[str, Any]) -> dict[str, Value]:
    """Return the uid of the deployment that a replica set belongs to."""
    owners = metadata.get("ownerReferences") or ()
    return next(({"k8s.deployment.uid": one.get("uid")} for one in owners if one.get("kind") == "Deployment"), {})
