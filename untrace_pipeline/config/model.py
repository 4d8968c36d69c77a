"""The checked configuration, as the engine takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from untrace_pipeline.api.config import ComponentConfig, ConfigModel, Duration
from untrace_pipeline.api.factory import Factory
from untrace_pipeline.api.identity import ComponentId, PipelineId

__all__ = [
    "AUTO_WORKERS",
    "ComponentSpec",
    "LogsConfig",
    "MetricsConfig",
    "PipelineSection",
    "PipelineSpec",
    "RuntimeConfig",
    "ServiceSection",
    "ServiceSpec",
    "TelemetryConfig",
]


class LogLevel(StrEnum):
    """Least severe level that is written; any case in YAML."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogEncoding(StrEnum):
    """Form of the daemon's own log lines."""

    CONSOLE = "console"
    JSON = "json"


class MetricsLevel(StrEnum):
    """How much the daemon tells about itself; ``none`` opens no port."""

    NONE = "none"
    BASIC = "basic"
    NORMAL = "normal"
    DETAILED = "detailed"


def _any_case(values: type[StrEnum]) -> Any:
    """Return what makes an option take the words of an enumeration in capitals too, as the Collector does."""
    words = Literal[tuple(word for value in values for word in (value.value, value.value.upper()))]  # type: ignore[valid-type]
    return BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value, words)


class LogSampling(ConfigModel):
    """Limits equal log lines: the first ``initial`` of each ``tick``, then every ``thereafter``-th."""

    enabled: bool = True
    """Whether equal lines are thinned out."""
    tick: Duration = 10.0
    """Window in which equal lines are counted."""
    initial: int = Field(10, ge=0)
    """Lines of a window that are always written."""
    thereafter: int = Field(100, ge=0)
    """After them, every n-th is written; 0 writes none."""


class LogsConfig(ConfigModel):
    """``service.telemetry.logs``: the daemon's own log."""

    level: Annotated[LogLevel, _any_case(LogLevel)] = LogLevel.INFO
    """Least severe level that is written."""
    encoding: LogEncoding = LogEncoding.CONSOLE
    """``console`` for people, ``json`` for machines: one object per line."""
    sampling: LogSampling = LogSampling()
    """Thins out lines that repeat."""
    output_paths: list[str] = ["stderr"]
    """``stderr``, ``stdout`` or file paths."""
    error_output_paths: list[str] = ["stderr"]
    """Accepted for the Collector's sake; errors go where the other lines go."""
    development: bool = False
    """Accepted for the Collector's sake."""
    disable_caller: bool = False
    """Accepted for the Collector's sake; lines name the component, not the source line."""
    disable_stacktrace: bool = False
    """Leave tracebacks of unexpected errors out."""
    initial_fields: dict[str, Any] = {}
    """Fields added to every line."""


class PrometheusConfig(ConfigModel):
    """``prometheus``: a page that Prometheus scrapes."""

    host: str = "localhost"
    """Address to listen on."""
    port: int = Field(8888, ge=0, le=65535)
    """Port to listen on."""
    without_type_suffix: bool = False
    """Leave ``_total`` off the names of counters."""
    without_units: bool = True
    """Accepted for the Collector's sake; names carry their unit or none, as the table of metrics says."""
    without_scope_info: bool = True
    """Accepted for the Collector's sake; there are no scopes."""
    with_resource_constant_labels: dict[str, Any] = {}
    """Accepted for the Collector's sake; the resource is shown as ``target_info``."""
    translation_strategy: str | None = None
    """Accepted for the Collector's sake."""


class PullExporterConfig(ConfigModel):
    """``pull.exporter``: how metrics are shown; ``prometheus`` is the only way."""

    prometheus: PrometheusConfig
    """A page that Prometheus scrapes."""

    @field_validator("prometheus", mode="before")
    @classmethod
    def _defaults(cls, value: object) -> object:
        return {} if value is None else value


class PullConfig(ConfigModel):
    """``pull``: metrics are fetched."""

    exporter: PullExporterConfig
    """How they are shown."""


