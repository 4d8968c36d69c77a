"""Options of the resource detection processor."""

from __future__ import annotations

import enum
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_plugins.processors.resource_detection.attributes import ATTRIBUTES, DetectorName

__all__ = ["DetectorConfig", "HostnameSource", "ResourceDetectionConfig"]

_OLD_NAMES = {"host": "system", "gce": "gcp", "gke": "gcp", "k8s": "kubernetes", "k8s_node": "k8snode"}


def _pattern(text: str) -> str:
    compile_pattern(text)
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


def _current(name: object) -> object:
    """Return the name of a detector that has another one too."""
    return _OLD_NAMES.get(name, name) if isinstance(name, str) else name


class HostnameSource(enum.StrEnum):
    """Where the name of the host comes from."""

    DNS = "dns"
    OS = "os"
    CNAME = "cname"
    LOOKUP = "lookup"


class AttributeConfig(ConfigModel):
    """One attribute of a detector."""

    enabled: bool
    """Whether it is written."""


class DetectorConfig(ConfigModel):
    """What all detectors have."""

    resource_attributes: dict[str, AttributeConfig] = {}
    """Attributes that are written, or not, other than by default: ``{host.id: {enabled: true}}``."""

    def wants(self, detector: DetectorName, name: str) -> bool:
        """Return whether an attribute of the detector is written."""
        own = self.resource_attributes.get(name)
        return own.enabled if own is not None else ATTRIBUTES[detector].get(name, True)


class SystemConfig(DetectorConfig):
    """The host as its operating system knows it."""

    hostname_sources: list[HostnameSource] = [HostnameSource.DNS, HostnameSource.OS]
    """Where ``host.name`` comes from, the first that knows it: ``dns`` (the full name), ``os``, ``cname`` (the
    canonical name), ``lookup`` (the name of the own address)."""


class K8sNodeConfig(DetectorConfig):
    """The node, asked of the API server; the service account needs the verb ``get`` for ``nodes``."""

    auth_type: Literal["serviceAccount"] = "serviceAccount"
    """Only ``serviceAccount``."""
    node_from_env_var: str = "K8S_NODE_NAME"
    """Environment variable with the name of the node, set by the downward API (``spec.nodeName``)."""


class DockerConfig(DetectorConfig):
    """The host of the container, asked of the Docker daemon."""

    endpoint: str = "unix:///var/run/docker.sock"
    """The daemon's socket; must be mounted into the container. ``http://host:port`` works too."""


class CloudConfig(DetectorConfig):
    """A machine in a cloud, asked of its metadata service."""

    endpoint: str = ""
    """Of the metadata service, where it is another than usual."""


class TaggedConfig(CloudConfig):
    """A machine that has tags."""

    tags: list[Pattern] = []
    """RE2 patterns of keys of tags that are written: ``[^team$]``. The machine must be allowed to read them."""


class ResourceDetectionConfig(ComponentConfig):
    """Adds what is known of the place where the daemon runs to every resource."""

    detectors: list[Annotated[DetectorName, BeforeValidator(_current)]] = Field([DetectorName.ENV], min_length=1)
    """Who looks, all at the same time; where several find the same attribute, that of the first in the list counts.
    ``env`` (``OTEL_RESOURCE_ATTRIBUTES``), ``system`` (also ``host``), ``process``, ``container``, ``kubernetes``,
    ``k8snode``, ``docker``, ``ec2``, ``ecs``, ``lambda``, ``gcp``, ``azure``."""
    timeout: Duration = Field(5.0, gt=0)
    """How long detection may take; the daemon starts then with what was found."""
    override: bool = True
    """Whether attributes that a resource has already are written over."""
    attributes: list[str] = []
    """Only these attributes are written; empty = all that the detectors have."""
    refresh_interval: Duration = Field(0.0, ge=0)
    """How often it is looked again; 0 = never. What a detector found stays while it finds nothing more."""
    env: DetectorConfig = DetectorConfig()
    """The environment."""
    system: SystemConfig = SystemConfig()
    """The operating system."""
    process: DetectorConfig = DetectorConfig()
    """The process of the daemon: for sidecars, which share the fate of one application."""
    container: DetectorConfig = DetectorConfig()
    """The container of the daemon."""
    kubernetes: DetectorConfig = DetectorConfig()
    """The pod of the daemon, by the downward API: variables such as ``K8S_POD_NAME``, or files."""
    k8snode: K8sNodeConfig = K8sNodeConfig()
    """The node, by the API server."""
    docker: DockerConfig = DockerConfig()
    """The Docker daemon."""
    ec2: TaggedConfig = TaggedConfig()
    """Amazon EC2."""
    ecs: DetectorConfig = DetectorConfig()
    """Amazon ECS and Fargate."""
    lambda_: DetectorConfig = Field(DetectorConfig(), alias="lambda")
    """AWS Lambda."""
    gcp: CloudConfig = CloudConfig()
    """Google Cloud: Compute Engine, Kubernetes Engine, Cloud Run, Functions."""
    azure: TaggedConfig = TaggedConfig()
    """Azure virtual machines."""

    @model_validator(mode="after")
    def _known(self) -> ResourceDetectionConfig:
        for detector in DetectorName:
            known = ATTRIBUTES[detector]
            for name in self.of(detector).resource_attributes if known else ():
                if name not in known:
                    close = get_close_matches(name, known, n=1)
                    hint = f"; did you mean {close[0]}?" if close else f"; it has: {', '.join(known)}"
                    msg = f"{detector}.resource_attributes: the detector has no {name}{hint}"
                    raise ValueError(msg)
        return self

    def of(self, detector: DetectorName) -> DetectorConfig:
        """Return the options of a detector."""
        found = self.lambda_ if detector is DetectorName.LAMBDA else getattr(self, detector.value)
        assert isinstance(found, DetectorConfig)
        return found
