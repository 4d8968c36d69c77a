"""Tiny components of every kind, and a registry that holds only them: for tests that must not need real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from untrace_pipeline.api import (
    Acceptance,
    Affinity,
    ComponentConfig,
    ConfigModel,
    ConnectorFactory,
    Consumer,
    Duration,
    ExporterFactory,
    ExtensionFactory,
    Host,
    Keeps,
    Kind,
    PipelineId,
    ProcessorFactory,
    ReceiverFactory,
    Remark,
    Secret,
    Settings,
    Size,
    Stability,
    Surroundings,
    TransformFactory,
    Upstream,
)
from untrace_pipeline.data import Batch, Signal, attribute
from untrace_pipeline.registry import Installed, Registry

__all__ = ["make_registry"]


class Idle:
    """Does nothing, in the shape of any component."""

    async def start(self, host: Host) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    async def consume(self, batch: Batch) -> None:
        """Accept and forget."""


class ServerConfig(ConfigModel):
    """One port."""

    endpoint: str = "localhost:4317"
    """``host:port``."""
    max_size: Size = 64 * 2**20
    """Largest request."""


class ProtocolsConfig(ConfigModel):
    """The protocols that are served."""

    grpc: ServerConfig | None = None
    """gRPC."""
    http: ServerConfig | None = None
    """HTTP."""


class ListenConfig(ComponentConfig):
    """A receiver."""

    protocols: ProtocolsConfig = ProtocolsConfig()
    """At least one."""

    @model_validator(mode="after")
    def _some_protocol(self) -> ListenConfig:
        if self.protocols.grpc is None and self.protocols.http is None:
            msg = "must specify at least one protocol when using the OTLP receiver"
            raise ValueError(msg)
        return self


class QueueConfig(ConfigModel):
    """A queue."""

    enabled: bool = True
    """Whether there is one."""
    queue_size: int = Field(1000, gt=0)
    """Capacity."""
    on_disk: bool = False
    """Whether it survives the process."""


class AuthConfig(ConfigModel):
    """Who signs requests."""

    authenticator: str
    """Id of an extension."""


class SendConfig(ComponentConfig):
    """An exporter."""

    endpoint: str
    """Where to send to, ``host:port``."""
    timeout: Duration = 5.0
    """Of one attempt."""
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    """Of requests."""
    headers: dict[str, Secret] = {}
    """Sent with every request."""
    api_key: Secret | None = None
    """Sent with every request."""
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Attempts after the first."""
    labels: dict[str, str] = {}
    """Shown in metrics."""
    tags: list[str] = []
    """Shown in metrics."""
    sending_queue: QueueConfig = QueueConfig()
    """Between accepting and sending."""
    auth: AuthConfig | None = None
    """Client authentication."""
    url: str | None = Field(None, json_schema_extra={"deprecated": "use endpoint"})
    """The older name of endpoint."""

    def acceptance(self) -> Acceptance:
        """Look at the queue."""
        if not self.sending_queue.enabled:
            return Acceptance.DELIVERED
        return Acceptance.ON_DISK if self.sending_queue.on_disk else Acceptance.IN_MEMORY

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}


class MarkingConfig(ConfigModel):
    """When data counts as taken."""

    after: bool = True
    """After it was accepted."""


class DrainConfig(ComponentConfig):
    """A receiver that takes from a source."""

    marking: MarkingConfig = MarkingConfig()
    """When data counts as taken."""

    def upstream(self) -> Upstream:
        """The source keeps what was not marked."""
        if self.marking.after:
            return Upstream(Keeps.STORED)
        return Upstream(Keeps.NOTHING, "the source does not wait", "marking.after", "marking.after: true")


class TagConfig(ComponentConfig):
    """A transform that sets one attribute."""

    key: str = "tag"
    """Name of the attribute."""
    value: Any = "on"
    """Any value."""
    only: list[Literal["traces", "logs"]] = []
    """Signals."""


