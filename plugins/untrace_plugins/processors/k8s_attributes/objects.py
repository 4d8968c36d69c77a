"""From objects of the API server to attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data import Value
from untrace_plugins.processors.k8s_attributes.config import ExtractedField, K8sAttributesConfig, Origin

__all__ = ["Container", "Extractor", "Pod"]

_OTEL = "resource.opentelemetry.io/"
_IGNORED = "opentelemetry.io/k8s-processor/ignore"
_CRONJOB = re.compile(r"(.+)-\d{8,10}\Z")
_GROUP = re.compile(r"\$(\d)|\$\{(\d)\}")
_OWNERS = ("ReplicaSet", "DaemonSet", "StatefulSet", "Job")

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod."""

    attributes: Mapping[str, Value]
    ids: Mapping[int, str]
    """Ids by the number of restarts before."""


@dataclass(slots=True)
class Pod:
    """What is known of a pod."""

    name: str
    namespace: str
    uid: str
    node: str
    ips: Sequence[str]
    """Empty for pods in the network of their host: others share the address."""
    started: str
    attributes: dict[str, Value]
    containers: Mapping[str, Container] = field(default_factory=dict)
    replicaset: str = ""

    def values(self, attribute: str) -> Sequence[str]:
        """Return by which values of a resource attribute, or of the ``connection``, the pod can be found."""
        known: dict[str, Sequence[str]] = {
            "connection": self.ips,
            "k8s.pod.ip": self.ips,
            "k8s.pod.uid": [self.uid],
            "k8s.pod.name": [self.name],
            "k8s.namespace.name": [self.namespace],
            "k8s.node.name": [self.node],
            "host.name": [self.name, *self.ips],
        }
        if attribute == "container.id":
            return [id for container in self.containers.values() for id in container.ids.values()]  # noqa: A001
        own = self.attributes.get(attribute)
        return known.get(attribute) or ([own] if isinstance(own, str) else [])

    def of_container(self, name: Value, id: Value, restarts: Value) -> Mapping[str, Value]:
        """Return attributes of the container that a resource names, or of the only one."""
        found = self.containers.get(name) if isinstance(name, str) else None
        if found is None and isinstance(id, str):
            found = next((one for one in self.containers.values() if id in one.ids.values()), None)
        if found is None and len(self.containers) == 1 and name is None and id is None:
            found = next(iter(self.containers.values()))
        if found is None:
            return {}
        number = (
            int(restarts) if isinstance(restarts, int | str) and str(restarts).isdigit() else max(found.ids, default=-1)
        )
        return {**found.attributes, "container.id": found.ids.get(number)}


class Extractor:
    """Reads objects as the configuration says. Raises ``LookupError`` or ``TypeError`` for what is no such object."""

    def __init__(self, config: K8sAttributesConfig) -> None:
        self._config = config.extract
        self.wanted = frozenset(config.extract.metadata)
        self._excluded = [compile_pattern(one.name) for one in config.exclude.pods]

    def pod(self, found: Found) -> Pod | None:
        """Return a pod; ``None`` for one that is left out."""
        metadata, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
        name, annotations = metadata["name"], metadata.get("annotations") or {}
        if annotations.get(_IGNORED) == "true" or any(one.search(name) for one in self._excluded):
            return None
        ips = [one["ip"] for one in status.get("podIPs") or () if one.get("ip")] or [status.get("podIP") or ""]
        pod = Pod(
            name,
            metadata.get("namespace", ""),
            metadata.get("uid", ""),
            spec.get("nodeName", ""),
            [] if spec.get("hostNetwork") else [ip for ip in ips if ip],
            status.get("startTime") or "",
            {},
            {one["name"]: _container(one, status) for one in spec.get("containers") or ()},
        )
        everything = {
            "k8s.pod.name": pod.name,
            "k8s.pod.uid": pod.uid,
            "k8s.namespace.name": pod.namespace,
            "k8s.node.name": pod.node,
            "k8s.pod.start_time": pod.started,
            "k8s.pod.hostname": spec.get("hostname") or pod.name,
            "k8s.pod.ip": ips[0],
        }
        everything |= dict(_owners(pod, metadata))
        everything |= _service(pod, everything, metadata)
        pod.attributes = {key: value for key, value in everything.items() if key in self.wanted and value}
        pod.attributes |= self.extracted(metadata, Origin.POD)
        if self._config.otel_annotations:
            own = {key.removeprefix(_OTEL): value for key, value in annotations.items() if key.startswith(_OTEL)}
            pod.attributes |= own
        return pod

    def extracted(self, metadata: Found, origin: Origin) -> dict[str, Value]:
        """Return labels and annotations of an object that become attributes."""
        kinds = (("labels", self._config.labels), ("annotations", self._config.annotations))
        return {
            name: value
            for kind, fields in kinds
            for one in fields
            if one.from_ is origin
            for name, value in _matching(one, kind, origin, metadata.get(kind) or {})
        }

    def needs(self, origin: Origin) -> bool:
        """Return whether objects of a kind are needed for their labels and annotations."""
        return any(one.from_ is origin for one in (*self._config.labels, *self._config.annotations))