class ReaderConfig(ConfigModel):
    """One entry of ``readers``: ``pull`` or ``periodic``."""

    pull: PullConfig | None = None
    """Metrics are fetched from a page."""
    periodic: dict[str, Any] | None = None
    """Metrics are pushed: accepted with a warning, not supported yet."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.pull is None) is (self.periodic is None):
            msg = "exactly one of pull and periodic"
            raise ValueError(msg)
        return self


class MetricsConfig(ConfigModel):
    """``service.telemetry.metrics``: where and how the daemon shows its own metrics."""

    level: Annotated[MetricsLevel, _any_case(MetricsLevel)] = MetricsLevel.NORMAL
    """``none`` opens no port."""
    prefix: str = Field("untrace_", pattern=r"^[a-z_]*$")
    """Begins every name; ``otelcol_`` makes Collector dashboards work unchanged."""
    readers: list[ReaderConfig] | None = None
    """As in the Collector: ``[{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]``; absent = that one."""
    address: str | None = Field(None, pattern=r"^.*:\d{1,5}$", json_schema_extra={"also_called": ["endpoint"]})
    """``host:port``, the Collector's older spelling; ``readers`` wins."""


class TelemetryConfig(ConfigModel):
    """``service.telemetry``: what the daemon tells about itself."""

    logs: LogsConfig = LogsConfig()
    """Own log lines."""
    metrics: MetricsConfig = MetricsConfig()
    """Own metrics, in Prometheus' format."""
    traces: dict[str, Any] = {}
    """Accepted for the Collector's sake; own traces come in a later release."""
    resource: dict[str, str | None] = {}
    """Attributes of the daemon itself, shown in logs and on ``target_info``; ``null`` removes a default one."""


class RuntimeConfig(ConfigModel):
    """``service.runtime``: which parts of the process are native, where ``untrace-pipeline-native`` is installed.

    Read once, when the process starts. Environment variables win: ``UNTRACE_PIPELINE_CODEC``,
    ``UNTRACE_PIPELINE_INGRESS``, ``UNTRACE_PIPELINE_EGRESS``.
    """

    codec: Literal["auto", "native", "upb"] = "auto"
    """What reads and writes OTLP: ``auto`` is native where installed; ``native`` fails to start where it is not."""
    ingress: Literal["auto", "native", "python"] = "auto"
    """The servers of the ``otlp`` receiver, in the same words."""
    egress: Literal["auto", "native", "python"] = "auto"
    """The clients of the OTLP exporters, in the same words."""


AUTO_WORKERS = 0
"""``service.workers: auto``."""
MAX_WORKERS = 256
"""Far above the cores of any machine that runs this; each worker has a connection to each other."""


def _parse_workers(value: object) -> int:
    if value == "auto":
        return AUTO_WORKERS
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WORKERS:
        return value
    msg = f"auto, or a whole number from 1 to {MAX_WORKERS}"
    raise ValueError(msg)


WorkerCount = Annotated[
    int,
    BeforeValidator(_parse_workers, json_schema_input_type=int | Literal["auto"]),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_WORKERS}, {"const": "auto"}]}),
]


class PipelineSection(ConfigModel):
    """One pipeline: which receivers feed it, what happens in between, in order, and where it leads."""

    receivers: list[str] = []
    """Ids of receivers, and of connectors that other pipelines lead to; at least one."""
    processors: list[str] = []
    """Ids of processors, in the order of the data."""
    exporters: list[str] = []
    """Ids of exporters, and of connectors that other pipelines begin with; at least one."""


class ServiceSection(ConfigModel):
    """``service``: what of the configured components runs, and how it is put together."""

    extensions: list[str] = []
    """Ids of extensions, in the order of starting."""
    pipelines: dict[str, PipelineSection] = {}
    """By id: ``traces``, ``metrics`` or ``logs``, each optionally with ``/name``; at least one."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """What the daemon tells about itself."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Which parts are native."""
    workers: WorkerCount = 1
    """How many processes run the pipelines; ``auto`` = as many as there are CPUs for this process."""
    shutdown_timeout: Annotated[Duration, Field(ge=0)] = 30.0
    """How long SIGTERM waits for queues to drain."""
    destination_presets_dir: str = ""
    """Directory of files that each describe a destination, as ``name.yaml``: an exporter of that type
    (docs/adding-destinations.md). Absent = what UNTRACE_DESTINATION_PRESETS_DIR names, or none."""


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One configured component."""

    id: ComponentId
    factory: Factory[Any]
    config: ComponentConfig


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """One pipeline. Ids of connectors have the kind ``CONNECTOR``, on whichever side they stand."""

    id: PipelineId
    receivers: tuple[ComponentId, ...]
    processors: tuple[ComponentId, ...]
    exporters: tuple[ComponentId, ...]


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """The whole configuration after loading, expanding, merging and checking."""

    components: Mapping[ComponentId, ComponentSpec]
    pipelines: Mapping[PipelineId, PipelineSpec]
    extensions: tuple[ComponentId, ...] = ()
    """In the order of ``service.extensions``, which is the order of starting."""
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    shutdown_timeout: float = 30.0
    """Seconds for draining at SIGTERM: ``service.shutdown_timeout``."""
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Which parts are to be native; read when the process starts."""
    workers: int = 1
    """How many processes are wanted, or ``AUTO_WORKERS``: ``service.workers``."""
    tests: tuple[Mapping[str, Any], ...] = ()
    """The ``tests:`` blocks, unchecked: ``untrace-pipeline test`` reads them."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """The merged and expanded file, for ``print-config`` and for telling what a reload changes."""
