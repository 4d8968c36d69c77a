"""Options of the exporter ``load_balancing``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import Acceptance, ConfigModel, Duration
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import BreakerConfig, DeliveryConfig, QueueConfig, RetryConfig
from untrace_plugins.exporters.load_balancing.endpoint import check_endpoint
from untrace_plugins.exporters.otlp_grpc.config import OtlpGrpcConfig

__all__ = [
    "ROUTING_KEYS",
    "BackendConfig",
    "DnsConfig",
    "KubernetesConfig",
    "LoadBalancingConfig",
    "ResolverConfig",
    "RoutingKey",
    "StaticConfig",
]


class RoutingKey(StrEnum):
    """What is hashed; items with the same key go to the same backend."""

    DEFAULT = ""
    """``traceID`` for spans, ``service`` for logs and metrics."""
    TRACE_ID = "traceID"
    SERVICE = "service"
    RESOURCE = "resource"
    METRIC = "metric"
    STREAM_ID = "streamID"
    ATTRIBUTES = "attributes"


ROUTING_KEYS: Mapping[Signal, Sequence[RoutingKey]] = {
    Signal.TRACES: (RoutingKey.TRACE_ID, RoutingKey.SERVICE, RoutingKey.ATTRIBUTES),
    Signal.LOGS: (RoutingKey.SERVICE, RoutingKey.TRACE_ID, RoutingKey.RESOURCE, RoutingKey.ATTRIBUTES),
    Signal.METRICS: (
        RoutingKey.SERVICE,
        RoutingKey.RESOURCE,
        RoutingKey.METRIC,
        RoutingKey.STREAM_ID,
        RoutingKey.ATTRIBUTES,
    ),
}
"""What each signal can be routed by; the first is its default."""


class BackendConfig(OtlpGrpcConfig):
    """``protocol.otlp``: the options of the exporter ``otlp_grpc`` for each backend."""

    endpoint: str = ""
    """Taken and not used: the resolver says where backends are."""

    @field_validator("sending_queue")
    @classmethod
    def _in_memory(cls, queue: QueueConfig) -> QueueConfig:
        if queue.storage is not None:
            msg = "no storage here: backends come and go. Put sending_queue with its storage beside protocol"
            raise ValueError(msg)
        return queue


class ProtocolConfig(ConfigModel):
    """``protocol``: how to talk to backends."""

    otlp: BackendConfig = BackendConfig()
    """OTLP over gRPC; the options of the exporter ``otlp_grpc``."""


class StaticConfig(ConfigModel):
    """``static``: a list."""

    hostnames: list[str] = Field(min_length=1)
    """``host:port``; without a port, 4317. Example: ``[backend-1:4317, backend-2:4317]``."""

    @field_validator("hostnames")
    @classmethod
    def _check(cls, hostnames: list[str]) -> list[str]:
        for hostname in hostnames:
            check_endpoint(hostname)
        return hostnames


class DnsConfig(ConfigModel):
    """``dns``: all addresses of a name."""

    hostname: str = Field(min_length=1)
    """Name with A or AAAA records, such as a headless service. Example: ``backends.tracing.svc.cluster.local``."""
    port: int | None = Field(None, ge=1, le=65535)
    """Port of every address; absent = 4317."""
    interval: Duration = Field(5.0, gt=0)
    """How often to ask."""
    timeout: Duration = Field(1.0, gt=0)
    """How long to wait for an answer."""


class KubernetesConfig(ConfigModel):
    """``k8s``: the addresses of a service, watched at the API server."""

    service: str = Field(min_length=1)
    """``name``, ``name.namespace`` or ``name.namespace.svc.domain``; without a namespace, that of the own pod.
    Example: ``backends.tracing``."""
    ports: list[int] = []
    """Ports of every address, each of which is a backend of its own; empty = 4317."""
    timeout: Duration = Field(60.0, ge=1)
    """How long the API server keeps one watch open."""
    return_hostnames: bool = False
    """Use the names of pods (``pod.service.namespace``) instead of addresses: for a StatefulSet behind its headless
    service, where certificates or a mesh need names."""

    @field_validator("service")
    @classmethod
    def _check(cls, service: str) -> str:
        name, *rest = service.split(".")
        if not name or (len(rest) > 1 and (not rest[0] or rest[1] != "svc" or len(rest) == 2)):  # noqa: PLR2004
            msg = '"name", "name.namespace" or "name.namespace.svc.cluster.local"'
            raise ValueError(msg)
        return service

    @field_validator("ports")
    @classmethod
    def _ports(cls, ports: list[int]) -> list[int]:
        if any(not 0 < port < 1 << 16 for port in ports):
            msg = "ports from 1 to 65535"
            raise ValueError(msg)
        return ports


class ResolverConfig(ConfigModel):
    """``resolver``: where backends are; exactly one."""

    static: StaticConfig | None = None
    """A fixed list."""
    dns: DnsConfig | None = None
    """All addresses of a name, asked for again and again."""
    k8s: KubernetesConfig | None = None
    """The addresses of a Kubernetes service, as they change."""

    @property
    def kind(self) -> str:
        """Which one it is: a label of metrics."""
        return "static" if self.static else "dns" if self.dns else "k8s"

    def __str__(self) -> str:
        name = self.dns.hostname if self.dns else self.k8s.service if self.k8s else ""
        return f"{self.kind} {name}".strip()

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(one is not None for one in (self.static, self.dns, self.k8s)) != 1:
            msg = "exactly one of static, dns and k8s"
            raise ValueError(msg)
        return self


_OF_QUEUES = frozenset({"circuit_breaker", "dead_letter_queue", "oversize"})
"""Options that belong to wherever the queue is."""


class LoadBalancingConfig(DeliveryConfig):
    """The keys and defaults of the Collector's ``load_balancing`` exporter."""

    routing_key: RoutingKey = RoutingKey.DEFAULT
    """What is hashed: ``traceID`` (spans, logs), ``service`` and ``attributes`` (all signals), ``resource`` (logs,
    metrics), ``metric`` or ``streamID`` (metrics). Absent: ``traceID`` for spans, ``service`` for logs and metrics."""
    routing_attributes: list[str] = []
    """With ``routing_key: attributes``: keys looked for on the resource, the scope and the item; ``span.name``,
    ``span.kind``, ``log.severity`` and ``log.body`` count too. Example: ``[tenant, span.kind]``."""
    protocol: ProtocolConfig = ProtocolConfig()
    """How to talk to backends."""
    resolver: ResolverConfig
    """Where backends are."""
    timeout: Duration = Field(0.0, ge=0)
    """Longest time of one attempt to all backends that a request concerns; ``0`` = no limit but those of
    ``protocol.otlp``."""
    retry_on_failure: RetryConfig = RetryConfig(enabled=False)
    """Off unless written. With it, or with ``sending_queue``, data waits before it is dealt out, and each attempt goes
    where the ring of that moment says; the queue and the retries under ``protocol.otlp`` are then not used."""
    sending_queue: QueueConfig = QueueConfig(enabled=False)
    """Off unless written: one queue before the ring instead of one per backend. Only it may have a ``storage``."""

    circuit_breaker: BreakerConfig = BreakerConfig(enabled=False)
    """Off unless written: one backend that is down must not keep data from the others."""

    @property
    def queues_first(self) -> bool:
        """Whether data waits before the ring, instead of before each backend."""
        return self.sending_queue.enabled or self.retry_on_failure.enabled

    @model_validator(mode="after")
    def _where_the_queue_is(self) -> Self:
        here, there = (sorted(one.model_fields_set & _OF_QUEUES) for one in (self, self.protocol.otlp))
        if here and not self.queues_first:
            msg = f"{', '.join(here)} belongs under protocol.otlp, unless sending_queue or retry_on_failure is here"
            raise ValueError(msg)
        if there and self.queues_first:
            msg = f"{', '.join(there)} belongs beside protocol, where sending_queue or retry_on_failure is"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _attributes_go_with_their_key(self) -> Self:
        if (self.routing_key is RoutingKey.ATTRIBUTES) != bool(self.routing_attributes):
            msg = "routing_attributes go with routing_key: attributes, and that needs them"
            raise ValueError(msg)
        return self

    def excludes(self) -> Mapping[Signal, str]:
        """Return the signals that do not have the routing key."""
        key = self.routing_key
        return {
            signal: f"routing_key {key} is none of theirs, which are {', '.join(keys)}"
            for signal, keys in ROUTING_KEYS.items()
            if key is not RoutingKey.DEFAULT and key not in keys
        }

    def acceptance(self) -> Acceptance:
        """Return where accepted data is: in the queue here, or in those of the backends."""
        return super().acceptance() if self.queues_first else self.protocol.otlp.acceptance()

    def at_once(self) -> Self:
        """Return the options for a second instance: without any queue, deciding anew at each attempt."""
        whole = super().at_once()
        retry = whole.retry_on_failure if self.queues_first else self.protocol.otlp.at_once().retry_on_failure
        return whole.model_copy(update={"retry_on_failure": retry.model_copy(update={"enabled": True})})

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extensions that are named here and for the backends."""
        below = self.protocol.otlp.references().items()
        return {**super().references(), **{f"protocol.otlp.{option}": names for option, names in below}}