class RouteConfig(ComponentConfig):
    """A connector."""

    pipelines: list[str] = []
    """Where to."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the pipelines."""
        return {"pipelines": tuple(self.pipelines)} if self.pipelines else {}

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Doubt that outputs which are not named are meant."""
        for output in surroundings.outputs if self.pipelines else ():
            if str(output) not in self.pipelines:
                yield Remark("pipelines", f"pipeline {output} gets nothing", f"{output} in this list")


class WriteConfig(ComponentConfig):
    """An exporter that cannot share what it writes to."""

    path: str = "out.jsonl"
    """Where to."""
    auth: AuthConfig | None = None
    """An extension that it uses."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}

    def unshared(self) -> Mapping[str, str]:
        """Name the path."""
        return {"path": "each worker would write over what the others wrote"}


class TokenConfig(ComponentConfig):
    """An extension."""

    token: Secret = Secret("")
    """The credential."""


class Tag:
    """Sets the attribute on every item."""

    def __init__(self, config: TagConfig) -> None:
        self._config = config

    def process(self, batch: Batch) -> Batch:
        """Set it."""
        batch.set(attribute(self._config.key), [self._config.value] * batch.item_count)
        return batch


def _idle(config: ComponentConfig, settings: Settings, *_: object) -> Any:
    return Idle()


def _tag(config: TagConfig, settings: Settings) -> Tag:
    return Tag(config)


class Spread(Idle):
    """Sends everything to every output."""

    def __init__(self, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._outputs = outputs

    async def consume(self, batch: Batch) -> None:
        """Send copies."""
        for output in self._outputs.values():
            await output.consume(batch.copy())


def _spread(config: RouteConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> Spread:
    return Spread(outputs)


DRAIN = ReceiverFactory(type_name="drain", config=DrainConfig, description="Takes.", create=_idle)
LISTEN = ReceiverFactory(type_name="listen", config=ListenConfig, description="Receives.", create=_idle)
SEND = ExporterFactory(
    type_name="send",
    config=SendConfig,
    description="Sends.",
    create=_idle,
    aliases=("sendhttp",),
    stability=Stability.BETA,
)
TRACES_ONLY = ExporterFactory(
    type_name="traces_only",
    config=ComponentConfig,
    description="Sends traces.",
    create=_idle,
    signals=frozenset({Signal.TRACES}),
)
ROUTE_OUT = ExporterFactory(type_name="route", config=ComponentConfig, description="Sends.", create=_idle)
TAG = TransformFactory(type_name="tag", config=TagConfig, description="Sets an attribute.", create=_tag)
ROUTE = ConnectorFactory(type_name="route", config=RouteConfig, description="Routes.", create=_spread)
TOKEN = ExtensionFactory(type_name="token", config=TokenConfig, description="Authenticates.", create=_idle)
WRITE = ExporterFactory(type_name="write", config=WriteConfig, description="Writes.", create=_idle)
TAIL = ReceiverFactory(type_name="tail", config=WriteConfig, description="Follows files.", create=_idle, once=True)
WHOLE = ProcessorFactory(
    type_name="whole", config=ComponentConfig, description="Needs traces.", create=_idle, affinity=Affinity.TRACE_ID
)
PROBE = ExtensionFactory(
    type_name="probe", config=ComponentConfig, description="Tells of all workers.", create=_idle, per_service=True
)


def make_registry() -> Registry:
    """Return a registry of these components, one of them broken."""
    kinds = {
        Kind.RECEIVER: {"drain": "DRAIN", "listen": "LISTEN", "tail": "TAIL"},
        Kind.PROCESSOR: {"tag": "TAG", "whole": "WHOLE", "broken": "MISSING"},
        Kind.EXPORTER: {
            "send": "SEND",
            "sendhttp": "SEND",
            "route": "ROUTE_OUT",
            "traces_only": "TRACES_ONLY",
            "write": "WRITE",
        },
        Kind.CONNECTOR: {"route": "ROUTE"},  # and an exporter of that name
        Kind.EXTENSION: {"token": "TOKEN", "probe": "PROBE"},
    }
    return Registry(
        Installed(kind, name, "tests", "1.0", EntryPoint(name, f"tests.support.plugins:{factory}", kind.group))
        for kind, names in kinds.items()
        for name, factory in names.items()
    )
