"""Options of the Kubernetes attributes processor."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration
from untrace_pipeline.conditions.patterns import compile_pattern

__all__ = ["DEFAULT_METADATA", "METADATA", "ExtractedField", "K8sAttributesConfig", "Origin", "SourceConfig"]

DEFAULT_METADATA = (
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "k8s.pod.start_time",
    "k8s.deployment.name",
    "k8s.node.name",
    "container.image.name",
    "container.image.tag",
)
METADATA = (
    *DEFAULT_METADATA,
    "k8s.pod.hostname",
    "k8s.pod.ip",
    "k8s.node.uid",
    "k8s.cluster.uid",
    "k8s.container.name",
    "k8s.cronjob.name",
    *(f"k8s.{kind}.{what}" for kind in ("replicaset", "daemonset", "statefulset", "job") for what in ("name", "uid")),
    "k8s.deployment.uid",
    "container.id",
    "container.image.repo_digests",
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
)
"""All that can be extracted."""


def _pattern(text: str) -> str:
    compile_pattern(text)
    return text


def _known(name: str) -> str:
    if name not in METADATA:
        close = get_close_matches(name, METADATA, n=1)
        msg = f"{name} cannot be extracted" + (
            f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(METADATA)}"
        )
        raise ValueError(msg)
    return name


Pattern = Annotated[str, AfterValidator(_pattern)]


class Origin(enum.StrEnum):
    """The object that a label or annotation belongs to."""

    POD = "pod"
    NAMESPACE = "namespace"
    NODE = "node"


class ExtractedField(ConfigModel):
    """A label or annotation that becomes an attribute."""

    tag_name: str = ""
    """Name of the attribute; with ``key_regex`` it may hold ``$1`` … of it. Without it:
    ``k8s.pod.labels.<key>``, ``k8s.namespace.annotations.<key>`` and so on."""
    key: str = ""
    """The label or annotation."""
    key_regex: Pattern = ""
    """RE2 pattern of whole keys, instead of one ``key``."""
    from_: Origin = Field(Origin.POD, alias="from")
    """The object that has it: ``pod``, ``namespace`` or ``node``."""

    @model_validator(mode="after")
    def _one(self) -> ExtractedField:
        if bool(self.key) == bool(self.key_regex):
            msg = "either key or key_regex is needed"
            raise ValueError(msg)
        return self


class ExtractConfig(ConfigModel):
    """What is added."""

    metadata: list[Annotated[str, AfterValidator(_known)]] = list(DEFAULT_METADATA)
    """Attributes of pod, workload, node and container."""
    labels: list[ExtractedField] = []
    """Labels that become attributes."""
    annotations: list[ExtractedField] = []
    """Annotations that become attributes."""
    otel_annotations: bool = False
    """Whether annotations ``resource.opentelemetry.io/<key>`` of the pod become attributes ``<key>``."""
    deployment_name_from_replicaset: bool = True
    """Accepted for the Collector's sake: deployments are always found by the name of their replica set."""


class LabelFilter(ConfigModel):
    """Pods by a label."""

    key: str = Field(min_length=1)
    """The label."""
    value: str = ""
    """Its value, for ``equals`` and ``not-equals``."""
    op: Literal["equals", "not-equals", "exists", "does-not-exist"] = "equals"
    """How it is compared."""


class FieldFilter(ConfigModel):
    """Pods by a field that the API server selects by, such as ``spec.nodeName``."""

    key: str = Field(min_length=1)
    """The field."""
    value: str = ""
    """Its value."""
    op: Literal["equals", "not-equals"] = "equals"
    """How it is compared."""


