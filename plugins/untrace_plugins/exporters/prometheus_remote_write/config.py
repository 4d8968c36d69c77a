"""Options of the exporter ``prometheus_remote_write``; keys and defaults are the Collector's where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration
from untrace_pipeline.delivery import BatchConfig, BatchSizer, DeliveryConfig, QueueConfig
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_client import HttpClientConfig
from untrace_plugins.prometheus.config import ResourceConversionConfig, Translation

__all__ = ["ProtobufMessage", "RemoteWriteConfig", "TargetInfoConfig"]


class ProtobufMessage(StrEnum):
    """Version of the protocol, by the name of its message."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


class TargetInfoConfig(ConfigModel):
    """``target_info``: the series that has the attributes of a resource as labels."""

    enabled: bool = True
    """Whether it is written."""


_BATCH = BatchConfig.model_validate(
    {"min_size": 1_000_000, "max_size": 3_000_000, "sizer": BatchSizer.BYTES, "flush_timeout": "1s"}
)
_QUEUE = QueueConfig(num_consumers=1, batch=_BATCH)


class RemoteWriteConfig(HttpClientConfig, DeliveryConfig):
    """Where samples go, and how series look."""

    endpoint: str = Field(min_length=1)
    """Whole URL. Example: ``http://localhost:9090/api/v1/write``, ``https://mimir.example.com/api/v1/push``."""
    protobuf_message: ProtobufMessage = ProtobufMessage.V1
    """``prometheus.WriteRequest`` (Remote-Write 1.0) or ``io.prometheus.write.v2.Request`` (2.0: smaller, with metadata
    and beginnings of counters). Who does not take 2.0 gets 1.0."""
    namespace: str = ""
    """What names of metrics begin with."""
    external_labels: dict[str, str] = {}
    """Labels of every series that has none of that name. Example: ``{cluster: eu-1}``."""
    resource_to_telemetry_conversion: ResourceConversionConfig = ResourceConversionConfig()
    """Whether resource attributes become labels."""
    target_info: TargetInfoConfig = TargetInfoConfig()
    """Whether there is a series ``target_info`` per resource."""
    without_scope_info: bool = False
    """Leave out the labels ``otel_scope_name``, ``otel_scope_version``, ``otel_scope_schema_url`` and those of the
    scope's attributes."""
    send_metadata: bool = False
    """Send types, units and descriptions of metrics with 1.0, too; 2.0 always does."""
    add_metric_suffixes: bool = True
    """Append units and ``_total`` to names; not looked at where ``translation_strategy`` is set."""
    translation_strategy: Translation | None = None
    """How names become Prometheus': ``UnderscoreEscapingWithSuffixes`` (default),
    ``UnderscoreEscapingWithoutSuffixes``, ``NoUTF8EscapingWithSuffixes`` or ``NoTranslation``."""
    compression: Compression = Compression.NONE
    """Bodies are snappy, as the protocol wants it: nothing else is to be set."""
    timeout: Duration = Field(5.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    sending_queue: QueueConfig = _QUEUE
    """Queue before the destination; the Collector calls it ``remote_write_queue``. Unless set, one request is under way
    at a time, because samples of a series have to come in order, and what waits is merged into requests of 1 MB, at
    most a second."""

    @field_validator("compression")
    @classmethod
    def _is_snappy(cls, value: Compression) -> Compression:
        if value is not Compression.NONE:
            msg = "nothing: bodies are compressed with snappy"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _own_headers(self) -> Self:
        taken = {"content-encoding", "content-type", "x-prometheus-remote-write-version"}
        if found := sorted(taken.intersection(map(str.lower, self.headers))):
            msg = f"headers: the protocol says what {', '.join(found)} is"
            raise ValueError(msg)
        return self

    @property
    def translation(self) -> Translation:
        """The strategy that is in force."""
        if self.translation_strategy is not None:
            return self.translation_strategy
        return Translation.ESCAPED_WITH_SUFFIXES if self.add_metric_suffixes else Translation.ESCAPED

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