def _matching(one: ExtractedField, kind: str, origin: Origin, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if one.key:
        if one.key in given:
            yield one.tag_name or f"k8s.{origin}.{kind}.{one.key}", given[one.key]
        return
    pattern = compile_pattern(one.key_regex)
    for key, value in given.items():
        match = pattern.fullmatch(key)
        if match is None:
            continue
        groups = [match.group(number) or "" for number in range(pattern.groups + 1)]
        yield _filled(one.tag_name, groups) or f"k8s.{origin}.{kind}.{key}", value


def _filled(template: str, groups: Sequence[str]) -> str:
    """Return a text with ``$1`` replaced by what the first group of a pattern found."""

    def group(found: re.Match[str]) -> str:
        number = int(found[1] or found[2])
        return groups[number] if number < len(groups) else ""

    return _GROUP.sub(group, template)


def _owners(pod: Pod, metadata: Found) -> Iterator[tuple[str, str]]:
    """Yield the workloads that a pod belongs to."""
    for owner in metadata.get("ownerReferences") or ():
        kind, name = owner.get("kind", ""), owner.get("name", "")
        if kind not in _OWNERS:
            continue
        yield f"k8s.{kind.lower()}.name", name
        yield f"k8s.{kind.lower()}.uid", owner.get("uid", "")
        template = (metadata.get("labels") or {}).get("pod-template-hash")
        if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
            pod.replicaset = name
            yield "k8s.deployment.name", name.removesuffix(f"-{template}")
        if kind == "Job" and (match := _CRONJOB.match(name)):
            yield "k8s.cronjob.name", match[1]


_BY_NAME = ("deployment", "replicaset", "statefulset", "daemonset", "cronjob", "job", "pod")


def _service(pod: Pod, known: Mapping[str, str], metadata: Found) -> dict[str, str]:
    """Return what a service is called that does not say so itself, as the semantic conventions derive it."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    workload = next((known[f"k8s.{one}.name"] for one in _BY_NAME if known.get(f"k8s.{one}.name")), "")
    named = labels.get("app.kubernetes.io/instance") or labels.get("app.kubernetes.io/name")
    image = next((str(one.attributes["container.image.tag"] or "") for one in pod.containers.values()), "")
    found = {
        "service.name": annotations.get(f"{_OTEL}service.name") or named or workload,
        "service.namespace": annotations.get(f"{_OTEL}service.namespace") or pod.namespace,
        "service.version": annotations.get(f"{_OTEL}service.version")
        or labels.get("app.kubernetes.io/version")
        or image,
    }
    only = next(iter(pod.containers)) if len(pod.containers) == 1 else ""
    parts = [part for part in (pod.namespace, pod.name, only) if part]
    return {**found, "service.instance.id": annotations.get(f"{_OTEL}service.instance.id") or ".".join(parts)}


def _container(spec: Found, status: Found) -> Container:
    name, image = spec["name"], spec.get("image") or ""
    repository, _, digest = image.partition("@")
    head, slash, last = repository.rpartition("/")
    short, _, tag = last.partition(":")
    own: Found = next((one for one in status.get("containerStatuses") or () if one.get("name") == name), {})
    pulled = (own.get("imageID") or "").partition("://")[2] or own.get("imageID") or ""
    attributes: dict[str, Value] = {
        "k8s.container.name": name,
        "container.image.name": f"{head}{slash}{short}",
        "container.image.tag": tag or ("" if digest else "latest"),
        "container.image.repo_digests": [pulled] if "@" in pulled else None,
    }
    return Container(attributes, dict(_ids(own)))


def _ids(status: Found) -> Iterator[tuple[int, str]]:
    """Yield the ids of a container now and before its last restart, by the number of restarts."""
    restarts = status.get("restartCount") or 0
    before = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID") or ""
    for number, text in ((restarts - 1, before), (restarts, status.get("containerID") or "")):
        if text:
            yield number, text.partition("://")[2] or text