class FilterConfig(ConfigModel):
    """Which pods are followed; a daemon per node needs those of its node only."""

    node: str = ""
    """Pods of this node."""
    node_from_env_var: str = ""
    """Pods of the node that this environment variable names; set it by the downward API (``spec.nodeName``)."""
    namespace: str = ""
    """Pods of this namespace."""
    labels: list[LabelFilter] = []
    """Pods with these labels."""
    fields: list[FieldFilter] = []
    """Pods with these fields."""

    @model_validator(mode="after")
    def _one_node(self) -> FilterConfig:
        if self.node and self.node_from_env_var:
            msg = "either node or node_from_env_var"
            raise ValueError(msg)
        return self

    def selectors(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the parameters of a request for pods."""
        node = self.node or environ.get(self.node_from_env_var, "") if self.node_from_env_var else self.node
        fields = [f"spec.nodeName={node}"] if node else []
        fields += [f"{one.key}{'=' if one.op == 'equals' else '!='}{one.value}" for one in self.fields]
        forms = {"equals": "{0}={1}", "not-equals": "{0}!={1}", "exists": "{0}", "does-not-exist": "!{0}"}
        labels = [forms[one.op].format(one.key, one.value) for one in self.labels]
        found = {"fieldSelector": ",".join(fields), "labelSelector": ",".join(labels)}
        return {name: text for name, text in found.items() if text}


class SourceConfig(ConfigModel):
    """Something that says which pod it is."""

    from_: Literal["resource_attribute", "connection"] = Field(alias="from")
    """``resource_attribute``: what the resource says; ``connection``: the address of the client."""
    name: str = ""
    """The attribute: ``k8s.pod.uid``, ``k8s.pod.name``, ``k8s.pod.ip``, ``host.name``, ``container.id``, or any other
    that is extracted."""

    @model_validator(mode="after")
    def _named(self) -> SourceConfig:
        if (self.from_ == "resource_attribute") != bool(self.name):
            msg = "resource_attribute needs a name, and connection has none"
            raise ValueError(msg)
        return self


class AssociationConfig(ConfigModel):
    """Sources that must all agree."""

    sources: list[SourceConfig] = Field(min_length=1, max_length=4)
    """All of them must be there, and name the same pod."""


class ExcludedPod(ConfigModel):
    """Pods that are left out."""

    name: Pattern = Field(min_length=1)
    """RE2 pattern, found anywhere in the name."""


class ExcludeConfig(ConfigModel):
    """What is left out."""

    pods: list[ExcludedPod] = [ExcludedPod(name="jaeger-agent"), ExcludedPod(name="jaeger-collector")]
    """Pods that pass on the data of others."""


class K8sAttributesConfig(ComponentConfig):
    """Adds metadata of the Kubernetes pod that data comes from."""

    auth_type: Literal["serviceAccount", "none"] = "serviceAccount"
    """``serviceAccount``: that of the own pod, with the verbs ``get``, ``list`` and ``watch`` for ``pods`` (and
    ``namespaces``, ``nodes``, ``replicasets`` where they are needed). ``none`` only with ``passthrough``."""
    passthrough: bool = False
    """Ask nobody: only note the client's address as ``k8s.pod.ip``, for a daemon behind this one."""
    extract: ExtractConfig = ExtractConfig()
    """What is added; attributes that a resource has already stay."""
    filter: FilterConfig = FilterConfig()
    """Which pods are followed."""
    pod_association: list[AssociationConfig] = []
    """How the pod of a resource is found: the first that knows one counts. Without it: ``k8s.pod.ip``, then
    ``k8s.pod.uid``, then the address of the client, then ``host.name`` if it is an address."""
    exclude: ExcludeConfig = ExcludeConfig()
    """Pods that are left out."""
    wait_for_metadata: bool = False
    """Whether to start only when all pods are known."""
    wait_for_metadata_timeout: Duration = Field(10.0, gt=0)
    """How long to wait for that; afterwards the start fails."""

    @model_validator(mode="after")
    def _allowed(self) -> K8sAttributesConfig:
        if self.auth_type == "none" and not self.passthrough:
            msg = "auth_type: none is for passthrough: true"
            raise ValueError(msg)
        return self
